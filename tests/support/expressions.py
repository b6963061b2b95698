"""Expression graphs written by hand, and pixel nodes with known values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.emulator.engine import Engine
from cropcam.pipeline.emulator.pixels import Node, Pixels, Reading
from cropcam.pipeline.grid import PixelGrid


def invoke(name: str, **arguments: Any) -> dict[str, Any]:
    """A node that invokes an algorithm; the arguments are nodes."""
    return {"functionInvocationValue": {"functionName": name, "arguments": arguments}}


def reference(key: str) -> dict[str, Any]:
    """A node that refers to another node."""
    return {"valueReference": key}


def expression(root: dict[str, Any], **values: Any) -> dict[str, Any]:
    """A whole expression whose result is `root`."""
    return {"result": "root", "values": {"root": root, **values}}


def compute(**values: Any) -> Any:
    """The value of the node `root` over an archive that does not matter."""
    return Engine(Path()).compute({"result": "root", "values": values})


def call(name: str, **arguments: Any) -> Any:
    """The value of one algorithm on constants."""
    return compute(root=invoke(name, **{key: {"constantValue": value} for key, value in arguments.items()}))


class CountedOnes(Node):
    """Ones on every grid; `reads` counts the evaluations."""

    def __init__(self) -> None:
        self.reads = 0

    def evaluate(self, grid: PixelGrid, reading: Reading) -> Pixels:  # noqa: ARG002 - the same on every grid
        self.reads += 1
        return Pixels(np.ones(grid.shape_yx, np.uint8))


class Fixed(Node):
    """The same values and mask (y, x) on every grid of their shape."""

    def __init__(self, values: npt.ArrayLike, mask: npt.ArrayLike | None = None) -> None:
        self._pixels = Pixels(np.asarray(values), None if mask is None else np.asarray(mask, np.bool_))

    def evaluate(self, grid: PixelGrid, reading: Reading) -> Pixels:  # noqa: ARG002 - the same on every grid
        return self._pixels


def pull(node: Node, grid: PixelGrid) -> np.ma.MaskedArray:
    """A node's pixels (y, x) on a grid."""
    pixels = Reading([(node, grid)]).pull(node, grid)
    mask = np.broadcast_to(True if pixels.mask is None else pixels.mask, grid.shape_yx)
    return np.ma.MaskedArray(np.broadcast_to(pixels.values, grid.shape_yx), ~mask)
