"""Pixels combined into coarser ones, each weighted by the share of the coarser pixel that it covers.

Source: Earth Engine guide "Resampling and Reducing Resolution": the weight of an input pixel is the area of its intersection with the
output pixel, divided by the area of the output pixel. Here it is the area in input pixels, which gives the same means.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.pixels import NOTHING, Node, Pixels, Reading
from cropcam.pipeline.emulator.projections import Projection
from cropcam.pipeline.grid import PixelGrid, Window, covering_window
from cropcam.pipeline.runtime.compiled import compiled

Floats = npt.NDArray[np.float64]
SLIVER = 1e-9  # of an input pixel: a smaller area is rounding
_TICK = 2.0**-20  # of an input pixel, to which corners are rounded: what a block computes does not depend on its place
_SEAM = 0.381966  # where the phase of a grid wraps around: not at 0 or a half, where grids begin
_MARGIN_PX = 2
_REQUESTED = Window(0, 0, 0, 0)  # stands for the requested grid itself


class Overlaps(NamedTuple):
    """Which input pixels each output pixel covers: output pixel p has entries first[p] to first[p + 1]."""

    first: npt.NDArray[np.int64]
    source: npt.NDArray[np.int64]  # flat index of the input pixel
    weight: Floats  # area of the intersection in input pixels
    most: int  # input pixels of one output pixel


def overlaps(lattice: Projection, window: Window, target: PixelGrid) -> Overlaps:
    """Overlaps of a grid's pixels with those of a window of a finer lattice; corners are projected exactly, edges are straight between them."""
    a, _, c, _, e, f = target.transform
    x, y = np.meshgrid(edges(c, a, target.width), edges(f, e, target.height))
    x, y = transform_points(target.crs, lattice.crs, x, y)
    a, _, c, _, e, f = lattice.transform
    u = np.round((x - c) / a / _TICK) * _TICK - window.col
    v = np.round((y - f) / e / _TICK) * _TICK - window.row
    first, source, weight = _overlapping(u, v, window.width, window.height)
    return Overlaps(first, source, weight, int(np.diff(first).max(initial=0)))


def edges(origin: float, step: float, count: int) -> Floats:
    """The edges (count + 1,) of pixels along one axis, with the same bits in every window of a grid.

    The origin of a window carries the rounding of its own offset. It is taken modulo the pixel and rounded to the decimal
    digit below a millionth of it; the edges are whole pixels from there.
    """
    whole = math.floor(origin / step + _SEAM)
    digit = 10.0 ** math.floor(math.log10(abs(step) * 1e-6))
    return step * (np.arange(count + 1) + whole).astype(np.float64) + round((origin - whole * step) / digit) * digit


class Reduced(Node):
    """The weighted mean, or the value with the largest weight, of the valid input pixels inside each pixel of the requested grid.

    Where the requested pixels are not larger than the input's, the input itself, by the nearest rule.
    """

    def __init__(self, image: Node, lattice: Projection, window: Window | None, kind: str, most: int) -> None:
        self.inputs, self._lattice, self._window, self._kind, self._most = (image,), lattice, window, kind, most

    def wants(self, grid: PixelGrid) -> Sequence[tuple[Node, PixelGrid]]:
        """The input on its own pixels."""
        window = self._own(grid)
        return [] if window is None else [(self.inputs[0], self._grid(window, grid))]

    def evaluate(self, grid: PixelGrid, reading: Reading) -> Pixels:
        """Float64 means, or values of the input's type.

        Raises:
            EngineError: more input pixels meet an output pixel than allowed.
        """
        window = self._own(grid)
        if window is None:
            return Pixels(np.zeros((), np.uint8), NOTHING)
        own_grid = self._grid(window, grid)
        pixels = reading.pull(self.inputs[0], own_grid)
        if own_grid is grid or pixels.is_empty:
            return pixels
        found: Overlaps = reading.once((self._lattice, window, grid), lambda: overlaps(self._lattice, window, grid))
        if found.most > self._most:
            raise EngineError(
                f"Image.reduceResolution: Too many input pixels per output pixel. Found {found.most}, but maxPixels only allows {self._most}."
            )
        values = np.ascontiguousarray(np.broadcast_to(pixels.values, own_grid.shape_yx)).ravel()
        valid = np.ones(values.size, np.bool_) if pixels.mask is None else np.broadcast_to(pixels.mask, own_grid.shape_yx).ravel()
        if self._kind == "mean":
            reduced, total = _mean(values.astype(np.float64), valid, *found[:3])
        else:
            reduced, total = _mode(values, valid, *found[:3])
        return Pixels(reduced.reshape(grid.shape_yx), (total > 0).reshape(grid.shape_yx))

    def _grid(self, window: Window, grid: PixelGrid) -> PixelGrid:
        return grid if window is _REQUESTED else self._lattice.grid(window)

    def _own(self, grid: PixelGrid) -> Window | None:
        """The window of the lattice that a grid's pixels meet; `_REQUESTED` where they are no larger than the lattice's; None outside the input."""
        if self._lattice.holds(grid):
            return _REQUESTED
        # by the scales at the origins of both, which are those of every window
        if not Projection(grid.crs, grid.transform).nominal_scale_m > self._lattice.nominal_scale_m * (1 + _TICK):
            return _REQUESTED
        whole = self._window or self._around(grid)
        found = covering_window(self._lattice.grid(whole), grid, _MARGIN_PX)
        return None if found is None else Window(whole.row + found.row, whole.col + found.col, found.height, found.width)

    def _around(self, grid: PixelGrid) -> Window:
        west, south, east, north = grid.bounds_xyxy
        x, y = transform_points(grid.crs, self._lattice.crs, *np.meshgrid(np.linspace(west, east, 41), np.linspace(south, north, 41)))
        return self._lattice.covering((float(x.min()), float(y.min()), float(x.max()), float(y.max())))


