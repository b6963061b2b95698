"""What each key of a study takes, in words and by an example, for messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, get_args

from cropcam.pipeline.study.section import Section


class Form(NamedTuple):
    """What a key takes, and an example as TOML."""

    words: str
    example: str

    def __str__(self) -> str:
        return f"{self.words}, such as {self.example}"


FORMS = {
    "study.name": Form("a name of at most 61 letters, digits, - and _", '"my-study"'),
    "area.bounds": Form("four numbers in degrees: west, south, east, north", "[-94.0, 37.0, -86.0, 41.5]"),
    "area.region": Form("the name of a file of polygons, or GeoJSON text", '"state.geojson"'),
    "area.crs": Form("a coordinate reference system", '"EPSG:5070"'),
    "area.scale_m": Form("a pixel size in metres", "30.0"),
    "image.sensor": Form("the name of a sensor or of its TOML file", '"sentinel-2"'),
    "image.collections": Form("a list of collections of the sensor, at least one", '["LANDSAT/LC08/C02/T1_L2"]'),
    "image.bands": Form("a list of bands of the sensor, at least one", '["SR_B4", "SR_B5"]'),
    "image.seasons": Form("a list of seasons, each the first day and the day after the last", '[["2016-05-01", "2016-10-01"]]'),
    "image.mask": Form("a list of flags of the sensor", '["cloud", "shadow"]'),
    "image.score_min": Form("a number, the lowest score of a pixel that counts", "0.6"),
    "image.derived": Form("a table of names and expressions of bands", '{ ndvi = "(SR_B5 - SR_B4) / (SR_B5 + SR_B4)" }'),
    "image.cloud_cover_max_pct": Form("a number from 0 to 100", "60"),
    "image.count": Form("true or false", "true"),
    "labels.asset": Form("the name of an Earth Engine asset", '"USDA/NASS/CDL/2016"'),
    "labels.confidence_min_pct": Form("a number from 0 to 100", "80"),
    "labels.presence_min_share": Form("a number from 0 to below 1", "0.05"),
    "labels.legend": Form("the name of a legend or of its CSV file, or a table of codes and names", '"worldcover"'),
    "labels.band": Form("the name of a band, or its number from 1", '"cropland"'),
    "labels.nodata": Form("a whole number, or a list of them", "[255]"),
    "labels.filter": Form("a table of properties of images and their values", '{ season = "winter" }'),
    "labels.dates": Form("two days, the first one and the day after the last", '["2021-01-01", "2022-01-01"]'),
    "labels.mosaic": Form('one of "last", "first" and "mode"', '"last"'),
    "labels.scale_m": Form("a pixel size in metres; 0 is the legend's own", "10"),
    "labels.weight": Form("the name of a band, or its number from 1", '"confidence"'),
    "classes": Form("a table of classes, each with a list of codes", "{ corn = [1], forest = [63, 141] }"),
    "colours": Form("a table of classes and their colours", '{ corn = "#ffd300", background = "#bab2aa" }'),
    "patches.size_px": Form("a whole number from 8 to 4,096", "50"),
    "patches.valid_min_share": Form("a number above 0, at most 1", "1.0"),
    "splits.block_patches": Form("two whole numbers from 1: columns and rows", "[5, 5]"),
    "splits.fractions": Form("three shares that add up to 1: train, validation, test", "[0.7, 0.1, 0.2]"),
    "splits.gap_patches": Form("a whole number from 0", "1"),
    "splits.holdout": Form("the name of a file of polygons, or GeoJSON text", '"county.geojson"'),
    "splits.method": Form('one of "blocks", "folds" and "random"', '"blocks"'),
    "splits.folds": Form("a whole number from 3", "5"),
    "splits.fold": Form("a whole number from 0", "0"),
}  # fmt: skip
_OF_A_TABLE = {
    "colours": Form("a colour of red, green and blue", '"#ffd300"'),
    "classes": Form("a list of codes, ranges and names of the legend", '[5, "1-60", "Sweet corn"]'),
    "image.derived": Form("an expression of bands", '"SR_B5 / SR_B4"'),
    "labels.filter": Form("a text or a number", '"winter"'),
}


def form_of(key: Sequence[str]) -> Form | None:
    """What a key takes; None for a section and for what is no key."""
    for end in (2, 1):
        if len(key) >= end and (name := ".".join(key[:end])) in FORMS:
            return _OF_A_TABLE.get(name, FORMS[name]) if len(key) > end else FORMS[name]
    return None


def sections(study: type[Section]) -> dict[str, type[Section]]:
    """The sections with keys, by their name."""
    kinds = {name: (*get_args(field.annotation), field.annotation)[0] for name, field in study.model_fields.items()}  # one may be absent
    return {name: kind for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, Section)}
