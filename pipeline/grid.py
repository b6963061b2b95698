"""The pixel grid and the patch grid as values. Pure arithmetic; every range is half-open.

Axis order is part of the names: `shape_yx` is (rows, columns), `bounds_xyxy` is (west, south, east, north), transforms
are in affine order (a, b, c, d, e, f): x = a*col + b*row + c, y = d*col + e*row + f, at the upper left pixel corner.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.crs import full_turn, is_geographic, same_crs, system, transform_bounds, transform_points
from cropcam.pipeline.errors import ConfigError, DataError

ALIGNED_PX = 1e-3  # a larger difference of places, anywhere in a raster, is a shift, not rounding
METRES_PER_DEGREE = 111_319.490793  # of longitude on the equator, WGS 84: 6378137 * pi / 180
CDL_CRS = "EPSG:5070"
# Upper left corner of the national CDL raster: pixel corners lie at 15 m modulo 30 m on both axes.
CDL_ORIGIN_XY = (-2_356_095.0, 3_172_605.0)
AffineOrder = tuple[float, float, float, float, float, float]
Floats = npt.NDArray[np.float64]


class Window(NamedTuple):
    """Rows [row, row + height) and columns [col, col + width) of a pixel grid."""

    row: int
    col: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row slice and column slice."""
        return slice(self.row, self.row + self.height), slice(self.col, self.col + self.width)

    def cut(self, side_px: int) -> Iterator[Window]:
        """Windows of at most `side_px` that cover this one exactly once, row by row; the last ones may be smaller."""
        for part in tiles((self.height, self.width), (side_px, side_px)):
            yield part._replace(row=self.row + part.row, col=self.col + part.col)


