"""Geometries as values, and the little plane geometry that filters and clips need.

Edges are straight in the geometry's CRS, or geodesics where it is geodesic; for work in another CRS edges are
densified and their points projected exactly. Between densified points edges are straight: with 100 pieces to an edge
of a few hundred kilometres that errs by metres, below a Landsat pixel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from pyproj import Geod

from cropcam.pipeline.crs import same_crs, transform_points
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.projections import UNIT, Projection, outward
from cropcam.pipeline.emulator.values import Value
from cropcam.pipeline.grid import Window

Points = npt.NDArray[np.float64]
Bounds = tuple[float, float, float, float]
LONLAT = "EPSG:4326"
PIECES = 100  # per edge
_GEOD = Geod(ellps="WGS84")
_DEPTH = {"Point": 0, "MultiPoint": 1, "LineString": 1, "LinearRing": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}


@dataclass(frozen=True)
class Geometry:
    """A geometry in a CRS; `coordinates` nested as in GeoJSON (as tuples); collections hold `parts` instead.

    `given` remembers bounds named in the pixels of a lattice: (lattice, columns and rows), free of rounding errors.
    """

    kind: str
    coordinates: tuple[Any, ...]
    crs: str = LONLAT
    geodesic: bool = False
    even_odd: bool = True
    parts: tuple[Geometry, ...] = ()
    given: tuple[Projection, Bounds] | None = None

    @classmethod
    def rectangle(cls, bounds_xyxy: Bounds, crs: str = LONLAT, *, geodesic: bool = False) -> Geometry:
        """The polygon of bounds in CRS units."""
        west, south, east, north = bounds_xyxy
        ring = ((west, south), (east, south), (east, north), (west, north), (west, south))
        return cls("Polygon", (ring,), crs, geodesic)

    @classmethod
    def together(cls, parts: Sequence[Geometry]) -> Geometry:
        """Several geometries as one, in the CRS they share, else in degrees."""
        crs = parts[0].crs if parts and all(part.crs == parts[0].crs for part in parts) else LONLAT
        return cls("GeometryCollection", (), crs, parts=tuple(part if part.crs == crs else part.transformed(crs) for part in parts))

    @property
    def is_area(self) -> bool:
        """Whether it is made of polygons only."""
        return all(part.is_area for part in self.parts) if self.parts else self.kind in ("Polygon", "MultiPolygon")

    @property
    def box(self) -> Bounds | None:
        """Bounds in its CRS where it is an axis-aligned rectangle with straight edges, else None."""
        if self.kind != "Polygon" or len(self.coordinates) != 1 or self.geodesic:
            return None
        points = list(dict.fromkeys(self.coordinates[0]))
        if len(points) != 4:
            return None
        corners = {(x, y) for x in {p[0] for p in points} for y in {p[1] for p in points}}
        aligned = all(a[0] == b[0] or a[1] == b[1] for a, b in pairwise([*points, points[0]]))
        if corners != set(points) or not aligned:
            return None
        (west, south), (east, north) = min(corners), max(corners)
        return west, south, east, north

    def lines(self) -> Iterator[Points]:
        """Every point, line and ring in the geometry's CRS, each (n, 2)."""
        for part in self.parts:
            yield from part.lines()
        if not self.parts and self.coordinates:
            yield from _leaves(self.coordinates, _DEPTH[self.kind])

    def dense(self, crs: str) -> tuple[Points, ...]:
        """Its lines, densified, in a CRS; each (n, 2)."""
        if self.parts:
            return tuple(line for part in self.parts for line in part.dense(crs))
        return _dense(self, crs)

    def bounds(self, crs: str) -> Bounds:
        """(west, south, east, north) in a CRS.

        Raises:
            EngineError: it does not project there.
        """
        lines = [*self.lines()] if same_crs(crs, self.crs) and not self.geodesic and not self.parts else self.dense(crs)
        if not lines:
            raise EngineError("Geometry.bounds: Unable to compute the bounds of an empty geometry.")
        points = np.concatenate(lines)
        if not np.isfinite(points).all():
            raise EngineError(f"Geometry.transform: Unable to transform the geometry into the requested projection '{crs}'.")
        (west, south), (east, north) = points.min(0), points.max(0)
        return float(west), float(south), float(east), float(north)

    def window(self, lattice: Projection) -> Window:
        """The pixels of a lattice that cover it, rounded outward; exactly the named ones where it was given in these pixels.

        Raises:
            EngineError: it does not project there.
        """
        if self.given is not None and self.given[0] == lattice:
            return outward(self.given[1])
        return lattice.covering(self.bounds(lattice.crs))

    def contains(self, x: Points, y: Points) -> npt.NDArray[np.bool_]:
        """Whether points in the geometry's CRS lie inside its polygons (even-odd rule); shape of x and y."""
        if self.parts:
            return np.asarray(np.logical_or.reduce([part.contains(x, y) for part in self.parts]), np.bool_)
        if self.box is not None:
            west, south, east, north = self.box
            return (x >= west) & (x <= east) & (y >= south) & (y <= north)
        inside = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.bool_)
        if self.is_area:
            for ring in self.dense(self.crs) if self.geodesic else self.lines():  # straight edges need no points between
                inside ^= _in_ring(ring, x, y)
        return inside

    def intersects(self, other: Geometry) -> bool:
        """Whether the two share a point, judged in this geometry's CRS."""
        vertices, other_vertices = self.dense(self.crs), other.dense(self.crs)
        if not vertices or not other_vertices or not _boxes_meet(np.concatenate(vertices), np.concatenate(other_vertices)):
            return False
        if _any_inside(self, other_vertices) or _any_inside(other, self.dense(other.crs)):
            return True
        return any(_lines_cross(first, second) for first in vertices for second in other_vertices)

    def centre(self) -> tuple[float, float]:
        """Centroid of its polygons in its CRS; of other geometries the mean of their points."""
        lines = [*self.lines()]
        if not self.is_area:
            x, y = np.concatenate(lines).mean(0)
            return float(x), float(y)
        weight, moment = 0.0, np.zeros(2)
        for ring in lines:
            following = np.roll(ring, -1, axis=0)
            cross = ring[:, 0] * following[:, 1] - following[:, 0] * ring[:, 1]
            weight += cross.sum()
            moment += ((ring + following) * cross[:, None]).sum(0)
        return float(moment[0] / (3 * weight)), float(moment[1] / (3 * weight))

    def transformed(self, crs: str, *, geodesic: bool | None = None) -> Geometry:
        """The geometry in another CRS: its vertices projected where it is planar and stays so, else densified."""
        flag = self.geodesic if geodesic is None else geodesic
        if self.parts:
            return Geometry(self.kind, (), crs, flag, self.even_odd, tuple(p.transformed(crs, geodesic=geodesic) for p in self.parts))
        coordinates = _mapped(self.coordinates, lambda points: _project(points, self.crs, crs))
        return Geometry(self.kind, coordinates, crs, flag, self.even_odd)

    def from_pixels(self, lattice: Projection) -> Geometry:
        """The geometry whose coordinates are columns and rows of a lattice, in units of its CRS.

        Source: Earth Engine API, ee.Geometry.Rectangle, `proj`: a projection's coordinates are those of its transform.
        """
        if lattice.transform == UNIT or not self.coordinates:
            return self
        a, _, c, _, e, f = lattice.transform
        points = np.concatenate([*self.lines()])
        (left, top), (right, bottom) = points.min(0), points.max(0)
        given = None if self.geodesic else (lattice, (float(left), float(top), float(right), float(bottom)))
        return replace(self, coordinates=_mapped(self.coordinates, lambda found: found * (a, e) + (c, f)), given=given)

    def describe(self) -> dict[str, Any]:
        """GeoJSON with Earth Engine's additions, as `getInfo` returns it."""
        if self.parts:
            description: dict[str, Any] = {"type": self.kind, "geometries": [part.describe() for part in self.parts]}
        else:
            description = {"type": self.kind, "coordinates": _lists(self.coordinates)}
        if self.crs != LONLAT:
            description |= {"crs": {"type": "name", "properties": {"name": self.crs}}}
        if self.kind not in ("Point", "MultiPoint") and (not self.geodesic or self.crs != LONLAT):
            description |= {"geodesic": self.geodesic}
        return description


