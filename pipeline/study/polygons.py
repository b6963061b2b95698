"""Polygons a study names: GeoJSON (RFC 7946: longitude and latitude) as text, and the patches that lie inside.

A GeoPackage or GeoParquet file in any CRS becomes such text when the study is read.
"""

from __future__ import annotations

import json
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.crs import is_geographic, transform_bounds, transform_points
from cropcam.pipeline.errors import ConfigError, CropcamWarning, DataError
from cropcam.pipeline.grid import PatchGrid, PixelGrid, Window
from cropcam.pipeline.longitudes import near_grid, within_half_turn
from cropcam.pipeline.study.geojson import content, has_own_crs
from cropcam.pipeline.text_files import parse_json, read_text

# read, or refused with the way to convert them, in pipeline.vectors
_CONVERTED = (
    ".gpkg",
    ".parquet",
    ".geoparquet",
    ".shp",
    ".zip",
    ".kml",
    ".kmz",
    ".gml",
    ".fgb",
    ".tab",
    ".mif",
    ".gdb",
    ".dxf",
    ".gpx",
    ".sqlite",
)
_NAMES_CRS = (".geojson", ".json")
_TEXT = "the GeoJSON"  # of a study, not of a file
_STEP = "correct it, or convert what has a feature a line: ogr2ogr polygons.gpkg FILE"
_MARGIN_DEG = 1.0  # beyond the grid, so that no cut edge lies inside
_STEP_DEG = 0.01  # edges are straight in degrees, not in a projection
_HALF_TURN_DEG = 180.0
_EDGE_POINTS = 101  # of each side of a window, which is no straight line in degrees


def read_polygons(path: Path, key: str) -> str:
    """The polygons of a vector file that a study names under `key`, as of `canonical_polygons`.

    GeoJSON is in degrees, or in the CRS that its `crs` member names.

    Raises:
        ConfigError: no such file, not readable, or no polygon in it.
    """
    suffix = path.suffix.casefold()
    if suffix in _CONVERTED:
        return _converted(path, key)
    try:
        text = read_text(path, "a GeoJSON, GeoPackage or GeoParquet file of polygons", error=ConfigError)
        if suffix in _NAMES_CRS and '"crs"' in text and has_own_crs(parse_json(text, str(path), error=ConfigError)):
            return _converted(path, key)
        return canonical_polygons(text, str(path))
    except (ConfigError, ValueError) as error:
        raise ConfigError(f"{key}: {error}") from None


def canonical_polygons(text: str, where: str = _TEXT) -> str:
    """The polygons of GeoJSON text as one MultiPolygon in canonical JSON, without heights, so that equal areas give equal text.

    Overlapping polygons are united: where rings cross, engines differ about the interior. What is no polygon is left out with a
    `CropcamWarning`. `where` begins a message.

    Raises:
        ValueError: not GeoJSON, or no polygon in it, or coordinates that are no degrees.
    """
    if where == _TEXT and not text.lstrip().startswith("{"):
        raise ValueError(f"{text[:40]!r} is not GeoJSON with polygons, nor the path of such a file")
    try:
        found = content(parse_json(text, where, error=ConfigError, step=_STEP))
    except ConfigError as error:
        raise ValueError(str(error)) from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    if not found.polygons:
        raise ValueError(f"{where} holds no polygon{found.instead()}; give one or more Polygon or MultiPolygon")
    if line := found.left_out():
        warnings.warn(f"{where}: {line}", CropcamWarning, stacklevel=2)
    return json.dumps({"coordinates": _without_overlap(found.polygons), "type": "MultiPolygon"}, separators=(",", ":"))


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
    from shapely.geometry import shape as geometry_of  # noqa: PLC0415

    # "all south of 37.5" reaches places that a projection knows nothing of: what lies far from the grid is cut off before
    west, south, east, north = transform_bounds(grid.crs, "EPSG:4326", grid.bounds_xyxy)
    spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]  # a grid across 180 degrees
    near = shapely.union_all([shapely.box(a - _MARGIN_DEG, south - _MARGIN_DEG, b + _MARGIN_DEG, north + _MARGIN_DEG) for a, b in spans])
    polygons = shapely.intersection(shapely.make_valid(shapely.from_geojson(text), method="structure", keep_collapsed=False), near)
    if polygons.is_empty:
        return None
    shape: dict[str, Any] = rasterio.warp.transform_geom("EPSG:4326", grid.crs, mapping(shapely.segmentize(polygons, _STEP_DEG)))
    if is_geographic(grid.crs):
        shape = mapping(near_grid(np.array([geometry_of(shape)], object), grid)[0])
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


def _converted(path: Path, key: str) -> str:
    from cropcam.pipeline.vectors import polygon_text  # noqa: PLC0415 - a study is read without GDAL

    try:
        return canonical_polygons(polygon_text(path), str(path))
    except (DataError, ValueError) as error:
        raise ConfigError(f"{key}: {error}") from None


def _without_overlap(polygons: list[Any]) -> list[Any]:
    """The same coordinates, or, where polygons overlap, those of their union; longitudes between -180 and 180."""
    is_within = all(abs(x) <= _HALF_TURN_DEG for polygon in polygons for ring in polygon for x, _ in ring)
    if len(polygons) == 1 and is_within:
        return polygons
    import shapely  # noqa: PLC0415 - most studies name no polygon

    shapes = shapely.make_valid([shapely.Polygon(shell, holes) for shell, *holes in polygons], method="structure", keep_collapsed=False)
    shapes = within_half_turn(shapes, "EPSG:4326")
    together = shapely.union_all(shapes)
    if is_within and together.area >= shapely.area(shapes).sum() * (1 - 1e-9):
        return polygons  # neighbours, which may share an edge
    parts = [part for part in shapely.get_parts(together) if part.geom_type == "Polygon"]
    return [[[list(point) for point in ring.coords] for ring in (part.exterior, *part.interiors)] for part in parts]
