"""More nodes: masks, stacks, lattices, clips, coordinates."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from pyproj import Geod

from cropcam.pipeline.crs import is_geographic, same_crs
from cropcam.pipeline.emulator.geometry import Geometry
from cropcam.pipeline.emulator.pixels import NOTHING, Node, Pixels, Reading, both
from cropcam.pipeline.emulator.projections import UNIT, Projection
from cropcam.pipeline.emulator.reducers import filled
from cropcam.pipeline.grid import AffineOrder, PixelGrid, Window, nearest_index

_GEOD = Geod(ellps="WGS84")


class Masked(Node):
    """The first input where it is valid and the second is valid and not 0."""

    def __init__(self, image: Node, mask: Node) -> None:
        self.inputs = (image, mask)

    def evaluate(self, grid: PixelGrid, reading: Reading) -> Pixels:
        """The first input's values; not evaluated where the mask is empty."""
        image, mask = self.inputs
        mask_values = reading.pull(mask, grid)
        valid = both(np.not_equal(mask_values.values, 0), mask_values.mask)
        if valid is not None and valid.ndim == 0:
            if not valid:
                return Pixels(np.zeros((), np.uint8), NOTHING)
            valid = None
        pixels = reading.pull(image, grid)
        return Pixels(pixels.values, both(pixels.mask, valid))


class MaskOf(Node):
    """1 where the input is valid, else 0; valid everywhere."""

    def __init__(self, image: Node) -> None:
        self.inputs = (image,)

    def evaluate(self, grid: PixelGrid, reading: Reading) -> Pixels:
        """The mask as uint8."""
        mask = reading.pull(self.inputs[0], grid).mask
        return Pixels(np.ones((), np.uint8) if mask is None else mask.view(np.uint8))


class Filled(Node):
    """The first input where it is valid, else the second; within a footprint where one is given."""

    def __init__(self, image: Node, value: Node, footprint: Node | None) -> None:
        self.inputs = (image, value) if footprint is None else (image, value, footprint)

    def evaluate(self, grid: PixelGrid, reading: Reading) -> Pixels:
        """Both inputs' values in the type that holds them."""
        image, value, *footprint = (reading.pull(node, grid) for node in self.inputs)
        result = filled(image, value)
        return Pixels(result.values, both(result.mask, footprint[0].mask)) if footprint else result


class Where(Node):
    """The third input where the second is valid and not 0 (and the third valid), else the first; the first's mask."""

    def __init__(self, image: Node, test: Node, value: Node) -> None:
        self.inputs = (image, test, value)

    def evaluate(self, grid: PixelGrid, reading: Reading) -> Pixels:
        """Both inputs' values in the type that holds them."""
        image, test, value = (reading.pull(node, grid) for node in self.inputs)
        chosen = both(both(np.not_equal(test.values, 0), test.mask), value.mask)
        return Pixels(value.values if chosen is None else np.where(chosen, value.values, image.values), image.mask)


class Stack(Node):
    """A reduction over many inputs."""

    def __init__(self, reduce: Callable[[Sequence[Pixels]], Pixels], inputs: Sequence[Node]) -> None:
        self._reduce, self.inputs = reduce, tuple(inputs)

    def evaluate(self, grid: PixelGrid, reading: Reading) -> Pixels:
        """The reduction of all inputs on the grid."""
        return self._reduce([reading.pull(node, grid) for node in self.inputs])


