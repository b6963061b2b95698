"""Files of points for the tests of maps against points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.store.patch_store import PatchStore


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


def pixel_place(store: PatchStore, patch: int, y: int, x: int) -> tuple[float, float]:
    """Longitude and latitude of a pixel's centre."""
    info = store.info
    a, _, c, _, e, f = info.transform
    row, col = int(store.row_N[patch]) * info.patch_size_px + y, int(store.col_N[patch]) * info.patch_size_px + x
    lon, lat = transform_points(info.crs, "EPSG:4326", c + a * (col + 0.5), f + e * (row + 0.5))
    return float(lon), float(lat)


def write_split_points(path: Path, store: PatchStore, rows: Sequence[tuple[int, int, int, str, str]]) -> Path:
    """A CSV of points at pixels of patches: patch, y, x, class, split; without the column `split` where no row has one."""
    has_splits = any(row[4] for row in rows)
    lines = ["lon,lat,class,split" if has_splits else "lon,lat,class"]
    for patch, y, x, name, split in rows:
        lon, lat = pixel_place(store, patch, y, x)
        lines.append(f"{lon!r},{lat!r},{name}" + (f",{split}" if has_splits else ""))
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path
