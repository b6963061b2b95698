"""Files of points for the tests of maps against points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.grid import PixelGrid


def grid_xy(grid: PixelGrid, row: npt.NDArray[np.float64], col: npt.NDArray[np.float64]) -> tuple[list[float], list[float]]:
    """Places in pixels of a grid as x and y of its CRS."""
    a, _, c, _, e, f = grid.transform
    return (c + a * col).tolist(), (f + e * row).tolist()


def write_points(
    path: Path, x: Sequence[float], y: Sequence[float], names: Sequence[str], *, column: str = "class", head: str = "x,y"
) -> Path:
    """A CSV of points."""
    lines = [f"{each_x!r},{each_y!r},{name}" for each_x, each_y, name in zip(x, y, names, strict=True)]
    path.write_text("\n".join([f"{head},{column}", *lines]) + "\n", "utf-8")
    return path