class Reprojected(Node):
    """The input computed on a lattice, then brought onto the grid by the nearest rule."""

    def __init__(self, image: Node, lattice: Projection) -> None:
        self.inputs, self._lattice = (image,), lattice

    def wants(self, grid: PixelGrid) -> Sequence[tuple[Node, PixelGrid]]:
        """The input on the lattice's pixels; on the grid itself where its pixels are the lattice's."""
        return [(self.inputs[0], self._own(grid))]

    def evaluate(self, grid: PixelGrid, reading: Reading) -> Pixels:
        """The input's values."""
        own_grid = self._own(grid)
        pixels = reading.pull(self.inputs[0], own_grid)
        if own_grid is grid or (pixels.values.ndim == 0 and (pixels.mask is None or pixels.mask.ndim == 0)):
            return pixels
        row, col = nearest_index(own_grid, grid)
        inside = row >= 0
        mask = inside if pixels.mask is None else inside & np.broadcast_to(pixels.mask, own_grid.shape_yx)[row, col]
        return Pixels(np.broadcast_to(pixels.values, own_grid.shape_yx)[row, col], mask)

    def _own(self, grid: PixelGrid) -> PixelGrid:
        if self._lattice.holds(grid):
            return grid
        window = Geometry.rectangle(grid.bounds_xyxy, grid.crs).window(self._lattice)
        return self._lattice.grid(Window(window.row - 1, window.col - 1, window.height + 2, window.width + 2))


class Within(Node):
    """Valid (and 1) where pixel centres lie within a geometry."""

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry

    def evaluate(self, grid: PixelGrid, reading: Reading) -> Pixels:
        """The geometry as a mask of ones."""
        ones = np.ones((), np.uint8)
        if same_crs(self._geometry.crs, grid.crs):
            x, y = grid.centres()
            inside = self._geometry.contains(x[None, :], y[:, None])
        else:
            inside = self._geometry.contains(*reading.points(self._geometry.crs, grid))
        return Pixels(ones) if inside.all() else Pixels(ones, inside if inside.any() else NOTHING)


class Coordinates(Node):
    """x (axis 0) or y (axis 1) of pixel centres in a CRS, on a lattice of it."""

    def __init__(self, crs: str, axis: int, transform: AffineOrder = UNIT) -> None:
        self._crs, self._axis, self._transform = crs, axis, transform

    def evaluate(self, grid: PixelGrid, reading: Reading) -> Pixels:
        """float64 (y, x)."""
        a, _, c, _, e, f = self._transform
        values = reading.points(self._crs, grid)[self._axis]
        return Pixels((values - (f if self._axis else c)) / (e if self._axis else a))


class PixelAreas(Node):
    """Pixel areas in square metres: on the WGS 84 ellipsoid for a CRS in degrees, else in the plane of the CRS."""

    def evaluate(self, grid: PixelGrid, reading: Reading) -> Pixels:  # noqa: ARG002 - follows from the grid alone
        """float64, (y, x) in degrees, else 0-d."""
        a, _, c, _, e, f = grid.transform
        if not is_geographic(grid.crs):
            return Pixels(np.asarray(abs(a * e)))
        rows = np.empty((grid.height, 1))
        for row in range(grid.height):
            north, south = f + e * row, f + e * (row + 1)
            area, _ = _GEOD.polygon_area_perimeter([c, c + a, c + a, c], [south, south, north, north])
            rows[row] = abs(area)
        return Pixels(np.broadcast_to(rows, grid.shape_yx))


class Remapped(Node):
    """Listed values replaced; others masked, or replaced by a default."""

    def __init__(self, image: Node, table: dict[float, float], default: float | None, dtype: npt.DTypeLike) -> None:
        self.inputs = (image,)
        self._sources = np.array(sorted(table))
        self._targets = np.array([table[key] for key in sorted(table)], dtype)
        self._default = default

    def evaluate(self, grid: PixelGrid, reading: Reading) -> Pixels:
        """The replaced values."""
        pixels = reading.pull(self.inputs[0], grid)
        if pixels.is_empty or not self._sources.size:
            return pixels if pixels.is_empty else self._unmatched(pixels)
        place = np.minimum(np.searchsorted(self._sources, pixels.values), len(self._sources) - 1)
        hit = np.asarray(self._sources[place] == pixels.values)
        values = self._targets[place]
        if self._default is None:
            return Pixels(values, both(pixels.mask, hit))
        return Pixels(np.where(hit, values, self._targets.dtype.type(self._default)), pixels.mask)

    def _unmatched(self, pixels: Pixels) -> Pixels:
        if self._default is None:
            return Pixels(np.zeros((), np.uint8), NOTHING)
        return Pixels(np.asarray(self._default, self._targets.dtype), pixels.mask)
