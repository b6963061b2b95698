"""The outline of grids in longitude and latitude (WGS 84), as GeoJSON has it: bent edges, cut at 180 degrees, around a pole where one lies inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import shapely
from shapely.affinity import translate

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.grid import PixelGrid

EDGE_POINTS = 64  # pieces of an edge: within 1 m of the curve over 1,000 km
DIGITS = 7  # of a degree: 1 cm
_NEARLY_DEGREES = 1e-5  # 1 m: nearer points of an edge are left out


class Footprint(NamedTuple):
    """A place on the globe, in degrees.

    Attributes:
        geometry: a GeoJSON Polygon or MultiPolygon of WGS 84; no part crosses 180 degrees (RFC 7946, section 3.1.9).
        bbox: (west, south, east, north); west is greater than east where it crosses 180 degrees (RFC 7946, section 5.2).
    """

    geometry: dict[str, Any]
    bbox: tuple[float, float, float, float]


def footprint(grids: Sequence[PixelGrid]) -> Footprint | None:
    """The outline of one grid or of several together; None where no place of them is on the globe."""
    outlines = [outline for grid in grids if (outline := _outline(grid)) is not None]
    if not outlines:
        return None
    # around the first one: grids on both sides of 180 degrees have one box, not the whole globe
    middle = _middle(outlines[0])
    outlines = [translate(each, 360.0 * _turns(middle - _middle(each))) for each in outlines]
    whole = shapely.simplify(shapely.union_all(outlines), _NEARLY_DEGREES)
    west, south, east, north = whole.bounds
    if east - west >= 360.0:
        west, east = -180.0, 180.0
    parts = [_cut(whole, turn) for turn in range(_turns(whole.bounds[0]), _turns(whole.bounds[2]) + 1)]
    polygons = [polygon for polygon in shapely.get_parts(shapely.union_all(parts)) if polygon.area > 0]
    shape = shapely.orient_polygons(polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons))
    box = (_normal(west), south, east if east == 180.0 else _normal(east), north)
    return Footprint(_rounded(shapely.geometry.mapping(shape)), tuple(round(float(value), DIGITS) for value in box))  # type: ignore[arg-type]


def _outline(grid: PixelGrid) -> shapely.Polygon | None:
    """The polygon of a grid, its longitudes continuous along the edges and therefore perhaps beyond 180 degrees."""
    west, south, east, north = grid.bounds_xyxy
    step, side = np.arange(EDGE_POINTS) / EDGE_POINTS, np.ones(EDGE_POINTS)
    x = np.concatenate([west + (east - west) * step, east * side, east + (west - east) * step, west * side])
    y = np.concatenate([south * side, south + (north - south) * step, north * side, north + (south - north) * step])
    lon, lat = transform_points(grid.crs, "EPSG:4326", x, y)
    reached = np.isfinite(lon) & np.isfinite(lat)
    if reached.sum() < 3:
        return None
    lon, lat = lon[reached], np.clip(lat[reached], -90.0, 90.0)
    lon = np.unwrap(np.append(lon, lon[0]), period=360.0)
    turn, lon = lon[-1] - lon[0], lon[:-1]
    if abs(turn) > 180.0:  # once around a pole: to it, along it, and back
        pole = 90.0 if lat.mean() > 0 else -90.0
        lon = np.concatenate([lon, [lon[0] + turn, lon[0] + turn, lon[0]]])
        lat = np.concatenate([lat, [lat[0], pole, pole]])
    polygon = shapely.make_valid(shapely.Polygon(np.column_stack([lon, lat])), method="structure")
    return polygon if polygon.area > 0 else None


def _cut(whole: Any, turn: int) -> Any:  # noqa: ANN401 - shapely has no types
    """The part of a shape in one turn of longitudes around the globe, brought to -180 to 180."""
    part = shapely.intersection(whole, shapely.box(360.0 * turn - 180.0, -90.0, 360.0 * turn + 180.0, 90.0))
    return translate(part, -360.0 * turn)


def _middle(outline: Any) -> float:  # noqa: ANN401
    return float(outline.bounds[0] + outline.bounds[2]) / 2


def _turns(lon: float) -> int:
    """By how many turns of 360 degrees a longitude lies beyond -180 to 180."""
    return int(np.floor((lon + 180.0) / 360.0))


def _normal(lon: float) -> float:
    return lon - 360.0 * _turns(lon)


def _rounded(geometry: dict[str, Any]) -> dict[str, Any]:
    def rounded(values: Any) -> Any:  # noqa: ANN401 - nested sequences
        return [rounded(value) for value in values] if isinstance(values, tuple | list) else round(float(values), DIGITS)

    return {"type": geometry["type"], "coordinates": rounded(geometry["coordinates"])}