@lru_cache(maxsize=256)
def _dense(geometry: Geometry, crs: str) -> tuple[Points, ...]:
    points = []
    for line in geometry.lines():
        dense = _geodesics(line, geometry.crs) if geometry.geodesic else _densify(line)
        points.append(_project(dense, LONLAT if geometry.geodesic else geometry.crs, crs))
    return tuple(points)


def _densify(line: Points) -> Points:
    if len(line) < 2:
        return line
    steps = np.linspace(0, 1, PIECES, endpoint=False)[:, None]
    return np.concatenate([*(a + steps * (b - a) for a, b in pairwise(line)), line[-1:]])


def _geodesics(line: Points, crs: str) -> Points:
    line = _project(line, crs, LONLAT)
    if len(line) < 2:
        return line
    pieces = []
    for (lon, lat), (to_lon, to_lat) in pairwise(line):
        between = _GEOD.npts(lon, lat, to_lon, to_lat, PIECES - 1) if (lon, lat) != (to_lon, to_lat) else []
        pieces.append(np.array([(lon, lat), *between]))
    return np.concatenate([*pieces, line[-1:]])


def _project(points: Points, source: str, target: str) -> Points:
    if same_crs(source, target):
        return points
    return np.stack(transform_points(source, target, points[:, 0], points[:, 1]), axis=-1)


