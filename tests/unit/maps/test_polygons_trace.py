"""The compiled loops against GDAL's polygonizer."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio.features
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.outlines import Raster, rasters, spiral, traced

CHECKERBOARD = np.indices((7, 6)).sum(axis=0).astype(np.uint8) % 2
NESTED = np.minimum.reduce([*np.indices((15, 15)), *(14 - np.indices((15, 15)))]).astype(np.uint8) % 2
BESIDE_ITSELF = np.array([[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1], [0, 1, 1, 1]], np.uint8)  # holes that meet at a corner, one open
AFFINE = rasterio.Affine(1, 0, 0, 0, -1, 0)


def key(kind: float, polygon: shapely.Polygon) -> tuple[float, ...]:
    return (kind, *polygon.bounds, polygon.area, polygon.length)


@settings(max_examples=100, deadline=None)
@given(classes_YX=rasters())
@example(classes_YX=CHECKERBOARD)
@example(classes_YX=NESTED)
@example(classes_YX=BESIDE_ITSELF)
@example(classes_YX=spiral(21))
def test_components_are_those_of_gdal(classes_YX: Raster) -> None:
    found = sorted(((each.kind, each.polygon) for each in traced(classes_YX)), key=lambda pair: key(*pair))
    shapes = rasterio.features.shapes(classes_YX, mask=classes_YX != 255, connectivity=4, transform=AFFINE)
    expected = sorted(((kind, shapely.geometry.shape(each)) for each, kind in shapes), key=lambda pair: key(*pair))
    assert [key(*pair) for pair in found] == [pytest.approx(key(*pair)) for pair in expected]
    areas = [(shapely.union_all([p for k, p in pairs if k == kind])) for pairs in (found, expected) for kind in range(3)]
    assert all(one.equals(other) for one, other in zip(areas[:3], areas[3:], strict=True))


@settings(max_examples=100, deadline=None)
@given(classes_YX=rasters(), band_px=st.integers(1, 4))
@example(classes_YX=spiral(21), band_px=1)
@example(classes_YX=BESIDE_ITSELF, band_px=1)
def test_polygons_are_valid_cover_every_pixel_once_and_do_not_depend_on_the_bands(classes_YX: Raster, band_px: int) -> None:
    found, whole = traced(classes_YX, band_px), traced(classes_YX)
    assert [each[:5] for each in found] == [each[:5] for each in whole]
    shapes = [each.polygon for each in found]
    assert all(shapely.equals_exact(one, other.polygon) for one, other in zip(shapes, whole, strict=True))
    assert all(shapely.is_valid(shapes))
    assert all(polygon.exterior.is_ccw and not any(hole.is_ccw for hole in polygon.interiors) for polygon in shapes)
    assert [polygon.area for polygon in shapes] == [each.pixels for each in found]
    assert sum(each.pixels for each in found) == (classes_YX != 255).sum()
    if found:
        assert shapely.coverage_is_valid(shapes)
        pairs = [(each.polygon, each.kind) for each in found]
        back_YX = rasterio.features.rasterize(pairs, classes_YX.shape, fill=255, transform=AFFINE, dtype="uint8")
        np.testing.assert_array_equal(back_YX, classes_YX)


def test_a_polygon_has_a_vertex_where_three_outlines_meet() -> None:
    left = next(each.polygon for each in traced(np.array([[0, 1], [0, 2]], np.uint8)) if each.kind == 0)
    assert list(left.exterior.coords) == [(0, 0), (0, -2), (1, -2), (1, -1), (1, 0), (0, 0)]
