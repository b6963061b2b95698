"""Nodes of pixel computations, and one reading of them on a grid.

A node is one band's computation. `Reading.pull` evaluates a node on a grid once, however many consumers share it, and
forgets the result when the last consumer has had it, so that memory follows the width of the graph and not its size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.crs import same_crs, transform_points
from cropcam.pipeline.emulator import budget
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.service_texts import TEXTS
from cropcam.pipeline.grid import PixelGrid, Window, covering_window, nearest_index

Values = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
NOTHING: Mask = np.zeros((), np.bool_)
MOST_PX = 80 * 2**20 // 8  # of one grid in one reading: 80 MiB of doubles, as of a computed image
MOST_STEPS = 500_000  # nodes on grids


class Pixels(NamedTuple):
    """Values and validity on a grid, each (y, x) or 0-d where it is constant; mask None = all valid."""

    values: Values
    mask: Mask | None = None

    @property
    def is_empty(self) -> bool:
        """Whether the mask is the constant False."""
        return self.mask is not None and self.mask.ndim == 0 and not self.mask


class Place(NamedTuple):
    """Where a target grid's pixels lie in a window of a source: flat indices (int64, 0 outside), None inside = all."""

    window: Window
    flat: npt.NDArray[np.int64]
    inside: Mask | None


def both(first: Mask | None, second: Mask | None) -> Mask | None:
    """Where both masks are valid."""
    if first is None or second is None:
        return second if first is None else first
    if first.ndim == 0 or second.ndim == 0:
        constant, other = (first, second) if first.ndim == 0 else (second, first)
        return other if constant else NOTHING
    return np.logical_and(first, second)


class Node(ABC):
    """One band's computation. Evaluation is a pure function of the grid."""

    inputs: tuple[Node, ...] = ()

    def wants(self, grid: PixelGrid) -> Sequence[tuple[Node, PixelGrid]]:
        """Every (node, grid) that evaluation on `grid` may pull, one entry per pull."""
        return [(node, grid) for node in self.inputs]

    @abstractmethod
    def evaluate(self, grid: PixelGrid, reading: Reading) -> Pixels:
        """Values and mask on the grid."""


class Reading:
    """One read of some nodes: results by (node, grid), reference counts, source places computed once per grid."""

    def __init__(self, roots: Sequence[tuple[Node, PixelGrid]]) -> None:
        self._left: Counter[tuple[Node, PixelGrid]] = Counter()
        self._done: dict[tuple[Node, PixelGrid], Pixels] = {}
        self._places: dict[tuple[PixelGrid, PixelGrid], Place | None] = {}
        self._points: dict[tuple[str, PixelGrid], tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]] = {}
        self._once: dict[Any, Any] = {}
        waiting = list(roots)
        while waiting:
            key = waiting.pop()
            if key not in self._left:
                _check_grid(key[1], len(self._left))
                waiting.extend(key[0].wants(key[1]))
            self._left[key] += 1

    def pull(self, node: Node, grid: PixelGrid) -> Pixels:
        """The node's pixels on the grid, from memory where another consumer had them first."""
        key = (node, grid)
        values = self._done.get(key)
        if values is None:
            budget.check_time()
            values = node.evaluate(grid, self)
        self._left[key] -= 1
        if self._left[key] > 0:
            self._done[key] = values
        else:
            self._done.pop(key, None)
        return values

    def once(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:  # noqa: ANN401 - of the caller's type
        """A value that several nodes of this reading share, made at the first request."""
        if key not in self._once:
            self._once[key] = make()
        return self._once[key]

    def points(self, crs: str, grid: PixelGrid) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The grid's pixel centres projected exactly to a CRS: x and y, each (y, x)."""
        key = (crs, grid)
        if key not in self._points:
            x, y = np.meshgrid(*grid.centres())
            self._points[key] = (x, y) if same_crs(grid.crs, crs) else transform_points(grid.crs, crs, x, y)
        return self._points[key]

    def place(self, source: PixelGrid, grid: PixelGrid) -> Place | None:
        """Source pixels of the grid's pixels by the nearest rule; None where the grids do not intersect."""
        key = (source, grid)
        if key not in self._places:
            self._places[key] = self._find_place(source, grid)
        return self._places[key]

    def _find_place(self, source: PixelGrid, grid: PixelGrid) -> Place | None:
        window = covering_window(source, grid)
        if window is None:
            return None
        part = source.window(window)
        same = same_crs(source.crs, grid.crs)
        row, col = nearest_index(part, grid) if same else part.index(*self.points(source.crs, grid))
        inside = row >= 0
        if not inside.any():
            return None
        flat = np.where(inside, row * window.width + col, 0)
        return Place(window, flat, None if inside.all() else inside)


def _check_grid(grid: PixelGrid, steps: int) -> None:
    """Refuse pixels that a reprojection below makes too many of, and too many steps on them."""
    if grid.width * grid.height > MOST_PX:
        raise EngineError(f"Reprojection output too large ({grid.width}x{grid.height} pixels).")
    if steps > MOST_STEPS:
        raise TEXTS["memory"].error()


class Constant(Node):
    """The same value everywhere."""

    def __init__(self, value: npt.ArrayLike, dtype: npt.DTypeLike, *, valid: bool = True) -> None:
        self._pixels = Pixels(np.asarray(value, dtype), None if valid else NOTHING)

    def evaluate(self, grid: PixelGrid, reading: Reading) -> Pixels:  # noqa: ARG002 - the same on every grid
        """The constant, 0-d."""
        return self._pixels


class Apply(Node):
    """A function of its inputs' values, pixel by pixel; valid where all inputs are."""

    def __init__(self, function: Callable[..., Values], *inputs: Node) -> None:
        self._function, self.inputs = function, inputs

    def evaluate(self, grid: PixelGrid, reading: Reading) -> Pixels:
        """The function's result; not computed where no pixel is valid."""
        pulled = [reading.pull(node, grid) for node in self.inputs]
        mask = None
        for pixels in pulled:
            mask = both(mask, pixels.mask)
        if mask is not None and mask.ndim == 0 and not mask:
            return Pixels(np.zeros((), np.uint8), NOTHING)
        return Pixels(self._function(*(pixels.values for pixels in pulled)), mask)
