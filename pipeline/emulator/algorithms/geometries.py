"""Algorithms on geometries, worked out in the plane of their CRS.

Source: Earth Engine API, ee.Geometry.
"""

from __future__ import annotations

from typing import Any

from cropcam.pipeline.crs import is_geographic
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.geometry import LONLAT, Geometry
from cropcam.pipeline.emulator.projections import Projection
from cropcam.pipeline.emulator.registry import algorithm
from cropcam.pipeline.emulator.values import Value


def _pairs(value: Value, depth: int, where: str) -> tuple[Any, ...]:
    """Nested lists as nested tuples of (x, y), `depth` levels deep; flat lists of numbers count as pairs."""
    if not isinstance(value, list | tuple):
        raise EngineError(f"GeometryConstructors.{where}: Invalid coordinates.")
    if depth == 0:
        if len(value) < 2 or not all(isinstance(v, int | float) for v in value):
            raise EngineError(f"GeometryConstructors.{where}: Invalid coordinates.")
        return float(value[0]), float(value[1])
    if value and all(isinstance(v, int | float) for v in value):
        if len(value) % 2:
            raise EngineError(f"GeometryConstructors.{where}: Odd number of coordinates.")
        value = [value[i : i + 2] for i in range(0, len(value), 2)]
    return tuple(_pairs(v.coordinates if isinstance(v, Geometry) else v, depth - 1, where) for v in value)


def _nested(value: Value, depth: int) -> Value:
    """Lists wrapped until they are `depth` levels of lists around points."""
    levels, inner = 0, value
    while isinstance(inner, list | tuple) and inner and isinstance(inner[0], list | tuple | Geometry):
        levels += 1
        inner = inner[0].coordinates if isinstance(inner[0], Geometry) else inner[0]
    for _ in range(depth - max(levels, 1)):
        value = [value]
    return value


def _crs(crs: Projection | None) -> str:
    return LONLAT if crs is None else crs.crs


def _placed(geometry: Geometry, crs: Projection | None) -> Geometry:
    """Coordinates in a projection with a transform are its columns and rows."""
    return geometry if crs is None else geometry.from_pixels(crs)


def _geodesic(geodesic: bool | None, crs: str) -> bool:
    return is_geographic(crs) if geodesic is None else geodesic


def _closed(ring: tuple[Any, ...]) -> tuple[Any, ...]:
    return ring if ring and ring[0] == ring[-1] else (*ring, *ring[:1])


@algorithm("GeometryConstructors.Point")
def point(coordinates: list[Any], crs: Projection | None = None) -> Geometry:
    """A point."""
    return _placed(Geometry("Point", _pairs(coordinates, 0, "Point"), _crs(crs)), crs)


@algorithm("GeometryConstructors.MultiPoint")
def multi_point(coordinates: list[Any], crs: Projection | None = None) -> Geometry:
    """Points."""
    return _placed(Geometry("MultiPoint", _pairs(coordinates, 1, "MultiPoint"), _crs(crs)), crs)


@algorithm("GeometryConstructors.LineString", ignored=("maxError",))
def line_string(coordinates: list[Any], crs: Projection | None = None, geodesic: bool | None = None) -> Geometry:
    """A line."""
    return _placed(Geometry("LineString", _pairs(coordinates, 1, "LineString"), _crs(crs), _geodesic(geodesic, _crs(crs))), crs)


@algorithm("GeometryConstructors.LinearRing", ignored=("maxError",))
def linear_ring(coordinates: list[Any], crs: Projection | None = None, geodesic: bool | None = None) -> Geometry:
    """A closed line."""
    return _placed(Geometry("LinearRing", _closed(_pairs(coordinates, 1, "LinearRing")), _crs(crs), _geodesic(geodesic, _crs(crs))), crs)


@algorithm("GeometryConstructors.MultiLineString", ignored=("maxError",))
def multi_line_string(coordinates: list[Any], crs: Projection | None = None, geodesic: bool | None = None) -> Geometry:
    """Lines."""
    return _placed(Geometry("MultiLineString", _pairs(coordinates, 2, "MultiLineString"), _crs(crs), _geodesic(geodesic, _crs(crs))), crs)