def _leaves(coordinates: Value, depth: int) -> Iterator[Points]:
    if depth <= 1:
        yield np.asarray(coordinates, np.float64).reshape(-1, 2)
    else:
        for part in coordinates:
            yield from _leaves(part, depth - 1)


def _mapped(coordinates: Value, function: Value) -> tuple[Any, ...]:
    if not coordinates:
        return ()
    if not isinstance(coordinates[0], tuple):
        return tuple(float(v) for v in function(np.asarray([coordinates], np.float64))[0])
    return tuple(_mapped(part, function) for part in coordinates)


def _lists(coordinates: Value) -> Value:
    return [_lists(part) for part in coordinates] if isinstance(coordinates, tuple) else coordinates


def _in_ring(ring: Points, x: Points, y: Points) -> npt.NDArray[np.bool_]:
    inside = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.bool_)
    for (x0, y0), (x1, y1) in pairwise(ring):
        if y0 != y1:
            inside ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside


def _boxes_meet(first: Points, second: Points) -> bool:
    return bool((first.min(0) <= second.max(0)).all() and (second.min(0) <= first.max(0)).all())


def _any_inside(area: Geometry, lines: Sequence[Points]) -> bool:
    points = np.concatenate(lines)
    return area.is_area and bool(area.contains(points[:, 0], points[:, 1]).any())


def _lines_cross(first: Points, second: Points) -> bool:
    """Whether two polylines cross, by the signs of four turns per pair of edges, whose boxes meet: all turns of edges on one line are 0."""
    if len(first) < 2 or len(second) < 2:
        return bool((first[:, None] == second[None]).all(-1).any())
    a, b = first[:-1, None], first[1:, None]
    c, d = second[None, :-1], second[None, 1:]

    def turn(p: Points, q: Points, r: Points) -> Points:
        return np.asarray((q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (q[..., 1] - p[..., 1]) * (r[..., 0] - p[..., 0]))

    boxes_meet = ((np.minimum(a, b) <= np.maximum(c, d)) & (np.minimum(c, d) <= np.maximum(a, b))).all(axis=-1)
    return bool((boxes_meet & (turn(a, b, c) * turn(a, b, d) <= 0) & (turn(c, d, a) * turn(c, d, b) <= 0)).any())
