"""Simplified outlines: fewer vertices, the same borders on both sides, whatever the bands and the tolerance."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.maps.polygons_simplify import limits
from support.memory_source import make_grid
from support.outlines import Raster, rasters, spiral, traced


def blobs(seed: int, side: int = 60) -> Raster:
    """Fields of three classes with ragged borders, small islands and nodata."""
    rng = np.random.default_rng(seed)
    coarse_YX = np.kron(rng.integers(0, 3, (side // 10 + 1,) * 2), np.ones((10, 10)))
    shift_YX = np.cumsum(rng.integers(-1, 2, (2, side)), axis=1)
    rows_YX = np.clip(np.arange(side)[:, None] + shift_YX[0] // 2, 0, side)
    cols_YX = np.clip(np.arange(side)[None, :] + shift_YX[1][:, None] // 2, 0, side)
    found = coarse_YX[rows_YX, cols_YX].astype(np.uint8)
    found[rng.random((side, side)) < 0.02] = 1
    found[: side // 4, : side // 5] = 255
    return found


def holes(union: shapely.Geometry) -> tuple[int, int]:
    parts = shapely.get_parts(union)
    return len(parts), int(shapely.get_num_interior_rings(parts).sum())


@settings(max_examples=100, deadline=None)
@given(
    classes_YX=rasters(16) | st.integers(0, 999).map(blobs), band_px=st.integers(1, 9), limit=st.sampled_from([1.5, 3.0, 9.0, 50.0, 1e9])
)
@example(classes_YX=spiral(21), band_px=1, limit=1e9)
@example(classes_YX=np.indices((9, 9)).sum(axis=0).astype(np.uint8) % 2, band_px=2, limit=1e9)
def test_borders_stay_shared_without_gap_or_overlap(classes_YX: Raster, band_px: int, limit: float) -> None:
    found, exact = traced(classes_YX, band_px, limit), traced(classes_YX)
    whole = traced(classes_YX, limit=limit)
    shapes = [each.polygon for each in found]
    assert all(shapely.equals_exact(one, other.polygon) for one, other in zip(shapes, whole, strict=True))
    assert [each[:5] for each in found] == [each[:5] for each in exact]
    assert all(shapely.is_valid(shapes))
    assert all(polygon.area > 0 for polygon in shapes)
    if found:
        assert shapely.coverage_is_valid(shapes)
        assert holes(shapely.coverage_union_all(shapes)) == holes(shapely.coverage_union_all([each.polygon for each in exact]))
    assert sum(map(shapely.get_num_coordinates, shapes)) <= sum(shapely.get_num_coordinates(each.polygon) for each in exact)


def test_a_staircase_between_two_fields_becomes_straight() -> None:
    classes_YX = np.tri(20, 40, 5, dtype=np.uint8)
    below = next(each.polygon for each in traced(classes_YX, limit=3.0) if each.kind == 1)
    assert shapely.get_num_coordinates(below) < 9
    assert shapely.get_num_coordinates(next(each.polygon for each in traced(classes_YX) if each.kind == 1)) > 40
    assert below.area == pytest.approx((classes_YX == 1).sum(), rel=0.05)


def test_no_corner_below_the_limit_is_left_where_nothing_is_in_the_way() -> None:
    disk_YX = (np.hypot(*(np.indices((41, 41)) - 20)) < 17).astype(np.uint8)
    disk = next(each.polygon for each in traced(disk_YX, limit=6.0) if each.kind == 1)
    corners = np.array(disk.exterior.coords[:-1])
    before, after = np.roll(corners, 1, axis=0) - corners, np.roll(corners, -1, axis=0) - corners
    assert np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]).min() >= 6
    assert disk.area == pytest.approx((disk_YX == 1).sum(), rel=0.05)


def test_the_tolerance_is_in_metres_on_every_grid() -> None:
    np.testing.assert_allclose(limits(make_grid(3, 4), 60.0), 8.0, rtol=2e-3)
    degrees = PixelGrid("EPSG:4326", (0.001, 0.0, -96.0, 0.0, -0.001, 60.0), 5, 3)
    assert limits(degrees, 100.0) == pytest.approx(2 * 100**2 / (111_412 * 0.001) / (55_800 * 0.001), rel=5e-3)