@algorithm("GeometryConstructors.Polygon", ignored=("maxError",))
def polygon(coordinates: list[Any], crs: Projection | None = None, geodesic: bool | None = None, evenOdd: bool = True) -> Geometry:
    """A polygon of rings, holes by the even-odd rule."""
    rings = tuple(_closed(ring) for ring in _pairs(_nested(coordinates, 2), 2, "Polygon"))
    return _placed(Geometry("Polygon", rings, _crs(crs), _geodesic(geodesic, _crs(crs)), evenOdd), crs)


@algorithm("GeometryConstructors.MultiPolygon", ignored=("maxError",))
def multi_polygon(coordinates: list[Any], crs: Projection | None = None, geodesic: bool | None = None, evenOdd: bool = True) -> Geometry:
    """Polygons."""
    parts = tuple(tuple(_closed(ring) for ring in rings) for rings in _pairs(_nested(coordinates, 3), 3, "MultiPolygon"))
    return _placed(Geometry("MultiPolygon", parts, _crs(crs), _geodesic(geodesic, _crs(crs)), evenOdd), crs)


@algorithm("GeometryConstructors.Rectangle", ignored=("evenOdd",))
def rectangle(coordinates: list[Any], crs: Projection | None = None, geodesic: bool | None = None) -> Geometry:
    """The rectangle of two opposite corners, or of west, south, east, north."""
    points = _pairs(coordinates, 1, "Rectangle")
    if len(points) != 2:
        raise EngineError("GeometryConstructors.Rectangle: Two corner points are required.")
    (x0, y0), (x1, y1) = points
    bounds = min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
    return _placed(Geometry.rectangle(bounds, _crs(crs), geodesic=_geodesic(geodesic, _crs(crs))), crs)


@algorithm("GeometryConstructors.BBox")
def bbox(west: float, south: float, east: float, north: float) -> Geometry:
    """The rectangle of bounds in degrees, edges along parallels and meridians."""
    return Geometry.rectangle((west, south, east, north))


@algorithm("GeometryConstructors.MultiGeometry", ignored=("maxError", "geodesic"), refused=("crs",))
def multi_geometry(geometries: list[Any]) -> Geometry:
    """Geometries of any kind."""
    if not all(isinstance(part, Geometry) for part in geometries):
        raise EngineError("GeometryConstructors.MultiGeometry: Only geometries can be put together.")
    return Geometry.together(geometries)


@algorithm("Geometry.bounds", ignored=("maxError",))
def bounds(geometry: Geometry, proj: Projection | None = None) -> Geometry:
    """The bounding rectangle in a projection, in degrees by default."""
    crs = _crs(proj)
    return Geometry.rectangle(geometry.bounds(crs), crs)


@algorithm("Geometry.transform", ignored=("maxError",))
def transform(geometry: Geometry, proj: Projection | None = None, geodesic: bool | None = None) -> Geometry:
    """The geometry in another projection, its vertices projected."""
    return geometry.transformed(_crs(proj), geodesic=geodesic)


@algorithm("Geometry.coordinates")
def coordinates(geometry: Geometry) -> Value:
    """Coordinates as in GeoJSON."""
    return geometry.describe().get("coordinates", [])


@algorithm("Geometry.type")
def kind(geometry: Geometry) -> str:
    """The GeoJSON type."""
    return geometry.kind


@algorithm("Geometry.geometries")
def geometries(geometry: Geometry) -> list[Geometry]:
    """The parts of a collection, else the geometry itself."""
    return list(geometry.parts) or [geometry]


@algorithm("Geometry.projection")
def projection(geometry: Geometry) -> Projection:
    """The projection of the CRS."""
    return Projection(geometry.crs)


@algorithm("Geometry.geodesic", "Geometry.edgesAreGeodesics")
def geodesic(geometry: Geometry) -> bool:
    """Whether edges are geodesics."""
    return geometry.geodesic


@algorithm("Geometry.isUnbounded")
def is_unbounded(geometry: Geometry) -> bool:
    """False: geometries here have bounds."""
    return geometry.kind == "Unbounded"


@algorithm("Geometry.intersects", ignored=("maxError", "proj"))
def intersects(left: Geometry, right: Geometry) -> bool:
    """Whether two geometries share a point."""
    return left.intersects(right)


@algorithm("Geometry.centroid", ignored=("maxError", "proj"))
def centroid(geometry: Geometry) -> Geometry:
    """Centroid of a polygon; of other geometries the mean of their points."""
    lines = [*geometry.lines()]
    if not lines:
        raise EngineError("Geometry.centroid: The geometry is empty.")
    return Geometry("Point", geometry.centre(), geometry.crs)
