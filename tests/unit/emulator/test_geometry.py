"""Plane geometry of filters and clips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
