"""Projections as Earth Engine has them: a CRS and an affine lattice without an extent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from pyproj import CRS

from cropcam.pipeline.crs import is_geographic, same_crs
from cropcam.pipeline.emulator import crs_codes
from cropcam.pipeline.emulator.errors import EngineError, unimplemented
from cropcam.pipeline.emulator.values import Value
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.grid import METRES_PER_DEGREE, AffineOrder, PixelGrid, Window

UNIT: AffineOrder = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
ROUNDING_PX = 1e-9  # by so much rounding errors of doubles move a bound off its lattice line; any further it rounds outward
ALIGNED_PX = 1e-6  # two lattices whose lines lie within this distance, in pixels, have the same pixels


@dataclass(frozen=True)
class Projection:
    """A CRS and the affine transform (a, b, c, d, e, f) of a lattice; by default degrees of EPSG:4326."""

    crs: str = "EPSG:4326"
    transform: AffineOrder = UNIT

    @classmethod
    def of(cls, crs: str, transform: AffineOrder = UNIT) -> Projection:
        """The projection of a CRS that exists.

        Raises:
            EngineError: the CRS is unknown to pyproj.
        """
        try:
            is_geographic(crs)
        except ConfigError:
            raise EngineError(f"Projection: The CRS of a map projection could not be parsed: '{crs}'.") from None
        return cls(crs, transform)

    @property
    def is_default(self) -> bool:
        """Whether this is the default projection of a computed image."""
        return self == Projection()

    @property
    def nominal_scale_m(self) -> float:
        """Metres per pixel, measured at the origin of the CRS."""
        a, _, _, _, e, _ = self.transform
        return math.sqrt(abs(a * e)) * metres_per_unit(self.crs)

    def at_scale(self, scale_m: float) -> Projection:
        """The same CRS with square pixels of `scale_m` metres on the lattice through its origin, north up."""
        step = scale_m / metres_per_unit(self.crs)
        return Projection(self.crs, (step, 0.0, 0.0, 0.0, -step, 0.0))

    def grid(self, window: Window) -> PixelGrid:
        """The pixels of a window of the lattice as a grid."""
        a, b, c, d, e, f = self.transform
        return PixelGrid(self.crs, (a, b, c + a * window.col, d, e, f + e * window.row), window.width, window.height)

    def covering(self, bounds_xyxy: tuple[float, float, float, float]) -> Window:
        """The window of the lattice that covers bounds in CRS units, rounded outward: see `outward`."""
        a, _, c, _, e, f = self.transform
        west, south, east, north = bounds_xyxy
        return outward(((west - c) / a, (south - f) / e, (east - c) / a, (north - f) / e))

    def holds(self, grid: PixelGrid) -> bool:
        """Whether the grid's pixels are pixels of this lattice."""
        a, _, c, _, e, f = self.transform
        ga, _, gc, _, ge, gf = grid.transform
        if not same_crs(self.crs, grid.crs):
            return False
        if not (math.isclose(a, ga, rel_tol=1e-12) and math.isclose(e, ge, rel_tol=1e-12)):
            return False
        return all(abs(offset - round(offset)) < ALIGNED_PX for offset in ((gc - c) / a, (gf - f) / e))

    @property
    def wkt(self) -> str:
        """The CRS as well-known text."""
        return str(CRS.from_user_input(self.crs).to_wkt("WKT1_GDAL"))

    def describe(self) -> dict[str, Any]:
        """The projection as `getInfo` returns it."""
        return {"type": "Projection", **crs_field(self.crs), "transform": list(self.transform)}


DEGREES = Projection()


def outward(bounds_px: tuple[float, float, float, float]) -> Window:
    """The pixels that cover bounds given in columns and rows; a bound more than 1e-9 px off a line takes one more.

    The service rounds the grid of a clipped export outward; how much it forgives is not documented. Nothing but the
    rounding errors of doubles is forgiven here.
    """
    first_col, first_row, last_col, last_row = bounds_px
    cols, rows = sorted((first_col, last_col)), sorted((first_row, last_row))
    left, right = math.floor(cols[0] + ROUNDING_PX), math.ceil(cols[1] - ROUNDING_PX)
    top, bottom = math.floor(rows[0] + ROUNDING_PX), math.ceil(rows[1] - ROUNDING_PX)
    return Window(top, left, max(bottom - top, 1), max(right - left, 1))


@lru_cache(maxsize=256)
def metres_per_unit(crs: str) -> float:
    """Metres per unit of the CRS: of a degree, 111,319.490793 (on the equator)."""
    if is_geographic(crs):
        return METRES_PER_DEGREE
    return float(CRS.from_user_input(crs).axis_info[0].unit_conversion_factor)


def crs_field(crs: str) -> dict[str, str]:
    """The CRS under its JSON key: "crs" for a code, "wkt" for anything else."""
    return crs_codes.field_of(crs)


def affine(values: Value) -> AffineOrder:
    """Six numbers as a transform in affine order.

    Raises:
        EngineError: not six numbers, or they span no area, or a shear or rotation, which no grid here has.
    """
    if not isinstance(values, list | tuple) or len(values) != 6 or not all(isinstance(v, int | float) for v in values):
        raise EngineError("Projection: The CRS transform must be a list of 6 numbers.")
    a, b, c, d, e, f = (float(v) for v in values)
    if a * e - b * d == 0 or not np.isfinite([a, b, c, d, e, f]).all():
        raise EngineError("Projection: The CRS transform is not invertible.")
    if b or d:
        raise unimplemented("A sheared or rotated CRS transform")
    return a, b, c, d, e, f


def crs_name(value: str) -> str:
    """A CRS as its shortest name: its EPSG code where it has one.

    Raises:
        EngineError: the service takes no such text.
    """
    return crs_codes.of_text(value)
