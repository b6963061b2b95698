"""`[image]`: a sensor's defaults, bands by common name, derived bands; wrong keys in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cropcam.pipeline.encoding import OFFSET, SCALE
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.study.image import Image
from cropcam.pipeline.study.study import load_study, parse_study

SEASONS = [["2018-05-01", "2018-08-01"], ["2018-08-01", "2018-10-01"]]
NDVI = {"ndvi": "(nir - red) / (nir + red)"}


def study(image: dict[str, Any]) -> dict[str, Any]:
    bounds = {"bounds": [-90.2, 40.8, -89.8, 41.2]}
    return {
        "study": {"name": "mine"},
        "area": bounds,
        "image": {"seasons": SEASONS[:1], **image},
        "labels": {"asset": "USDA/NASS/CDL/2018"},
    }


def test_a_sensor_gives_collections_bands_and_mask() -> None:
    image = parse_study(study({"sensor": "sentinel-2"})).image
    assert image.collections == ("COPERNICUS/S2_SR_HARMONIZED",)
    assert image.layers[:3] == ("blue", "green", "red")
    assert image.mask == ("cloud_score",)
    assert (image.encoding.dtype, image.encoding.scale[0], image.encoding.nodata[0]) == ("uint16", 0.0001, 0)


def test_the_default_is_landsat_8_as_ever() -> None:
    image = Image(seasons=(("2016-01-01", "2017-01-01"),))
    assert image.collections == ("LANDSAT/LC08/C02/T1_L2",)
    assert (image.encoding.dtype, set(image.encoding.scale), set(image.encoding.offset)) == ("uint16", {SCALE}, {OFFSET})


def test_derived_bands_follow_the_bands_of_each_season() -> None:
    image = parse_study(study({"sensor": "landsat-4-9", "bands": ["red", "nir"], "derived": NDVI, "seasons": SEASONS})).image
    assert image.layers == ("1_red", "1_nir", "1_ndvi", "2_red", "2_nir", "2_ndvi")
    assert image.source_layers == ("1_red", "1_nir", "2_red", "2_nir")
    assert (image.encoding.dtype, set(image.encoding.scale), set(image.encoding.nodata)) == ("float32", {1.0}, {-9999.0})
    assert image.source_encoding.dtype == "uint16"


def test_sensor_and_derived_bands_are_part_of_the_study() -> None:
    plain, derived = (parse_study(study({"sensor": "landsat-4-9", **more})) for more in ({}, {"derived": NDVI}))
    two = {"a": "nir / red", "b": "red / nir"}
    ordered, other = (
        parse_study(study({"sensor": "landsat-4-9", "derived": dict(items)})) for items in (two.items(), reversed(two.items()))
    )
    assert len({plain.digest, derived.digest, ordered.digest, other.digest, parse_study(study({})).digest}) == 5
    for made in (plain, derived, ordered):
        assert parse_study(made.to_dict()) == made
        assert parse_study(made.to_dict()).digest == made.digest


def test_a_sensor_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'title = "Mine"\ndtype = "int16"\nscale = 0.001\nnodata = -1\ndefault_bands = ["red", "nir"]\n'
        '[bands]\nred = {}\nnir = {}\n[[collections]]\nid = "users/me/mine"\ndefault_years = [0, 9999]\nbands = { red = "b1", nir = "b2" }\n'
    )
    text = '[study]\nname = "own"\n[area]\nbounds = [-90.2, 40.8, -89.8, 41.2]\n[image]\nsensor = "mine.toml"\nseasons = [["2018-05-01", "2018-08-01"]]\n'
    (tmp_path / "own.toml").write_text(text)
    own = load_study(str(tmp_path / "own.toml"))
    assert (own.image.table.title, own.image.bands, own.image.collections) == ("Mine", ("red", "nir"), ("users/me/mine",))
    (tmp_path / "again.toml").write_text(own.to_toml())
    assert load_study(str(tmp_path / "again.toml")) == own
    (tmp_path / "own.toml").write_text(text.replace("mine.toml", "yours.toml"))
    with pytest.raises(
        ConfigError,
        match=r"own\.toml, line 6: image\.sensor: .*yours\.toml: no such file; give the table of a sensor \(TOML, UTF-8\), or one of hls",
    ):
        load_study(str(tmp_path / "own.toml"))
    (tmp_path / "mine.toml").write_text("title = 1 2\n")
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"image\.sensor: .*mine\.toml, line 1, column \d+: not TOML"):
        load_study(str(tmp_path / "own.toml"))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ({"sensor": "sentinel2"}, r"image\.sensor: no sensor 'sentinel2': neither packaged \(.*\) nor a TOML file; did you mean sentinel-2\?"),
        ({"sensor": "sentinel-2", "bands": ["SR_B4"]}, r"image\.bands: 'SR_B4' is not of the sensor; it has coastal|image\.bands: 'SR_B4' is not of the sensor; it has blue"),
        ({"sensor": "sentinel-2", "bands": ["rad"]}, r"image\.bands: 'rad' is not of the sensor; did you mean red\?"),
        ({"sensor": "sentinel-2", "mask": ["clouds"]}, r"image\.mask: 'clouds' is not of the sensor; did you mean cloud"),
        ({"sensor": "sentinel-2", "mask": ["cloud"], "score_min": 0.5}, r"image\.score_min: no flag of the mask is a score"),
        ({"sensor": "satellite-embedding", "cloud_cover_max_pct": 20}, r"image\.cloud_cover_max_pct: the scenes of .* carry no cloud cover"),
        ({"collections": ["COPERNICUS/S2_SR_HARMONIZED"]}, r"image\.collections: 'COPERNICUS/S2_SR_HARMONIZED' is no collection of the sensor .*other sensors"),
        ({"sensor": "landsat-4-9", "collections": ["LANDSAT/LE07/C02/T1_L2"], "bands": ["coastal"]}, r"LE07/C02/T1_L2 has no band coastal; it has blue"),
        ({"sensor": "sentinel-2", "derived": {"ndvi": "(nir - rd) / 2"}}, r"image\.derived\.ndvi: .* names rd, .* did you mean red\?"),
        ({"sensor": "sentinel-2", "derived": {"red": "nir / 2"}}, r"image\.derived\.red: a derived band has a name of its own"),
    ],
)  # fmt: skip
def test_what_the_sensor_lacks_is_refused(image: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_study(study(image))


@pytest.mark.parametrize("seasons", [2, [2], [None], "2016", [["²016-01-01", "2016-02-01"]]])
def test_seasons_that_are_none_are_refused(seasons: object) -> None:
    values = load_study("demo").to_dict()
    del values["image"]["collections"]  # by the years of the seasons
    with pytest.raises(ConfigError, match=r"image\.seasons"):
        parse_study({**values, "image": {**values["image"], "seasons": seasons}})
