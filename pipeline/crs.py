"""Coordinate reference systems as texts: all that a file has of one, which two are one, points from one to another, longitudes a turn apart.

A longitude is the same place with a full turn added. Where points or boxes are projected, longitudes come out between minus and plus half a turn; a
grid has its own range, and `PixelGrid.index` and `covering_window` meet it.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from cropcam.pipeline.errors import ConfigError

if TYPE_CHECKING:
    import rasterio.crs

WKT = "WKT2_2019"
_LIKELY = 20  # per cent: how sure PROJ must be of a code before it is compared
Floats = npt.NDArray[np.float64]


def crs_text(found: rasterio.crs.CRS) -> str:
    """The CRS of an opened raster as a text that loses nothing but heights: a code where the code means the same, else WKT 2.

    GDAL's own text is the code of the most similar system, even where a datum shift of the file's own (TOWGS84) makes another place of it.

    Raises:
        pyproj.exceptions.CRSError, rasterio.errors.CRSError: it cannot be read.
    """
    return _text(found.to_wkt(version=WKT))


@lru_cache(maxsize=256)
def _text(wkt: str) -> str:
    own = _flat(CRS.from_wkt(wkt))
    for code in (own.to_epsg(_LIKELY), own.to_authority(min_confidence=_LIKELY)):
        text = f"EPSG:{code}" if isinstance(code, int) else ":".join(code or ())
        if text and own.equals(CRS.from_user_input(text), ignore_axis_order=True):
            return text
    return str(own.to_wkt(WKT))


def _flat(system: CRS) -> CRS:
    """The part of a CRS that has x and y: a raster of one value a pixel has no heights."""
    if system.is_compound:
        return system.sub_crs_list[0]
    return system.to_2d() if len(system.axis_info) > 2 and not system.is_geocentric else system


@lru_cache(maxsize=256)
def system(crs: str) -> CRS:
    """The CRS of a text, its horizontal part alone."""
    return _flat(CRS.from_user_input(crs))


@lru_cache(maxsize=256)
def is_geographic(crs: str) -> bool:
    """Whether the coordinates of the CRS are longitude and latitude.

    Raises:
        ConfigError: unknown to pyproj, or neither geographic nor projected.
    """
    try:
        found = system(crs)
    except CRSError:
        raise ConfigError(f"{crs!r} is not a coordinate reference system; write an EPSG code such as EPSG:5070") from None
    if not (found.is_geographic or found.is_projected):
        raise ConfigError(f"{crs!r} ({found.name}) is neither projected nor in longitude and latitude; write for example EPSG:5070")
    return bool(found.is_geographic)


@lru_cache(maxsize=256)
def full_turn(crs: str) -> float | None:
    """Once around the globe in longitudes of the CRS, 360 where it is in degrees; None of a projected CRS."""
    found = system(crs)
    if not found.is_geographic:
        return None
    turns = 2 * math.pi / found.axis_info[0].unit_conversion_factor
    return float(round(turns)) if abs(turns - round(turns)) < 1e-6 else turns  # degrees or grads exactly


@lru_cache(maxsize=256)
def same_crs(first: str, second: str) -> bool:
    """Whether two CRS texts mean the same system; a datum shift of its own makes another one."""
    return first == second or system(first).equals(system(second), ignore_axis_order=True)


def transform_points(source_crs: str, target_crs: str, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Points from one CRS to another, always in (x, y) = (longitude, latitude) or (easting, northing) order.

    Longitudes may come with turns added, and come out between minus and plus half a turn.
    """
    tx, ty = _transformer(source_crs, target_crs).transform(_normal(x, full_turn(source_crs)), y)
    return _normal(tx, full_turn(target_crs)), np.asarray(ty)


def transform_bounds(source_crs: str, target_crs: str, bounds_xyxy: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """The box (west, south, east, north) in the target CRS that holds the densified bounds; west is above east across 180 degrees."""
    west, south, east, north = bounds_xyxy
    if (turn := full_turn(source_crs)) is not None and max(abs(west), abs(east)) > turn / 2:
        west, east = _normal_span(west, east, turn)
    west, south, east, north = _transformer(source_crs, target_crs).transform_bounds(west, south, east, north, densify_pts=101)
    if (turn := full_turn(target_crs)) is not None and west <= east and max(abs(west), abs(east)) > turn / 2:
        west, east = _normal_span(west, east, turn)
        east -= turn if east > turn / 2 else 0.0
    return west, south, east, north


def _normal(x: npt.ArrayLike, turn: float | None) -> Floats:
    """Longitudes between minus and plus half a turn; those that are stay as they are."""
    lon = np.asarray(x, np.float64)
    if turn is None or not (beyond := np.abs(lon) > turn / 2).any():
        return lon
    with np.errstate(invalid="ignore"):  # infinite where a point does not project
        return np.where(beyond & np.isfinite(lon), np.mod(lon + turn / 2, turn) - turn / 2, lon)


def _normal_span(west: float, east: float, turn: float) -> tuple[float, float]:
    """The same span of longitudes with its west between minus and plus half a turn; its east may lie beyond."""
    if not math.isfinite(west) or not math.isfinite(east):
        return west, east
    if east - west >= turn:
        return -turn / 2, turn / 2
    turns = math.floor((west + turn / 2) / turn)
    return west - turns * turn, east - turns * turn


@lru_cache(maxsize=64)
def _transformer(source_crs: str, target_crs: str) -> Transformer:
    return Transformer.from_crs(system(source_crs), system(target_crs), always_xy=True)
