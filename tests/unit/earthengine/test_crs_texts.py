"""CRS in requests: codes of EPSG as they are, anything else as WKT of version 1."""

from __future__ import annotations

import pytest
from pyproj import CRS

from cropcam.pipeline.crs import same_crs
from cropcam.pipeline.earthengine import crs_texts
from cropcam.pipeline.earthengine.crs_texts import grid_crs, service_crs
from cropcam.pipeline.emulator import crs_codes
from cropcam.pipeline.errors import ConfigError

LAEA = "+proj=laea +lat_0=52 +lon_0=10 +datum=WGS84 +units=m"


@pytest.mark.parametrize("code", ["EPSG:4326", "EPSG:5070", "EPSG:32615"])
def test_codes_of_epsg_stay(code: str) -> None:
    assert grid_crs(code) == {"crsCode": code}
    assert service_crs(code) == code


@pytest.mark.parametrize("crs", ["ESRI:102008", LAEA, "+proj=utm +zone=15 +datum=WGS84"])
def test_others_become_wkt_of_version_1_of_the_same_system(crs: str) -> None:
    ((key, wkt),) = grid_crs(crs).items()
    assert key == "crsWkt"
    assert wkt == service_crs(crs)
    assert wkt.startswith("PROJCS[")
    assert "\n" not in wkt
    assert same_crs(crs, wkt)
    assert same_crs(crs, crs_codes.of_text(wkt))  # the engine, as strict as the service, reads it
    assert service_crs(wkt) == wkt


def test_texts_of_a_system_of_epsg_become_its_code() -> None:
    assert grid_crs(CRS("EPSG:5070").to_wkt()) == {"crsCode": "EPSG:5070"}
    assert grid_crs("urn:ogc:def:crs:EPSG::5070") == {"crsCode": "EPSG:5070"}


def test_a_system_that_wkt_1_cannot_express_is_refused() -> None:
    rotated = "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=30 +lon_0=10 +datum=WGS84"
    with pytest.raises(
        ConfigError, match=r"area\.crs \+proj=ob_tran .*: WKT 1, which Earth Engine reads, cannot express it; write an EPSG code"
    ):
        crs_texts.service_crs(rotated)
