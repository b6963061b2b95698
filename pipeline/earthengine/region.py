"""Geometries of a study for Earth Engine graphs: the search area of its scenes, and the polygons of `area.region`."""

from __future__ import annotations

import json
from typing import Any

import ee

from cropcam.pipeline.crs import transform_bounds
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.study.study import Study

GEOGRAPHIC = "EPSG:4326"


def bounds_lonlat(grid: PixelGrid) -> tuple[float, float, float, float]:
    """(west, south, east, north) in degrees of the box that holds the grid."""
    if grid.crs == GEOGRAPHIC:
        return grid.bounds_xyxy
    return transform_bounds(grid.crs, GEOGRAPHIC, grid.bounds_xyxy)


def search_area(study: Study) -> ee.Geometry:
    """The grid's longitude and latitude rectangle: scenes that intersect it are searched."""
    return _box(list(bounds_lonlat(study.grid)), GEOGRAPHIC)


def region(study: Study) -> ee.Geometry | None:
    """The polygons of `area.region` (planar in degrees), or None where the study names none."""
    if not study.area.region:
        return None
    inside: ee.Geometry = ee.Geometry({"type": "MultiPolygon", "coordinates": polygons(study.area.region)}, GEOGRAPHIC, False)
    return inside


def polygons(text: str) -> list[Any]:
    """MultiPolygon coordinates (longitude, latitude) of a study's canonical GeoJSON text."""
    coordinates: list[Any] = json.loads(text)["coordinates"]
    return coordinates


def _box(west_south_east_north: list[float], crs: str) -> ee.Geometry:
    box: ee.Geometry = ee.Geometry.Rectangle(west_south_east_north, proj=crs, geodesic=False)
    return box
