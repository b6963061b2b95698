"""Laws of field polygons: metres of the buffer, disjointness, pixels by their centre, exact shares."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from cropcam.model.labels.field_shapes import burnt, covers, disjoint, inner_points, reprojected, shrunk
from cropcam.pipeline.grid import PatchGrid, PixelGrid
from cropcam.pipeline.legend import UNLABELLED

GRID = PatchGrid(PixelGrid("EPSG:2154", (10.0, 0.0, 600_000.0, 0.0, -10.0, 6_600_000.0), 35, 25), 8)  # 3 x 4 patches and a rest
PLACES = np.stack(np.meshgrid(np.arange(3), np.arange(4), indexing="ij"), -1).reshape(-1, 2).astype(np.int32)
EDGE_M = 1e-6  # centres nearer to an edge are not compared


@st.composite
def polygons(draw: st.DrawFn, most: int = 6) -> list[shapely.Polygon]:
    """Convex polygons of 3 to 6 corners around the grid."""
    place = st.tuples(st.floats(-60, 400), st.floats(-310, 60))
    found = []
    for _ in range(draw(st.integers(1, most))):
        x, y = draw(place)
        corners = draw(st.lists(st.tuples(st.floats(-90, 90), st.floats(-90, 90)), min_size=3, max_size=6))
        hull = shapely.MultiPoint([(600_000 + x + dx, 6_600_000 + y + dy) for dx, dy in corners]).convex_hull
        if hull.geom_type == "Polygon" and hull.area > 1:
            found.append(hull)
    return found or [shapely.box(600_010, 6_599_900, 600_090, 6_599_990)]


def centres() -> tuple[np.ndarray, np.ndarray]:
    """x and y of the centres of the pixels of all patches (N, H, W)."""
    x, y = GRID.pixels.centres()
    xx, yy = np.meshgrid(x[:32], y[:24])
    return tuple(each.reshape(3, 8, 4, 8).swapaxes(1, 2).reshape(12, 8, 8) for each in (xx, yy))  # type: ignore[return-value]


@settings(max_examples=30)
@given(polygons(), st.randoms(use_true_random=False))
def test_a_pixel_has_the_class_of_the_polygon_that_holds_its_centre(shapes: list[shapely.Polygon], random: object) -> None:
    """Oracle: shapely, point by point, on the polygons before they are made disjoint; with two classes there is no label."""
    class_F = np.array([random.randrange(3) for _ in shapes], np.uint8)  # type: ignore[attr-defined]
    shape_F = np.array(shapes, object)
    found = burnt(disjoint(shape_F, class_F).shape_F, class_F, GRID, PLACES)
    x, y = centres()
    near = np.zeros(x.shape, bool)
    classes = np.zeros((*x.shape, 3), bool)
    for shape, index in zip(shapes, class_F, strict=True):
        points = shapely.points(x, y)
        classes[..., index] |= shapely.contains(shape, points)
        near |= shapely.distance(shape.exterior, points) < EDGE_M
    one = classes.sum(axis=-1) == 1
    expected = np.where(one, classes.argmax(axis=-1), UNLABELLED)
    np.testing.assert_array_equal(found[~near], expected[~near])


@settings(max_examples=30)
@given(polygons(), st.randoms(use_true_random=False))
def test_covers_are_the_areas_of_intersections(shapes: list[shapely.Polygon], random: object) -> None:
    class_F = np.array([random.randrange(3) for _ in shapes], np.uint8)  # type: ignore[attr-defined]
    shape_F, conflict_F = disjoint(np.array(shapes, object), class_F)
    alive = ~shapely.is_empty(shape_F)
    if not alive.any():
        return
    found = covers(shape_F[alive], class_F[alive], 3, GRID)
    for row, col in PLACES:
        patch = shapely.box(600_000 + 80 * col, 6_600_000 - 80 * (row + 1), 600_000 + 80 * (col + 1), 6_600_000 - 80 * row)
        for index in range(3):
            others = shapely.union_all([shape for shape, other in zip(shapes, class_F, strict=True) if other != index])
            own = shapely.union_all([shape for shape, other in zip(shapes, class_F, strict=True) if other == index])
            expected = own.difference(others).intersection(patch).area / patch.area
            assert found[row, col, index] == pytest.approx(expected, abs=1e-5)
    assert found.sum(axis=-1).max() < 1 + 1e-5
    assert conflict_F.sum() != 1


@settings(max_examples=30)
@given(st.floats(-65, 70), st.floats(-170, 170), st.floats(1, 60))
def test_the_buffer_is_in_metres_everywhere(lat: float, lon: float, buffer_m: float) -> None:
    """Oracle: geodesic distances on the ellipsoid, of the corners of a rectangle about 400 m wide."""
    geod = Geod(ellps="WGS84")
    east, _, _ = geod.fwd(lon, lat, 90, 400)
    _, north, _ = geod.fwd(lon, lat, 0, 300)
    inner = shrunk(np.array([shapely.box(lon, lat, east, north)], object), buffer_m)[0]
    west_i, south_i, east_i, north_i = inner.bounds
    middle = (south_i + north_i) / 2
    assert geod.inv(lon, middle, west_i, middle)[2] == pytest.approx(buffer_m, rel=1e-3)
    assert geod.inv(east, middle, east_i, middle)[2] == pytest.approx(buffer_m, rel=1e-3)
    assert geod.inv(west_i, lat, west_i, south_i)[2] == pytest.approx(buffer_m, rel=1e-3)
    assert geod.inv(west_i, north, west_i, north_i)[2] == pytest.approx(buffer_m, rel=1e-3)


def test_a_field_smaller_than_the_buffer_is_empty_and_one_with_a_waist_is_two() -> None:
    def degrees(shape: shapely.Polygon) -> shapely.Polygon:
        return reprojected(np.array([shape], object), "EPSG:2154", "EPSG:4326")[0]

    small = shapely.box(700_000, 6_600_000, 700_019, 6_600_500)
    dumbbell = shapely.union_all([shapely.box(700_000 + x, 6_600_000, 700_100 + x, 6_600_100) for x in (0, 200)])
    dumbbell = dumbbell.union(shapely.box(700_050, 6_600_040, 700_250, 6_600_050))
    found = shrunk(np.array([degrees(small), degrees(dumbbell)], object), 10)
    assert shapely.is_empty(found).tolist() == [True, False]
    assert found[1].geom_type == "MultiPolygon"


@given(polygons())
def test_inner_points_lie_inside(shapes: list[shapely.Polygon]) -> None:
    x, y = inner_points(np.array(shapes, object))
    assert shapely.intersects_xy(np.array(shapes, object), x, y).all()


def test_of_equal_classes_the_first_keeps_what_both_have() -> None:
    first, second, third = (shapely.box(x, 0, x + 10, 10) for x in (0, 5, 8))
    shape_F, conflict_F = disjoint(np.array([first, second, third], object), np.array([1, 1, 2], np.uint8))
    assert shapely.area(shape_F).tolist() == [80, 0, 30]
    assert conflict_F.all()


def test_no_polygon_near_the_patches_gives_no_label() -> None:
    far = np.array([shapely.box(0, 0, 1, 1)], object)
    assert (burnt(far, np.array([1], np.uint8), GRID, PLACES) == UNLABELLED).all()
