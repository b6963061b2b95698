"""Exact shares of cells, against the areas of intersections."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.coverage import coverage

BOUNDS, SHAPE = (0.0, 0.0, 40.0, 30.0), (3, 4)


@given(st.lists(st.tuples(st.integers(-1000, 5000), st.integers(-1000, 4000)), min_size=3, max_size=8, unique=True))
def test_shares_are_the_areas_of_intersections(corners_cm: list[tuple[int, int]]) -> None:
    hull = shapely.MultiPoint(np.array(corners_cm) / 100).convex_hull
    if hull.geom_type != "Polygon" or hull.area < 1:
        return
    other = shapely.box(5, 5, 15, 25)
    found = coverage([hull, other], BOUNDS, SHAPE, "EPSG:5070")
    cells = [[shapely.box(10 * col, 30 - 10 * (row + 1), 10 * (col + 1), 30 - 10 * row) for col in range(4)] for row in range(3)]
    for share, shape in zip(found, (hull, other), strict=True):
        np.testing.assert_allclose(share, shapely.area(shapely.intersection(cells, shape)) / 100, atol=1e-5)
