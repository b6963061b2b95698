"""Polygons a study names: GeoJSON (RFC 7946: longitude and latitude) as text, and the patches that lie inside.

A GeoPackage or GeoParquet file in any CRS becomes such text when the study is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.crs import transform_bounds, transform_points
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import PatchGrid, PixelGrid, Window

_BINARY = (".gpkg", ".parquet", ".geoparquet")
_MARGIN_DEG = 1.0  # beyond the grid, so that no cut edge lies inside
_STEP_DEG = 0.01  # edges are straight in degrees, not in a projection
_HALF_TURN_DEG = 180.0
_EDGE_POINTS = 101  # of each side of a window, which is no straight line in degrees


def read_polygons(path: Path, key: str) -> str:
    """The GeoJSON text of a vector file that a study names under `key`.

    Raises:
        ConfigError: no such file, or not readable.
    """
    if path.suffix.casefold() in _BINARY:
        from cropcam.pipeline.vectors import polygon_text  # noqa: PLC0415 - a study is read without GDAL

        try:
            return polygon_text(path)
        except DataError as error:
            raise ConfigError(f"{key}: {error}") from None
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise ConfigError(f"{key}: {path}: {reason}; give a GeoJSON, GeoPackage or GeoParquet file of polygons") from None


def canonical_polygons(text: str) -> str:
    """The polygons of GeoJSON text as one MultiPolygon in canonical JSON, without heights, so that equal areas give equal text.

    Overlapping polygons are united: where rings cross, engines differ about the interior.

    Raises:
        ValueError: not GeoJSON, or no polygon in it, or coordinates that are no degrees.
    """
    try:
        polygons = [[_closed([[float(x), float(y)] for x, y, *_ in ring]) for ring in polygon] for polygon in _polygons(json.loads(text))]
        polygons = [polygon for polygon in polygons if polygon]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"{text[:40]!r} is not GeoJSON with polygons, nor the path of such a file") from None
    if not polygons or any(len(ring) < 4 for polygon in polygons for ring in polygon):
        raise ValueError("the GeoJSON holds no polygon; give one or more Polygon or MultiPolygon")
    if not all(abs(x) <= 180 and abs(y) <= 90 for polygon in polygons for ring in polygon for x, y in ring):
        raise ValueError("the GeoJSON's coordinates are not degrees; RFC 7946 wants longitude and latitude")
    return json.dumps({"coordinates": _without_overlap(polygons), "type": "MultiPolygon"}, separators=(",", ":"))


@lru_cache(maxsize=8)
def patches_inside(text: str, grid: PatchGrid) -> npt.NDArray[np.bool_]:
    """Which patches of a grid (rows, columns) have their centre inside the polygons of canonical GeoJSON text."""
    import rasterio.features  # noqa: PLC0415 - a study is read without GDAL

    shape = on_grid(text, grid.pixels)
    if shape is None:
        return np.zeros((grid.rows, grid.columns), bool)
    a, _, c, _, e, f = grid.pixels.transform
    transform = rasterio.Affine(a * grid.size_px, 0.0, c, 0.0, e * grid.size_px, f)
    inside = rasterio.features.geometry_mask([shape], (grid.rows, grid.columns), transform, invert=True)
    return np.asarray(inside, bool)


def on_grid(text: str, grid: PixelGrid) -> dict[str, Any] | None:
    """The polygons of canonical GeoJSON text near a grid, in its CRS, as GeoJSON; None where none is near."""
    import rasterio.warp  # noqa: PLC0415 - a study is read without GDAL
    import shapely  # noqa: PLC0415
    from shapely.geometry import mapping  # noqa: PLC0415

    # "all south of 37.5" reaches places that a projection knows nothing of: what lies far from the grid is cut off before
    west, south, east, north = transform_bounds(grid.crs, "EPSG:4326", grid.bounds_xyxy)
    spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]  # a grid across 180 degrees
    near = shapely.union_all([shapely.box(a - _MARGIN_DEG, south - _MARGIN_DEG, b + _MARGIN_DEG, north + _MARGIN_DEG) for a, b in spans])
    polygons = shapely.intersection(shapely.make_valid(shapely.from_geojson(text), method="structure", keep_collapsed=False), near)
    if polygons.is_empty:
        return None
    shape: dict[str, Any] = rasterio.warp.transform_geom("EPSG:4326", grid.crs, mapping(shapely.segmentize(polygons, _STEP_DEG)))
    return shape


def meets(text: str, grid: PixelGrid, window: Window) -> bool:
    """Whether a window of a grid, one pixel wider on each side, meets the polygons of canonical GeoJSON text; "" is everywhere.

    Where it is False, no pixel of the window has its centre inside. Always True across 180 degrees of longitude.
    """
    if not text:
        return True
    import shapely  # noqa: PLC0415 - a study is read without GDAL

    west, south, east, north = grid.window(Window(window.row - 1, window.col - 1, window.height + 2, window.width + 2)).bounds_xyxy
    x, y = np.linspace(west, east, _EDGE_POINTS), np.linspace(south, north, _EDGE_POINTS)
    ring = [
        np.concatenate([x, np.full_like(y, east), x[::-1], np.full_like(y, west)]),
        np.concatenate([np.full_like(x, south), y, np.full_like(x, north), y[::-1]]),
    ]
    lon, lat = transform_points(grid.crs, "EPSG:4326", *ring)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()) or np.abs(np.diff(lon)).max() > _HALF_TURN_DEG:
        return True
    return bool(_prepared(text).intersects(shapely.Polygon(np.column_stack([lon, lat])).buffer(0)))


@lru_cache(maxsize=8)
def _prepared(text: str) -> Any:  # noqa: ANN401 - a shapely geometry
    import shapely  # noqa: PLC0415

    polygons = shapely.make_valid(shapely.from_geojson(text), method="structure", keep_collapsed=False)
    shapely.prepare(polygons)
    return polygons


def _closed(ring: list[list[float]]) -> list[list[float]]:
    return ring if ring[:1] == ring[-1:] else [*ring, ring[0]]


def _without_overlap(polygons: list[Any]) -> list[Any]:
    """The same coordinates, or, where polygons overlap, those of their union."""
    if len(polygons) == 1:
        return polygons
    import shapely  # noqa: PLC0415 - most studies name no polygon

    shapes = shapely.make_valid([shapely.Polygon(shell, holes) for shell, *holes in polygons], method="structure", keep_collapsed=False)
    together = shapely.union_all(shapes)
    if together.area >= shapely.area(shapes).sum() * (1 - 1e-9):
        return polygons  # neighbours, which may share an edge
    parts = [part for part in shapely.get_parts(together) if part.geom_type == "Polygon"]
    return [[[list(point) for point in ring.coords] for ring in (part.exterior, *part.interiors)] for part in parts]


def _polygons(value: Any) -> Iterator[list[Any]]:  # noqa: ANN401 - JSON
    kind = value["type"]
    if kind == "FeatureCollection":
        for feature in value["features"]:
            yield from _polygons(feature)
    elif kind == "Feature":
        yield from _polygons(value["geometry"])
    elif kind == "GeometryCollection":
        for geometry in value["geometries"]:
            yield from _polygons(geometry)
    elif kind == "Polygon":
        yield value["coordinates"]
    elif kind == "MultiPolygon":
        yield from value["coordinates"]
