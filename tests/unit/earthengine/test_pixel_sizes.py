"""Pixel sizes of scenes and labels: asked of the service, compared with the sensor's table and the legend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from cropcam.pipeline.earthengine.pixel_sizes import check_pixel_sizes, pixel_sizes
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.sensor import packaged
from cropcam.pipeline.study.study import Study, parse_study
from support import scenes
from support.graph_studies import variant
from support.scenes import Client, millis, write_asset

TEN = PixelGrid("EPSG:32616", (10.0, 0.0, 246_000.0, 0.0, -10.0, 4_545_000.0), 300, 300)
TWENTY = PixelGrid("EPSG:32616", (20.0, 0.0, 246_000.0, 0.0, -20.0, 4_545_000.0), 150, 150)
COVER = PixelGrid("EPSG:4326", (1 / 12_000, 0.0, -90.02, 0.0, -1 / 12_000, 41.03), 400, 400)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = scenes.write_archive(tmp_path_factory.mktemp("sizes"))
    about = {"system:time_start": millis("2016-07-01"), "CLOUDY_PIXEL_PERCENTAGE": 1.0}
    scene = folder / "COPERNICUS/S2_SR_HARMONIZED/A"
    write_asset(scene, {"B4": np.ones(TEN.shape_yx, np.uint16)}, TEN, {}, **about)
    write_asset(folder / "T/TWENTY/A", {"B4": np.ones(TWENTY.shape_yx, np.uint16)}, TWENTY, {}, **about)
    write_asset(folder / "ESA/WorldCover/v200/W", {"Map": np.ones(COVER.shape_yx, np.uint8)}, COVER, {}, **about)
    with scenes.client(folder) as found:
        yield found


def sentinel(**image: Any) -> Study:
    values = {key: value for key, value in scenes.study().to_dict().items() if key != "labels"}
    seasons = [["2016-05-01", "2016-10-01"]]
    return parse_study({**values, "image": {"sensor": "sentinel-2", "bands": ["red"], "seasons": seasons, "mask": [], **image}})


def test_sizes_are_those_of_the_assets(client: Client) -> None:
    found = client.value(pixel_sizes(scenes.study()))
    assert found == {"SR_B4": pytest.approx(30), "labels": pytest.approx(30)}
    check_pixel_sizes(scenes.study(), found)
    found = client.value(pixel_sizes(sentinel()))
    assert found == {"red": pytest.approx(10)}
    check_pixel_sizes(sentinel(), found)
    values = scenes.study().to_dict()
    cover = {"asset": "ESA/WorldCover/v200", "legend": "worldcover", "mosaic": "last"}
    tree = parse_study({**values, "labels": cover, "classes": {"tree": ["Tree cover"]}})
    found = client.value(pixel_sizes(tree))
    assert found["labels"] == pytest.approx(9.277, abs=0.001)
    check_pixel_sizes(tree, found)


def test_bands_of_each_size_are_looked_at_once(client: Client) -> None:  # noqa: ARG001 - an initialised client
    study = sentinel(bands=["red", "swir1", "coastal", "nir"])
    found = scenes.encoded(pixel_sizes(study))
    assert str(found).count("'Projection.nominalScale'") == 3


def test_a_table_with_another_size_than_the_scenes(client: Client) -> None:
    table = packaged("sentinel-2").model_dump(mode="json", exclude_defaults=True)
    table["collections"] = [{"id": "T/TWENTY", "bands": {"red": "B4"}}]
    table |= {"bands": {"red": {"resolution_m": 10}}, "default_bands": ["red"], "mask": [], "flags": {}}
    study = sentinel(sensor=table, collections=["T/TWENTY"])
    with pytest.raises(
        ConfigError, match=r"image\.sensor: red of T/TWENTY has pixels of 20 m, the sensor's table has 10 m; correct its resolution_m"
    ):
        check_pixel_sizes(study, client.value(pixel_sizes(study)))


@pytest.mark.parametrize("scale_m", [60.0, 90.0, 500.0])
def test_the_default_sensor_on_a_grid_of_twice_its_pixels_is_refused(scale_m: float) -> None:
    with pytest.raises(
        ConfigError,
        match=rf'area\.scale_m {scale_m:g}: SR_B1 of LANDSAT/LC08/C02/T1_L2 has pixels of 30 m, .* take the sensor "landsat-4-9", .* scale_m below 60',
    ):
        check_pixel_sizes(variant(area={"scale_m": scale_m}), {"SR_B1": 30.0, "labels": 30.0})


@pytest.mark.parametrize("scale_m", [10.0, 30.0, 45.0, 59.9])
def test_below_that_the_nearest_pixel_is_one_of_the_scene(scale_m: float) -> None:
    check_pixel_sizes(variant(area={"scale_m": scale_m}), {"SR_B1": 30.0, "labels": 30.0})


def test_an_own_table_without_a_size_is_asked_for_it() -> None:
    table = packaged("landsat").model_dump(mode="json", exclude_defaults=True)
    study = variant(area={"scale_m": 60.0}, image={"sensor": {**table, "title": "Own"}})
    with pytest.raises(ConfigError, match="add resolution_m to the sensor's table, so that means are taken after the mask"):
        check_pixel_sizes(study, {"SR_B1": 30.0})


@pytest.mark.parametrize(
    ("asset", "size_m", "message"),
    [
        ("USDA/NASS/CDL/2024", 10.0, ""),
        ("USDA/NASS/CDL/2024", 30.0, r"its pixels have 30 m, the study counts on 10 m; set labels\.scale_m = 30"),
        ("USDA/NASS/CDL/2023", 10.0, r"its pixels have 10 m, the study counts on 30 m; set labels\.scale_m = 10"),
    ],
)
def test_labels_of_another_size_than_the_legends(asset: str, size_m: float, message: str) -> None:
    study = variant(labels={"asset": asset})
    if not message:
        check_pixel_sizes(study, {"labels": size_m})
        return
    with pytest.raises(ConfigError, match=message):
        check_pixel_sizes(study, {"labels": size_m})
    check_pixel_sizes(variant(labels={"asset": asset, "scale_m": size_m}), {"labels": size_m})


def test_labels_of_an_unknown_size_are_refused_from_twice_on() -> None:
    study = variant(labels={"legend": {"1": "a", "5": "b"}}, classes={"a": ["a"]})
    check_pixel_sizes(study, {"labels": 16.0})
    with pytest.raises(ConfigError, match=r"its pixels have 15 m, the grid has 30 m; set labels\.scale_m = 15"):
        check_pixel_sizes(study, {"labels": 15.0})
