"""Plane geometry of filters and clips."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.geometry import Geometry


def test_geodesic_edges_bulge_towards_the_pole() -> None:
    planar, geodesic = (Geometry.rectangle((-94, 37, -86, 41.5), geodesic=flag) for flag in (False, True))
    assert planar.box == (-94, 37, -86, 41.5)
    assert geodesic.box is None
    assert planar.bounds("EPSG:4326") == (-94, 37, -86, 41.5)
    assert 41.55 < geodesic.bounds("EPSG:4326")[3] < 41.65
    points = np.array([-90.0]), np.array([41.52])
    assert not planar.contains(*points)[0]
    assert geodesic.contains(*points)[0]


boxes = st.tuples(*[st.integers(-20, 20)] * 4).map(lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]) + 1, max(b[1], b[3]) + 1))


@settings(deadline=None)
@given(boxes, boxes)
def test_rectangles_meet_as_intervals_do(first: Any, second: Any) -> None:
    expected = first[0] <= second[2] and second[0] <= first[2] and first[1] <= second[3] and second[1] <= first[3]
    one, two = Geometry.rectangle(first), Geometry.rectangle(second)
    assert one.intersects(two) == two.intersects(one) == expected


@settings(deadline=None)
@given(boxes, st.integers(-200, 200), st.integers(-200, 200))
def test_the_fast_box_agrees_with_the_crossing_rule(bounds: Any, x: int, y: int) -> None:
    px, py = np.array([x / 10 + 0.05]), np.array([y / 10 + 0.05])
    west, south, east, north = bounds
    slow = Geometry("Polygon", (((west, south), (east, south), (east, south), (east, north), (west, north), (west, south)),))
    sheared = Geometry(
        "Polygon", (((west, south), (east, south), (east, north), ((west + east) / 2, north), (west, north), (west, south)),)
    )
    assert Geometry.rectangle(bounds).contains(px, py) == slow.contains(px, py) == sheared.contains(px, py)


def test_lines_cross_or_do_not() -> None:
    def line(*points: tuple[float, float]) -> Geometry:
        return Geometry("LineString", points)

    assert line((0, 0), (3, 3.1)).intersects(line((0, 2), (3.3, 0)))
    assert not line((0, 0), (1, 1)).intersects(line((0.5, 0), (1, 0.4)))
    assert Geometry("Point", (1.0, 2.0)).intersects(Geometry("MultiPoint", ((0.0, 0.0), (1.0, 2.0))))
    nothing = Geometry.together([])
    assert not nothing.intersects(line((0, 0), (1, 1)))
    with pytest.raises(EngineError, match="empty geometry"):
        nothing.bounds("EPSG:4326")
    with pytest.raises(EngineError, match="Unable to transform the geometry"):
        Geometry("Point", (1e9, 1e9), "EPSG:5070").bounds("EPSG:32616")


corners = st.lists(st.tuples(st.integers(-6, 6), st.integers(-6, 6)), min_size=3, max_size=7, unique=True)


def simple_polygon(points: list[tuple[int, int]]) -> shapely.Polygon:
    """The polygon through the points in order of their angle; hypothesis draws another one where its edges cross."""
    middle = np.mean(points, axis=0)
    ring = sorted(points, key=lambda p: (math.atan2(p[1] - middle[1], p[0] - middle[0]), math.hypot(*(np.array(p) - middle))))
    polygon = shapely.Polygon(ring)
    assume(polygon.is_valid and polygon.area > 0)
    return polygon


def geometry_of(polygon: shapely.Polygon) -> Geometry:
    return Geometry("Polygon", (tuple((float(x), float(y)) for x, y in polygon.exterior.coords),), "EPSG:3857")


@given(corners, st.integers(-70, 70), st.integers(-70, 70))
def test_points_lie_inside_a_polygon_as_in_shapely(points: list[tuple[int, int]], x: int, y: int) -> None:
    polygon, px, py = simple_polygon(points), x / 10 + 0.0137, y / 10 + 0.0071
    assume(polygon.exterior.distance(shapely.Point(px, py)) > 1e-6)
    assert geometry_of(polygon).contains(np.array([px]), np.array([py])).tolist() == [polygon.contains(shapely.Point(px, py))]


@settings(deadline=None, max_examples=60)
@given(corners, corners)
@example([(0, 0), (0, 1), (-1, -1)], [(0, -1), (1, 1), (2, 2)])  # an edge of each on one line, apart
def test_polygons_intersect_as_in_shapely(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> None:
    one, two = simple_polygon(first), simple_polygon(second)
    assume(one.intersection(two).area > 1e-6 or one.distance(two) > 1e-6)  # a mere touch depends on rounding
    assert geometry_of(one).intersects(geometry_of(two)) is one.intersects(two)


def test_a_polygon_intersects_one_that_contains_it() -> None:
    inner, outer = Geometry.rectangle((1, 1, 2, 2), "EPSG:3857"), Geometry.rectangle((0, 0, 3, 3), "EPSG:3857")
    assert inner.intersects(outer)
    assert outer.intersects(inner)


@given(corners)
def test_the_centre_of_a_polygon_is_its_centroid(points: list[tuple[int, int]]) -> None:
    polygon = simple_polygon(points)
    assert geometry_of(polygon).centre() == pytest.approx((polygon.centroid.x, polygon.centroid.y), abs=1e-9)


def test_a_geometry_is_transformed_vertex_by_vertex() -> None:
    planar = Geometry.rectangle((-90.0, 40.0, -89.0, 41.0))
    found = planar.transformed("EPSG:5070")
    x, y = transform_points("EPSG:4326", "EPSG:5070", np.array([-90.0, -89.0]), np.array([40.0, 41.0]))
    assert found.crs == "EPSG:5070"
    assert found.coordinates[0][0] == (x[0], y[0])
    assert found.coordinates[0][2] == (x[1], y[1])
    together = Geometry.together([planar, Geometry("Point", (0.0, 0.0), "EPSG:3857")])
    assert together.crs == "EPSG:4326"
    assert together.parts[1].coordinates == pytest.approx((0.0, 0.0))