@dataclass(frozen=True)
class PixelGrid:
    """A north-up raster grid: CRS ("EPSG:n" or WKT), affine transform, size in pixels. Longitudes may lie beyond 180 degrees."""

    crs: str
    transform: AffineOrder
    width: int
    height: int

    @property
    def shape_yx(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.height, self.width

    @property
    def bounds_xyxy(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) in CRS units."""
        a, _, c, _, e, f = self.transform
        return c, f + e * self.height, c + a * self.width, f

    def window(self, window: Window) -> PixelGrid:
        """The grid of a window, whose pixel (0, 0) is pixel (window.row, window.col) of this grid."""
        a, b, c, d, e, f = self.transform
        return PixelGrid(self.crs, (a, b, c + a * window.col, d, e, f + e * window.row), window.width, window.height)

    def centres(self) -> tuple[Floats, Floats]:
        """Pixel centres in CRS units: x of each column (width,), y of each row (height,)."""
        a, _, c, _, e, f = self.transform
        return c + a * (np.arange(self.width, dtype=np.float64) + 0.5), f + e * (np.arange(self.height, dtype=np.float64) + 0.5)

    def index(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(row, col) of the pixel that holds each point: half-open, a point on the upper or left edge is inside.

        Points outside the grid (or not finite) get row and col -1. A longitude is the same with 360 degrees added.
        """
        a, _, c, _, e, f = self.transform
        with np.errstate(invalid="ignore"):
            east = np.asarray(x, np.float64) - c
            if (turn := full_turn(self.crs)) is not None:
                east = np.mod(east, turn)
            col = np.floor(east / a)
            row = np.floor((np.asarray(y, np.float64) - f) / e)
            inside = (col >= 0) & (col < self.width) & (row >= 0) & (row < self.height)
        return np.where(inside, row, -1).astype(np.int64), np.where(inside, col, -1).astype(np.int64)


@dataclass(frozen=True)
class PatchGrid:
    """Square patches of `size_px` on a pixel grid, from its upper left; a remainder at the right and bottom is no patch."""

    pixels: PixelGrid
    size_px: int

    @property
    def columns(self) -> int:
        """Whole patches across."""
        return self.pixels.width // self.size_px

    @property
    def rows(self) -> int:
        """Whole patches down."""
        return self.pixels.height // self.size_px

    @property
    def count(self) -> int:
        """Whole patches in all."""
        return self.rows * self.columns

    def window(self, row: int, col: int) -> Window:
        """The pixels of patch (row, col)."""
        return Window(row * self.size_px, col * self.size_px, self.size_px, self.size_px)


def study_grid(bounds_xyxy: tuple[float, float, float, float], crs: str, scale_m: float) -> PixelGrid:
    """The export grid of a study.

    Geographic CRS: origin (west, north), pixel = scale_m / 111,319.490793 degrees, size = floor(extent / pixel + 1e-6).
    Projected CRS: bounding box of the densified bounds, snapped outward to multiples of the scale; EPSG:5070 snaps to
    the lattice of CDL.

    Args:
        bounds_xyxy: west, south, east, north in degrees (EPSG:4326).
        crs: a code that pyproj accepts.
        scale_m: pixel size in metres.

    Raises:
        ConfigError: the area holds no whole pixel or does not project.
    """
    west, south, east, north = bounds_xyxy
    if is_geographic(crs):
        if crs != "EPSG:4326":
            west, south, east, north = transform_bounds("EPSG:4326", crs, bounds_xyxy)
        pixel = math.radians(scale_m / METRES_PER_DEGREE) / system(crs).axis_info[0].unit_conversion_factor  # degrees; grads in some CRS
        width, height = math.floor((east - west) / pixel + 1e-6), math.floor((north - south) / pixel + 1e-6)
        left, top, step = west, north, pixel
    else:
        left, bottom, right, top = transform_bounds("EPSG:4326", crs, bounds_xyxy)
        if not all(map(math.isfinite, (left, bottom, right, top))):
            raise ConfigError(f"area.bounds do not project to {crs}; choose a CRS that covers them")
        step = scale_m / system(crs).axis_info[0].unit_conversion_factor  # in the unit of the CRS, metres or feet
        x0, y0 = CDL_ORIGIN_XY if crs == CDL_CRS else (0.0, 0.0)
        first, last = math.floor((left - x0) / step), math.ceil((right - x0) / step)
        low, high = math.floor((bottom - y0) / step), math.ceil((top - y0) / step)
        left, top = x0 + first * step, y0 + high * step
        width, height = last - first, high - low
    if width < 1 or height < 1:
        raise ConfigError(f"the area is {width} x {height} px at {scale_m} m: smaller than one pixel; widen area.bounds or lower scale_m")
    return PixelGrid(crs, (step, 0.0, left, 0.0, -step, top), width, height)


def tiles(shape_yx: tuple[int, int], size_yx: tuple[int, int]) -> Iterator[Window]:
    """Windows of at most `size_yx` that cover `shape_yx` exactly once, row by row; the last ones may be smaller."""
    height, width = shape_yx
    for row in range(0, height, size_yx[0]):
        for col in range(0, width, size_yx[1]):
            yield Window(row, col, min(size_yx[0], height - row), min(size_yx[1], width - col))


def nearest_index(source: PixelGrid, target: PixelGrid) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each target pixel the source pixel that contains its exactly projected centre.

    GDAL's approximate transformer is not used, because its result depends on the window: every centre is projected
    exactly.

    Returns:
        (row, col), each int64 of the target's shape; -1 where the centre lies outside the source.
    """
    x, y = target.centres()
    if same_crs(source.crs, target.crs):
        rows, _ = source.index(np.full(len(y), source.transform[2]), y)
        _, cols = source.index(x, np.full(len(x), source.transform[5]))
        outside = (rows[:, None] < 0) | (cols[None, :] < 0)
        return np.where(outside, -1, rows[:, None]), np.where(outside, -1, cols[None, :])
    xx, yy = np.meshgrid(x, y)
    return source.index(*transform_points(target.crs, source.crs, xx, yy))


def resample_nearest(values_yx: npt.NDArray[np.generic], source: PixelGrid, target: PixelGrid, fill: int) -> npt.NDArray[np.generic]:
    """`values_yx` on `source` brought onto `target` by `nearest_index`; `fill` outside the source."""
    if values_yx.shape != source.shape_yx:
        raise DataError(f"an array of {values_yx.shape} does not lie on a grid of {source.shape_yx}")
    row, col = nearest_index(source, target)
    return np.where(row >= 0, values_yx[row, col], np.asarray(fill, values_yx.dtype))


def covering_window(source: PixelGrid, target: PixelGrid, margin_px: int = 2) -> Window | None:
    """The window of `source` with every pixel that `target` can need, or None where the grids do not intersect."""
    west, south, east, north = target.bounds_xyxy
    if not same_crs(source.crs, target.crs):
        west, south, east, north = transform_bounds(target.crs, source.crs, (west, south, east, north))
    if not all(map(math.isfinite, (west, south, east, north))):
        return None
    a, _, c, _, e, f = source.transform
    if not all(map(math.isfinite, ((north - f) / e, (south - f) / e, (west - c) / a, (east - c) / a))):
        return None  # pixels of next to no size
    top, bottom = max(math.floor((north - f) / e) - margin_px, 0), min(math.ceil((south - f) / e) + margin_px, source.height)
    east += (full_turn(source.crs) or 0.0) if west > east else 0.0  # across 180 degrees
    spans = []
    for turn in _turns(source, west, east):
        left, right = math.floor((west + turn - c) / a) - margin_px, math.ceil((east + turn - c) / a) + margin_px
        spans.append((max(left, 0), min(right, source.width)))
    spans = [(left, right) for left, right in spans if left < right]
    if not spans or top >= bottom:
        return None
    left, right = min(left for left, _ in spans), max(right for _, right in spans)
    return Window(top, left, bottom - top, right - left)


def lattice_offset(grid: PixelGrid, other: PixelGrid, times: int = 1) -> tuple[float, float] | None:
    """The (row, col) on `grid` of the upper left of `other`, whose pixels are `times` of the grid's, in one CRS; in pixels of the grid.

    None where the pixels of `other` differ so much that they drift by more than `ALIGNED_PX` over its width or height, or where a longitude
    of it lies in the grid twice.
    """
    (a, _, c, _, e, f), (ga, _, gc, _, ge, gf) = other.transform, grid.transform
    if abs(a / ga - times) * other.width > ALIGNED_PX or abs(e / ge - times) * other.height > ALIGNED_PX:
        return None
    west, _, east, _ = other.bounds_xyxy
    turns = [turn for turn in _turns(grid, west, east) if west + turn < grid.bounds_xyxy[2] and east + turn > gc] or [0.0]
    return ((f - gf) / ge, (c + turns[0] - gc) / ga) if len(turns) == 1 else None


@lru_cache(maxsize=4096)
def same_place(grid: PixelGrid, crs: str) -> bool:
    """Whether coordinates mean the same in a grid's CRS and in another, over the whole grid, to `ALIGNED_PX`: one system, perhaps in other words."""
    if same_crs(grid.crs, crs):
        return True
    if (turn := full_turn(grid.crs)) != full_turn(crs):
        return False
    a, _, _, _, e, _ = grid.transform
    west, south, east, north = grid.bounds_xyxy
    x, y = np.meshgrid(np.linspace(west, east, 9), np.linspace(south, north, 9))
    tx, ty = transform_points(grid.crs, crs, x, y)
    dx = tx - x if turn is None else np.mod(tx - x + turn / 2, turn) - turn / 2
    with np.errstate(invalid="ignore"):
        return bool((np.abs(dx) <= ALIGNED_PX * abs(a)).all() and (np.abs(ty - y) <= ALIGNED_PX * abs(e)).all())


def _turns(grid: PixelGrid, west: float, east: float) -> list[float]:
    """What must be added to a span of x for it to meet a grid: turns of 360 degrees, in any number, or nothing."""
    if (turn := full_turn(grid.crs)) is None:
        return [0.0]
    left, _, right, _ = grid.bounds_xyxy
    return [turn * number for number in range(math.floor((left - east) / turn), math.ceil((right - west) / turn) + 1)]
