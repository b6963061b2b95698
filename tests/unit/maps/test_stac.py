"""The parts of STAC items: seasons, CRS, classes, bands, addresses."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps import stac
from cropcam.pipeline.runtime.hashing import file_sha256
from support.memory_source import LEGEND, make_grid


def test_an_interval_reaches_over_all_seasons_to_the_last_second() -> None:
    assert stac.interval([("2017-06-01", "2017-09-01"), ("2016-06-01", "2016-07-01")]) == {
        "datetime": None,
        "start_datetime": "2016-06-01T00:00:00Z",
        "end_datetime": "2017-08-31T23:59:59Z",
    }


def test_without_a_season_the_interval_is_the_time_of_all_images() -> None:
    found = stac.interval([])
    start, end = (datetime.fromisoformat(found[name]) for name in ("start_datetime", "end_datetime"))
    assert start.year == 1972
    assert end.year == 2099


@pytest.mark.parametrize(
    ("text", "seasons"),
    [
        ("2016-06-01/2016-09-01 2017-06-01/2017-09-01", [("2016-06-01", "2016-09-01"), ("2017-06-01", "2017-09-01")]),
        ("", []),
        ("summer", []),
        ("2016-06-01", []),
        ("2016-13-01/2016-14-01", []),
    ],
)
def test_seasons_come_from_the_tag(text: str, seasons: list[stac.Season]) -> None:
    assert stac.seasons_of({"seasons": text} if text else {}) == seasons


def test_a_crs_has_its_code_or_else_its_text() -> None:
    grid = make_grid(4, 6)
    assert stac.projection(grid) == {
        "proj:code": "EPSG:32616",
        "proj:shape": [4, 6],
        "proj:transform": list(grid.transform),
        "proj:bbox": [500_010.0, 4_500_000.0 - 120, 500_010.0 + 180, 4_500_000.0],
    }
    own = stac.projection(PixelGrid("+proj=laea +lat_0=41 +lon_0=-90 +datum=WGS84", grid.transform, 6, 4))
    assert own["proj:code"] is None
    assert own["proj:wkt2"].startswith("PROJCRS[")


def test_classes_have_names_for_programs_and_for_people() -> None:
    legend = Legend.from_codes({"corn": [1], "winter wheat": [24], "nodata": [5]})
    found = stac.classes(legend)
    assert [(each["value"], each["name"], each["title"]) for each in found] == [
        (0, "background", "background"),
        (1, "corn", "corn"),
        (2, "winter_wheat", "winter wheat"),
        (3, "nodata_3", "nodata"),
        (255, "nodata", "nodata"),
    ]
    assert found[1]["description"] == "label codes 1: Corn"
    assert found[1]["color_hint"] == legend.classes[1].color_hex[1:].upper()
    assert [each.get("nodata", False) for each in found] == [False] * 4 + [True]
    assert stac.classes(LEGEND, nodata=False)[-1]["name"] == LEGEND.names[-1]


@given(st.lists(st.text(max_size=8), max_size=6, unique=True))
def test_names_for_programs_differ_and_are_plain(names: list[str]) -> None:
    found = stac.machine_names(names)
    assert len(set(found)) == len(names)
    assert all((name and name.isascii() and name.replace("_", "").replace("-", "").isalnum()) or set(name) <= {"-", "_"} for name in found)


def test_nodata_of_floats_is_nan_as_text() -> None:
    assert stac.missing(float("nan")) == {"nodata": "nan"}
    assert stac.missing(None) == {}
    assert stac.missing(-9999.0) == {"nodata": -9999}


def test_an_asset_has_a_relative_address_its_size_and_its_checksum(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    path = tmp_path / "a b" / "ß.gpkg"
    path.write_bytes(b"123")
    found = stac.asset(path, tmp_path / "items", "Outlines", ["data"])
    assert found["href"] == "../a%20b/%C3%9F.gpkg"
    assert found["type"] == "application/geopackage+sqlite3"
    assert found["file:size"] == 3
    assert found["file:checksum"] == "1220" + file_sha256(path)  # multihash: SHA2-256, 32 bytes
    assert stac.asset(path, tmp_path / "a b", "", [])["href"] == "./%C3%9F.gpkg"


def test_a_missing_asset_is_an_error_with_a_step(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.tif: cannot be read \(No such file"):
        stac.asset(tmp_path / "gone.tif", tmp_path, "", [])
