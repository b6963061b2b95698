"""Outlines of grids in degrees: against densely projected corners, across 180 degrees, around a pole."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.maps.footprint import footprint


def grid(crs: str, west: float, north: float, pixel: float, width: int = 40, height: int = 30) -> PixelGrid:
    return PixelGrid(crs, (pixel, 0.0, west, 0.0, -pixel, north), width, height)


def test_degrees_are_a_box_counterclockwise() -> None:
    place = footprint([grid("EPSG:4326", -94.0, 41.0, 0.1)])
    assert place is not None
    assert place.bbox == (-94.0, 38.0, -90.0, 41.0)
    ring = place.geometry["coordinates"][0]
    assert ring[0] == ring[-1]
    assert shapely.is_ccw(shapely.LinearRing(ring))
    assert shapely.geometry.shape(place.geometry).equals(shapely.box(-94.0, 38.0, -90.0, 41.0))


@pytest.mark.parametrize("crs", ["EPSG:5070", "EPSG:32616", "EPSG:3035"])
def test_bent_edges_hold_every_point_of_the_projected_grid(crs: str) -> None:
    west, north, pixel = {"EPSG:5070": (2e5, 2e6, 10_000.0), "EPSG:32616": (3e5, 4.6e6, 10_000.0), "EPSG:3035": (4e6, 3e6, 10_000.0)}[crs]
    place = footprint([made := grid(crs, west, north, pixel)])
    assert place is not None
    low, bottom, high, top = made.bounds_xyxy
    # an independent oracle: 2,000 points of each edge, projected
    step = np.linspace(0, 1, 2000)
    x = np.concatenate([low + (high - low) * step, np.full(2000, high), low + (high - low) * step, np.full(2000, low)])
    y = np.concatenate([np.full(2000, bottom), bottom + (top - bottom) * step, np.full(2000, top), bottom + (top - bottom) * step])
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
    np.testing.assert_allclose(place.bbox, (lon.min(), lat.min(), lon.max(), lat.max()), atol=5e-5)
    shape = shapely.geometry.shape(place.geometry)
    assert shapely.distance(shape.exterior, shapely.points(lon, lat)).max() < 5e-5  # 5 m on 400 km
    corners = shapely.box(lon.min(), lat.min(), lon.max(), lat.max())
    assert shape.area < corners.area


@pytest.mark.parametrize(
    "made", [grid("EPSG:4326", 178.0, 10.0, 0.1), grid("EPSG:32660", 700_000.0, 1_000_000.0, 10_000.0), grid("EPSG:3832", 3e6, 1e6, 1e4)]
)
def test_across_180_degrees_are_two_parts_and_a_box_whose_west_is_greater(made: PixelGrid) -> None:
    place = footprint([made])
    assert place is not None
    west, south, east, north = place.bbox
    assert west > 0 > east
    shape = shapely.geometry.shape(place.geometry)
    assert shape.geom_type == "MultiPolygon"
    assert shape.is_valid
    assert shape.bounds == (-180.0, south, 180.0, north)
    assert shapely.contains_xy(shape, 179.9999, (south + north) / 2)
    assert shapely.contains_xy(shape, -179.9999, (south + north) / 2)
    assert not shapely.contains_xy(shape, 0.0, (south + north) / 2)


@pytest.mark.parametrize(("crs", "pole"), [("EPSG:3413", 90.0), ("EPSG:3031", -90.0)])
def test_a_pole_inside_is_held(crs: str, pole: float) -> None:
    place = footprint([grid(crs, -2e6, 2e6, 100_000.0, 40, 40)])
    assert place is not None
    assert (place.bbox[0], place.bbox[2]) == (-180.0, 180.0)
    assert pole in place.bbox
    shape = shapely.geometry.shape(place.geometry)
    assert shape.is_valid
    for lon in range(-175, 180, 30):
        assert shapely.contains_xy(shape, lon, pole * 0.99)
        assert not shapely.contains_xy(shape, lon, pole * 0.6)


def test_the_whole_globe_is_one_box() -> None:
    for west in (-180.0, 0.0):
        place = footprint([grid("EPSG:4326", west, 90.0, 1.0, 360, 180)])
        assert place is not None
        assert place.bbox == (-180.0, -90.0, 180.0, 90.0)
        assert shapely.geometry.shape(place.geometry).area == pytest.approx(360.0 * 180.0)


def test_several_grids_are_one_place_on_the_shorter_way_round() -> None:
    place = footprint([grid("EPSG:4326", 178.0, 10.0, 0.01, 100, 100), grid("EPSG:4326", -179.5, 10.0, 0.01, 100, 100)])
    assert place is not None
    assert place.bbox == (178.0, 9.0, -178.5, 10.0)
    assert shapely.geometry.shape(place.geometry).area == pytest.approx(2.0)


def test_no_place_on_the_globe_has_no_outline() -> None:
    assert footprint([grid("EPSG:32616", 1e12, 1e12, 30.0)]) is None
    assert footprint([]) is None


@settings(deadline=None, max_examples=50)
@given(st.floats(-179.0, 179.0), st.floats(-60.0, 60.0), st.floats(0.01, 5.0))
def test_any_box_in_degrees_keeps_its_area_and_its_corners(west: float, north: float, side: float) -> None:
    place = footprint([grid("EPSG:4326", west, north, side / 10, 10, 10)])
    assert place is not None
    shape = shapely.geometry.shape(place.geometry)
    assert shape.area == pytest.approx(side**2, rel=1e-3)
    assert shape.bounds[0] >= -180.0
    assert shape.bounds[2] <= 180.0
    turned = west + side - 360.0 if west + side > 180.0 else west + side
    assert place.bbox == pytest.approx((west, north - side, turned, north), abs=1e-6)
