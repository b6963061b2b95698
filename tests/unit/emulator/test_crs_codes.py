"""Texts that name a CRS: codes, WKT 1, and what the service refuses."""

from __future__ import annotations

import re

import numpy as np
import pytest
from pyproj import CRS, Transformer

from cropcam.pipeline.emulator import crs_codes
from cropcam.pipeline.emulator.errors import EngineError

ALBERS = CRS.from_user_input("ESRI:102008")


@pytest.mark.parametrize("code", ["EPSG:4326", "EPSG:5070", "EPSG:32616", "EPSG:3857"])
def test_codes_of_epsg_are_taken(code: str) -> None:
    assert crs_codes.of_code(code) == crs_codes.of_text(code) == crs_codes.of_code(code.lower()) == code
    assert crs_codes.field_of(code) == {"crs": code}


@pytest.mark.parametrize(
    "text",
    [
        "ESRI:102008",
        "ESRI:54009",  # gis.stackexchange.com question 272818
        "SR-ORG:7619",  # the same
        "OGC:CRS84",
        "EPSG:99999",
        "EPSG:",
        "4326",
        "WGS 84",
        "+proj=aea +lat_1=20 +lat_2=60",
        "urn:ogc:def:crs:EPSG::5070",
        ALBERS.to_wkt("WKT2_2019"),
        "PROJCS[nonsense]",
        "",
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    for read in (crs_codes.of_code, crs_codes.of_wkt, crs_codes.of_text):
        with pytest.raises(EngineError, match=re.escape(f"The CRS of a map projection could not be parsed: '{text}'.")):
            read(text)


def test_a_code_is_no_wkt_and_wkt_is_no_code() -> None:
    wkt = ALBERS.to_wkt("WKT1_GDAL")
    assert crs_codes.of_wkt(wkt) == crs_codes.of_text(wkt) == wkt
    assert crs_codes.field_of(wkt) == {"wkt": wkt}
    with pytest.raises(EngineError, match="could not be parsed"):
        crs_codes.of_code(wkt)
    with pytest.raises(EngineError, match="could not be parsed"):
        crs_codes.of_wkt("EPSG:4326")


def test_wkt_of_a_system_of_epsg_is_its_code() -> None:
    assert crs_codes.of_wkt(CRS.from_epsg(5070).to_wkt("WKT1_GDAL")) == "EPSG:5070"


def test_the_sinusoidal_of_modis_is_the_one_other_code() -> None:
    wkt = crs_codes.of_code("SR-ORG:6974")
    assert crs_codes.field_of(wkt) == {"crs": "SR-ORG:6974"}
    own = Transformer.from_crs("EPSG:4326", CRS.from_user_input(wkt), always_xy=True).transform([-90.0, 10.0], [41.0, -20.0])
    radius, radians = 6_371_007.181, np.deg2rad
    lon, lat = np.array([-90.0, 10.0]), np.array([41.0, -20.0])
    expected = radius * radians(lon) * np.cos(radians(lat)), radius * radians(lat)
    np.testing.assert_allclose(own, expected, atol=1e-3)
