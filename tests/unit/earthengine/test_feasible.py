"""What Earth Engine can never deliver is refused before the first request, with number, limit and next step; what is not known passes."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest

from cropcam.pipeline.earthengine.feasible import check_feasible, notes
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.legend_sources import packaged_names, published
from cropcam.pipeline.sensor import packaged
from cropcam.pipeline.sensor import packaged_names as packaged_sensors
from cropcam.pipeline.study.study import Study, load_study, presets

TODAY = date(2026, 11, 30)
COVER = {"labels.legend": "worldcover", "classes": {"tree": ["Tree cover"]}}


def study(base: str = "demo", **changes: Any) -> Study:
    return load_study(base, {key.replace("__", "."): value for key, value in changes.items()})


@pytest.mark.parametrize("name", presets())
def test_every_preset_is_feasible(name: str) -> None:
    check_feasible(load_study(name), TODAY, name, is_exported=True)
    assert notes(load_study(name)) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image__seasons": [["2012-05-01", "2012-10-01"]]}, r"^s: image\.seasons: \[2012-05-01, 2012-10-01\) has no scene: LANDSAT/LC08/C02/T1_L2 has scenes from 2013-03-18 on; image\.sensor = \"landsat-4-9\" has, or take other seasons$"),
        ({"image__seasons": [["1970-05-01", "1970-10-01"]]}, r"has scenes from 2013-03-18 on; take other seasons$"),
        ({"image__sensor": "sentinel-2", "image__seasons": [["2016-05-01", "2016-10-01"]]}, r"COPERNICUS/S2_SR_HARMONIZED has scenes from 2017-03-28 on; image\.sensor = \"landsat-4-9\" has"),
        ({"image__collections": ["LANDSAT/LT05/C02/T1_L2"], "image__bands": ["SR_B1"]}, r"LANDSAT/LT05/C02/T1_L2 has scenes from 1984-03-16 to 2012-05-05;"),
        ({"image__seasons": [["2016-05-01", "2016-10-01"], ["2027-01-01", "2027-02-01"]]}, r"^s: image\.seasons: \[2027-01-01, 2027-02-01\) begins after today, 2026-11-30; take days that are past$"),
        ({"area__scale_m": 60}, r"^s: area\.scale_m: 60 m is twice a Landsat pixel or more, .*; take sensor = \"landsat-4-9\" with its band names, or less than 60$"),
        ({"labels__asset": "USDA/NASS/CDL/1995"}, r"^s: labels\.asset: USDA/NASS/CDL/1995: the first year is 1997; take a later one$"),
        ({"labels__asset": "USDA/NASS/CDL/2026"}, r"^s: labels\.asset: USDA/NASS/CDL/2026: the map of a year is published in the next one, and today is 2026-11-30; take 2025 or earlier$"),
        ({"labels__asset": "USDA/NASS/CDL"}, r"^s: labels\.asset: USDA/NASS/CDL is a collection of one image a year; name a year, such as USDA/NASS/CDL/2016$"),
        ({"labels__asset": "USDA/NAS/CDL/2017"}, r"^s: labels\.asset: USDA/NAS/CDL/2017 is not in Earth Engine's catalogue; did you mean USDA/NASS/CDL/2017\?$"),
        ({"labels__asset": "usda/nass/cdl/2017"}, r"did you mean USDA/NASS/CDL/2017\?$"),
        ({"labels__asset": "USDA/NASS/CLD/2017"}, r"did you mean USDA/NASS/CDL/2017\?$"),
        ({"labels__asset": "AAFC/ACI/2005"}, r"AAFC/ACI/2005: the first year is 2009"),
        ({"area__bounds": [16.0, 47.8, 16.6, 48.3]}, r"^s: labels\.asset: USDA/NASS/CDL/YEAR covers -125 to -66 E and 24 to 50 N, the area lies at 16\.00 to 16\.60 E and 47\.80 to 48\.30 N; take an asset of that place, such as ESA/WorldCover/v200$"),
        ({"area__bounds": [-90.0, 41.0, -89.99, 41.01]}, r"^s: area\.bounds: 37 x 37 px hold no patch of 50 x 50 px; widen them, or lower area\.scale_m or patches\.size_px$"),
        ({"area__scale_m": 0.001}, r"^s: area\.scale_m: 37,848,626 x 37,848,626 px are more than the 10,000,000,000,000 that Earth Engine exports; take larger pixels"),
        ({"image__seasons": [["2016-05-01", "2016-10-01"]] * 200}, r"^s: image\.bands: 1,400 layers of 200 seasons; Earth Engine exports 1,024; take fewer seasons or bands$"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_feasible(study(**changes), TODAY, "s")


def test_all_of_it_at_once() -> None:
    wrong = study(image__seasons=[["2012-01-01", "2012-02-01"]], labels__asset="USDA/NASS/CDL/1990", patches__size_px=2000)
    with pytest.raises(ConfigError) as caught:
        check_feasible(wrong, TODAY, "s")
    assert [line.split(":")[0] for line in caught.value.lines] == ["s", "image.seasons", "labels.asset", "area.bounds"]


@pytest.mark.parametrize(
    "changes",
    [
        {"labels__asset": "projects/mine/assets/USDA/NAS/CDL/2016"},
        {"labels__asset": "users/me/crops"},
        {"labels__asset": "USDA/NASS/CDL/2005a"},
        {"labels__asset": "USDA/NASS/CDL/2008"},
        {"labels__asset": "USDA/NASS/CDL/2025"},
        {"labels__asset": "USDA/NASS/CDL", "labels__dates": ["2016-01-01", "2017-01-01"]},
        {"labels__asset": "ESA/WorldCover/v100", **COVER},
        {"labels__asset": "ESA/WorldCover/v200/2021", **COVER},
        {"labels__asset": "ESA/WorldCereal/2021/MARKERS/v100"},
        {"labels__asset": "USGS/NLCD_RELEASES/2019_REL/NLCD/2016"},
        {"labels__asset": "MODIS/061/MCD12Q1"},
        {"image__seasons": [["2013-01-01", "2014-01-01"]]},
        {"image__sensor": "landsat-4-9", "image__seasons": [["1985-05-01", "1985-10-01"]]},
        {"image__sensor": "satellite-embedding", "image__seasons": [["2025-01-01", "2026-01-01"]]},
        {"area__bounds": [-66.5, 44.0, -60.0, 47.0]},  # its west reaches into the box of CDL
    ],
)
def test_what_may_be_passes(changes: dict[str, Any]) -> None:
    check_feasible(study(**changes), TODAY, "s", is_exported=True)


def test_own_label_rasters_need_no_asset_until_they_are_exported() -> None:
    own = study(labels__asset="RPG 2022, own rasters")
    check_feasible(own, TODAY, "s")
    with pytest.raises(
        ConfigError, match=r"^s: labels\.asset: 'RPG 2022, own rasters' is no name of an Earth Engine asset; name one, such as"
    ):
        check_feasible(own, TODAY, "s", is_exported=True)
    alone = own.to_dict()
    del alone["labels"]
    check_feasible(Study.model_validate(alone), TODAY, "s", is_exported=True)


def test_notes_tell_what_may_be_meant_otherwise() -> None:
    assert notes(study(image__seasons=[["2017-05-01", "2017-10-01"]])) == [
        "labels are of 2016 (labels.asset), images of 2017 (image.seasons)"
    ]
    (note,) = notes(study(image__sensor="landsat-4-9", image__seasons=[["2005-05-01", "2005-10-01"]], labels__asset="USDA/NASS/CDL/2005a"))
    assert note.startswith("USDA/NASS/CDL/2005a: before 2008 the Cropland Data Layer covers single states")


def test_days_and_assets_of_the_catalogue() -> None:
    """As the Earth Engine Data Catalog has them."""
    days = {item.id: item.days for name in packaged_sensors() for item in packaged(name).collections}
    assert days["LANDSAT/LT04/C02/T1_L2"] == ("1982-08-22", "1993-06-24")
    assert days["LANDSAT/LT05/C02/T1_L2"] == ("1984-03-16", "2012-05-05")
    assert days["LANDSAT/LE07/C02/T1_L2"] == ("1999-05-28", "2024-01-19")
    assert {days[f"LANDSAT/LC0{n}/C02/T1_L2"] for n in (8, 9)} == {("2013-03-18", ""), ("2021-10-31", "")}
    assert days["COPERNICUS/S2_SR_HARMONIZED"] == ("2017-03-28", "")
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", first) for first, _ in days.values())
    assert {name: published(name)[:2] for name in packaged_names()} == {
        "aafc-aci": ("AAFC/ACI/YEAR", 2009),
        "cdl": ("USDA/NASS/CDL/YEAR", 1997),
        "nlcd": ("USGS/NLCD_RELEASES/2021_REL/NLCD/2021", 0),
        "worldcereal": ("ESA/WorldCereal/2021/MODELS/v100", 0),
        "worldcover": ("ESA/WorldCover/v200", 0),
    }


@pytest.mark.parametrize(
    ("start", "end", "may"), [("2012-01-01", "2013-03-18", False), ("2012-01-01", "2013-03-19", True), ("2030-01-01", "2031-01-01", True)]
)
def test_a_day_at_the_border(start: str, end: str, may: bool) -> None:
    assert packaged("landsat").collection("LANDSAT/LC08/C02/T1_L2").may_have(start, end) is may
    assert packaged("landsat").collection("LANDSAT/LT05/C02/T1_L2").may_have("2012-05-05", "2013-01-01")
    assert not packaged("landsat").collection("LANDSAT/LT05/C02/T1_L2").may_have("2012-05-06", "2013-01-01")
