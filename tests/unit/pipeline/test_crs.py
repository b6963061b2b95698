"""CRS texts lose nothing, two CRS are one only where they mean the same, and longitudes meet whatever turns they have."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio.crs
import rasterio.warp
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS

from cropcam.pipeline.crs import crs_text, full_turn, is_geographic, same_crs, system, transform_bounds, transform_points
from cropcam.pipeline.errors import ConfigError

SHIFTED = "+proj=utm +zone=16 +ellps=clrk66 +towgs84=0,0,0,0,0,0,0 +units=m"  # NAD27 / UTM zone 16N but for its datum shift: 240 m
BESSEL = "+proj=longlat +ellps=bessel +towgs84=598.1,73.7,418.2,0.202,0.045,-2.455,6.7"
ESRI_UTM = (
    'PROJCS["WGS_1984_UTM_Zone_16N",GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137.0,298.257223563]],'
    'PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],PARAMETER["False_Easting",500000.0],'
    'PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",-87.0],PARAMETER["Scale_Factor",0.9996],'
    'PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]'
)
RADIANS = 'GEOGCS["own",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],UNIT["radian",1]]'


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ("EPSG:5070", "EPSG:5070"),
        (ESRI_UTM, "EPSG:32616"),
        ("+proj=utm +zone=16 +datum=WGS84", "EPSG:32616"),
        ("ESRI:102008", "ESRI:102008"),
        ("EPSG:2264", "EPSG:2264"),  # feet
        ("EPSG:4326+5773", "EPSG:4326"),  # heights are none of a raster's
        ("EPSG:32616+5773", "EPSG:32616"),
        ("EPSG:4979", "EPSG:4326"),
    ],
)
def test_a_code_where_the_code_means_the_same(found: str, text: str) -> None:
    assert crs_text(rasterio.crs.CRS.from_user_input(found)) == text


@pytest.mark.parametrize("found", [SHIFTED, BESSEL, "+proj=sinu +R=6371007.181 +units=m", "+proj=utm +zone=16 +ellps=WGS84"])
def test_what_no_code_means_keeps_every_parameter(found: str) -> None:
    own = rasterio.crs.CRS.from_user_input(found)
    text = crs_text(own)
    assert not text.startswith("EPSG")
    assert rasterio.crs.CRS.from_user_input(text) == own
    x, y = rasterio.warp.transform("EPSG:4326", own, [-87.9, -86.0], [40.1, 41.0])
    ours = transform_points("EPSG:4326", text, [-87.9, -86.0], [40.1, 41.0])
    np.testing.assert_allclose(ours, (x, y), rtol=0, atol=1e-5)


def test_a_datum_shift_of_its_own_is_another_system() -> None:
    shifted = crs_text(rasterio.crs.CRS.from_user_input(SHIFTED))
    assert not same_crs(shifted, "EPSG:26716")
    assert CRS.from_user_input(shifted).is_bound
    here, there = (transform_points("EPSG:4326", crs, -87.9, 40.1) for crs in (shifted, "EPSG:26716"))
    assert 200 < np.hypot(here[0] - there[0], here[1] - there[1]) < 300


def test_one_crs_in_two_spellings_is_one() -> None:
    wkt = CRS.from_epsg(5070).to_wkt()
    assert same_crs("EPSG:5070", wkt)
    assert same_crs("EPSG:32616", "EPSG:32616+5773")
    assert not same_crs("EPSG:5070", "EPSG:32616")


@pytest.mark.parametrize(("crs", "turn"), [("EPSG:4326", 360.0), ("EPSG:4807", 400.0), (RADIANS, 2 * np.pi), ("EPSG:5070", None)])
def test_once_around_the_globe(crs: str, turn: float | None) -> None:
    assert full_turn(crs) == (turn if turn is None else pytest.approx(turn, rel=1e-15))
    assert is_geographic(crs) == (turn is not None)


def test_a_geocentric_crs_has_no_x_and_y() -> None:
    with pytest.raises(ConfigError, match="neither projected nor in longitude and latitude"):
        is_geographic("EPSG:4978")
    with pytest.raises(ConfigError, match="'corn' is not a coordinate reference system; write an EPSG code"):
        is_geographic("corn")


@given(st.floats(-180, 180), st.floats(-89, 89), st.integers(-3, 3), st.sampled_from(["EPSG:4326", "EPSG:4269", "EPSG:3857", "EPSG:32616"]))
def test_a_longitude_is_the_same_with_turns_added(lon: float, lat: float, turns: int, target: str) -> None:
    expected = transform_points("EPSG:4326", target, lon, lat)
    found = transform_points("EPSG:4326", target, lon + 360.0 * turns, lat)
    if full_turn(target) is not None:
        assert abs(found[0]) <= 180
        assert abs((found[0] - expected[0] + 180) % 360 - 180) < 1e-9
    elif abs(abs(lon) - 180) > 1e-9:
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-5)


@pytest.mark.parametrize(
    ("source", "target", "bounds", "expected"),
    [
        ("EPSG:4326", "EPSG:4326", (271.0, 40.0, 272.0, 41.0), (-89.0, 40.0, -88.0, 41.0)),
        ("EPSG:4326", "EPSG:4326", (179.0, 40.0, 181.0, 41.0), (179.0, 40.0, -179.0, 41.0)),  # west above east: across 180 degrees
        ("EPSG:4326", "EPSG:4326", (0.0, -90.0, 360.0, 90.0), (-180.0, -90.0, 180.0, 90.0)),
        ("EPSG:4326", "EPSG:4326", (-180.0, -90.0, 180.0, 90.0), (-180.0, -90.0, 180.0, 90.0)),
    ],
)
def test_boxes_of_longitudes(source: str, target: str, bounds: tuple[float, float, float, float], expected: tuple[float, ...]) -> None:
    assert transform_bounds(source, target, bounds) == pytest.approx(expected)


def test_a_box_across_180_degrees_projects_as_one() -> None:
    west, south, east, north = transform_bounds("EPSG:4326", "EPSG:32660", (179.0, 50.0, 181.0, 51.0))
    assert east - west < 160_000
    back = transform_bounds("EPSG:32660", "EPSG:4326", (west, south, east, north))
    assert (back[0] > 178, back[2] < -178) == (True, True)


def test_the_horizontal_part_of_a_compound_crs() -> None:
    assert system("EPSG:32616+5773").to_epsg() == 32616
