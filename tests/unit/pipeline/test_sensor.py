"""Sensors as data: the packaged tables, and tables of one's own that are wrong."""

from __future__ import annotations

from typing import Any

import pytest

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.sensor import packaged, packaged_names, parse

MINE: dict[str, Any] = {
    "title": "Mine",
    "dtype": "int16",
    "scale": 0.0001,
    "nodata": -9999,
    "bands": {"red": {}, "heat": {"scale": 0.1, "offset": 20.0, "resolution_m": 60}},
    "resolution_m": 20,
    "default_bands": ["red"],
    "flags": {"cloud": {"band": "QA", "bit": 3}},
    "mask": ["cloud"],
    "collections": [{"id": "users/me/mine", "bands": {"red": "red", "heat": "heat"}}],
}


def test_the_packaged_sensors_of_the_design() -> None:
    assert packaged_names() == ("hls", "landsat", "landsat-4-9", "satellite-embedding", "sentinel-2")
    for name in packaged_names():
        sensor = packaged(name)
        assert sensor.source, name
        assert sensor.default_collections([]), name
        for asset_id in sensor.default_collections([2024]):
            assert set(sensor.default_bands) <= set(sensor.collection(asset_id).bands), (name, asset_id)


def test_bands_of_the_catalogue() -> None:
    """As the Earth Engine Data Catalog names them."""
    sentinel, embedding, hls = packaged("sentinel-2"), packaged("satellite-embedding"), packaged("hls")
    assert sentinel.collection("COPERNICUS/S2_SR_HARMONIZED").bands | {"water_vapour": "B9"} == {
        "coastal": "B1", "blue": "B2", "green": "B3", "red": "B4", "red_edge1": "B5", "red_edge2": "B6", "red_edge3": "B7", "nir": "B8",
        "nir_narrow": "B8A", "water_vapour": "B9", "swir1": "B11", "swir2": "B12",
    }  # fmt: skip
    assert [sentinel.resolution(band) for band in ("nir", "swir1", "coastal")] == [10, 20, 60]
    assert embedding.default_bands == tuple(f"A{axis:02d}" for axis in range(64))
    assert (embedding.composite, embedding.unit_length, embedding.mask) == ("mosaic", True, ())
    assert hls.collection("NASA/HLS/HLSS30/v002").bands["nir"] == "B8A"
    old, new = (packaged("landsat-4-9").collection(f"LANDSAT/{scene}/C02/T1_L2").bands for scene in ("LE07", "LC08"))
    assert (old["swir2"], new["swir2"], old["nir"], new["nir"]) == ("SR_B7", "SR_B7", "SR_B4", "SR_B5")
    assert (old["thermal"], new["thermal"]) == ("ST_B6", "ST_B10")


def test_the_landsats_of_a_study_are_those_that_flew() -> None:
    table = packaged("landsat-4-9")
    flown = {year: [asset_id.split("/")[1] for asset_id in table.default_collections([year])] for year in (1985, 2000, 2012, 2016, 2022)}
    assert flown == {1985: ["LT04", "LT05"], 2000: ["LT05", "LE07"], 2012: ["LT05", "LE07"], 2016: ["LC08"], 2022: ["LC08", "LC09"]}


def test_a_band_has_its_own_scale_or_the_sensors() -> None:
    encoding = parse(MINE, "mine.toml").encoding(("red", "heat"))
    assert (encoding.dtype, encoding.scale, encoding.offset, encoding.nodata) == ("int16", (0.0001, 0.1), (0.0, 20.0), (-9999, -9999))
    assert [parse(MINE, "mine.toml").resolution(band) for band in ("red", "heat")] == [20, 60]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "flags",
            {"cloud": {"band": "QA", "bits": 3}},
            r"flags\.cloud\.bits: unknown key; did you mean bit\?",
        ),
        ("flags", {"cloud": {"band": "QA"}}, r"flags\.cloud: exactly one of bit, classes, min, saturation"),
        ("flags", {"cloud": {"band": "QA", "bit": 3, "min": 0.5}}, r"flags\.cloud: exactly one of"),
        ("mask", ["clouds"], "mask: 'clouds' is not among cloud"),
        ("default_bands", ["nir"], "default_bands: 'nir' is not among red, heat"),
        ("collections", [{"id": "a/b", "bands": {"nir": "b1"}}], r"collections\.a/b\.bands: 'nir' is not among red, heat"),
        ("composite", "mean", 'composite: \'mean\' does not fit; it takes "median" or "mosaic"'),
        ("dtype", "float64", "dtype: "),
        ("bands", {"a b": {}}, "bands: 'a b' is no name of a band"),
        ("nodata", 70_000, "mine.toml: nodata 70000 is no value of int16"),
        ("scale", 0, "mine.toml: scale is 0"),
        ("flags", {"cloud": {"band": "QA", "saturation": True}}, "mine.toml: flags: saturation needs bands of the asset with a number"),
        ("colour", 1, "mine.toml: colour: unknown key; known here: title, source, composite"),
    ],
)
def test_a_wrong_table_gets_one_line(key: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse({**MINE, key: value}, "mine.toml")


def test_a_table_without_bands() -> None:
    with pytest.raises(ConfigError, match=r"mine\.toml: bands: is missing"):
        parse({key: value for key, value in MINE.items() if key != "bands"}, "mine.toml")


def test_a_collection_of_another_sensor() -> None:
    with pytest.raises(
        ConfigError, match=r"'COPERNICUS/S2_SR' is no collection of the sensor .*; did you mean COPERNICUS/S2_SR_HARMONIZED\?"
    ):
        packaged("sentinel-2").collection("COPERNICUS/S2_SR")
    with pytest.raises(ConfigError, match="other sensors: hls, landsat, landsat-4-9, satellite-embedding, sentinel-2"):
        packaged("landsat").collection("COPERNICUS/S2_SR_HARMONIZED")
