"""Shapes meet a grid whatever turns their longitudes have."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.longitudes import Shapes, near_grid, within_half_turn


def shapes(*found: shapely.Geometry) -> Shapes:
    return np.array(found, object)


def degrees(west: float, width: int = 400, step: float = 0.01) -> PixelGrid:
    return PixelGrid("EPSG:4326", (step, 0.0, west, 0.0, -step, 42.0), width, 100)


@given(st.floats(-180, 175), st.integers(-2, 2), st.integers(-2, 2))
def test_what_is_one_place_meets(west: float, of_grid: int, of_shape: int) -> None:
    grid = degrees(west + 360 * of_grid)
    box = shapely.box(west + 1 + 360 * of_shape, 41.2, west + 2 + 360 * of_shape, 41.8)
    (found,) = near_grid(shapes(box), grid)
    assert found.area == pytest.approx(0.6, rel=1e-9)
    assert shapely.box(*grid.bounds_xyxy).contains(found.buffer(-1e-9))


def test_parts_on_both_sides_of_180_degrees_become_one() -> None:
    split = shapely.MultiPolygon([shapely.box(179, 41, 180, 42), shapely.box(-180, 41, -179, 42)])  # as RFC 7946 wants it
    (found,) = near_grid(shapes(split), degrees(178.0))
    assert found.equals(shapely.box(179, 41, 181, 42))
    (back,) = within_half_turn(shapes(shapely.box(179, 41, 181, 42)), "EPSG:4326")
    assert back.equals(split)


def test_a_band_around_the_globe_covers_a_grid_wherever_it_lies() -> None:
    band = shapely.box(-180, 37, 180, 41.5)
    for west in (-182.0, -90.0, 0.0, 178.0, 271.0):
        (found,) = near_grid(shapes(band), degrees(west))
        inside = found.intersection(shapely.box(*degrees(west).bounds_xyxy))
        assert inside.area == pytest.approx(4 * 0.5)


def test_what_needs_no_turn_stays_as_it_is() -> None:
    own = shapes(shapely.box(-90, 40, -89, 41), shapely.Polygon(), shapely.box(-np.inf, 0, 5, 5))
    assert near_grid(own, degrees(-91.0)) is own
    assert near_grid(own, PixelGrid("EPSG:32616", (30.0, 0.0, 400_000.0, 0.0, -30.0, 4e6), 9, 9)) is own
    assert within_half_turn(own, "EPSG:4326") is own
    assert within_half_turn(own, "EPSG:5070") is own
    moved = near_grid(own, degrees(269.5))
    assert moved[0].bounds == (270, 40, 271, 41)
    assert moved[1].is_empty
    assert moved[2] is own[2]


def test_what_is_no_longitude_stays_where_it_is() -> None:
    far = shapes(shapely.Polygon([(-90, 41), (1e308, 41), (-90, 42)]), shapely.box(-90, 41, -89, 42))
    assert near_grid(far, degrees(-91)).tolist() == far.tolist()  # at once