@compiled
def _edge(xa: float, ya: float, xb: float, yb: float) -> float:
    """What an edge adds to the signed area of a polygon within the unit square: the integral of its clamped height."""
    first, last = min(max(xa, 0.0), 1.0), min(max(xb, 0.0), 1.0)
    if first == last:
        return 0.0
    slope = (yb - ya) / (xb - xa)
    y0, y1 = ya + (first - xa) * slope, ya + (last - xa) * slope
    low, high = min(y0, y1), max(y0, y1)
    a, b = min(max(low, 0.0), 1.0), min(max(high, 0.0), 1.0)
    if high == low:
        return (last - first) * a
    above = max(high, 1.0) - max(low, 1.0)
    return (last - first) * ((b - a) * (a + b) / 2.0 + above) / (high - low)


@compiled
def _area(u: Floats, v: Floats, row: int, col: int, left: int, top: int) -> float:
    """The area of output pixel (row, col) within the input pixel (top, left), in input pixels."""
    x0, x1, x2, x3 = u[row, col] - left, u[row, col + 1] - left, u[row + 1, col + 1] - left, u[row + 1, col] - left
    y0, y1, y2, y3 = v[row, col] - top, v[row, col + 1] - top, v[row + 1, col + 1] - top, v[row + 1, col] - top
    return abs(_edge(x0, y0, x1, y1) + _edge(x1, y1, x2, y2) + _edge(x2, y2, x3, y3) + _edge(x3, y3, x0, y0))


@compiled
def _box(u: Floats, v: Floats, row: int, col: int, width: int, height: int) -> tuple[int, int, int, int]:
    """The input pixels around output pixel (row, col): left, right, top, bottom, half-open."""
    us = (u[row, col], u[row, col + 1], u[row + 1, col], u[row + 1, col + 1])
    vs = (v[row, col], v[row, col + 1], v[row + 1, col], v[row + 1, col + 1])
    left, right = int(np.floor(min(us))), int(np.ceil(max(us)))
    top, bottom = int(np.floor(min(vs))), int(np.ceil(max(vs)))
    return max(left, 0), min(right, width), max(top, 0), min(bottom, height)


@compiled
def _overlapping(u: Floats, v: Floats, width: int, height: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """The first entry of each output pixel, and the flat index and area of each input pixel, from the corners in input pixels."""
    rows, cols = u.shape[0] - 1, u.shape[1] - 1
    room = 0
    for row in range(rows):
        for col in range(cols):
            left, right, top, bottom = _box(u, v, row, col, width, height)
            room += max(right - left, 0) * max(bottom - top, 0)
    first, source, weight = np.zeros(rows * cols + 1, np.int64), np.empty(room, np.int64), np.empty(room, np.float64)
    place = 0
    for row in range(rows):
        for col in range(cols):
            left, right, top, bottom = _box(u, v, row, col, width, height)
            for y in range(top, bottom):
                for x in range(left, right):
                    area = _area(u, v, row, col, x, y)
                    if area > SLIVER:
                        source[place], weight[place] = y * width + x, area
                        place += 1
            first[row * cols + col + 1] = place
    return first, source[:place], weight[:place]


@compiled
def _mean(
    values: Floats, valid: npt.NDArray[np.bool_], first: npt.NDArray[np.int64], source: npt.NDArray[np.int64], weight: Floats
) -> tuple[Floats, Floats]:
    """Weighted means and the sums of weights."""
    result, total = np.zeros(len(first) - 1), np.zeros(len(first) - 1)
    for pixel in range(len(first) - 1):
        for place in range(first[pixel], first[pixel + 1]):
            if valid[source[place]]:
                result[pixel] += values[source[place]] * weight[place]
                total[pixel] += weight[place]
        if total[pixel] > 0:
            result[pixel] /= total[pixel]
    return result, total


@compiled
def _mode(
    values: npt.NDArray[Any],
    valid: npt.NDArray[np.bool_],
    first: npt.NDArray[np.int64],
    source: npt.NDArray[np.int64],
    weight: Floats,
) -> tuple[npt.NDArray[Any], Floats]:
    """The value with the largest sum of weights, the smallest of equals, and that sum."""
    result, best = np.zeros(len(first) - 1, values.dtype), np.zeros(len(first) - 1)
    for pixel in range(len(first) - 1):
        for place in range(first[pixel], first[pixel + 1]):
            if not valid[source[place]]:
                continue
            value, total = values[source[place]], 0.0
            for other in range(first[pixel], first[pixel + 1]):
                if valid[source[other]] and values[source[other]] == value:
                    total += weight[other]
            if total > best[pixel] + SLIVER or (abs(total - best[pixel]) <= SLIVER and value < result[pixel]):
                result[pixel], best[pixel] = value, total
    return result, best
