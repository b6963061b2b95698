"""Graphs of a sensor's scenes: names, masks, linked scores, and the mean of finer bands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from cropcam.pipeline.earthengine.graphs import algorithms, expression, graph, graph_digest
from cropcam.pipeline.earthengine.scenes import finer_bands, largest_input_px
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.study.study import Study, load_study, parse_study
from support import scenes
from support.engines import invocations
from support.graph_studies import variant

pytestmark = pytest.mark.usefixtures("transport")


def study(sensor: str, scale_m: float = 30.0, **image: Any) -> Study:
    values = {key: value for key, value in load_study("demo").to_dict().items() if key != "labels"}
    values["area"] |= {"scale_m": scale_m}
    return parse_study({**values, "image": {"sensor": sensor, "seasons": [["2018-05-01", "2018-09-01"]], **image}})


def calls(made: Study, function: str) -> list[dict[str, Any]]:
    return [call["arguments"] for call in invocations(expression(graph(made, "image"))) if call["functionName"] == function]


def test_bands_finer_than_the_grid_are_averaged_after_the_mask() -> None:
    made = study("sentinel-2")
    assert finer_bands(made) == {
        10: ["blue", "green", "red", "nir"],
        20: ["red_edge1", "red_edge2", "red_edge3", "nir_narrow", "swir1", "swir2"],
    }
    assert len(calls(made, "Image.reduceResolution")) == 2
    assert finer_bands(study("sentinel-2", 10.0)) == {None: list(made.image.bands)}
    assert not algorithms(expression(graph(study("sentinel-2", 10.0), "image"))) & {"Image.reduceResolution", "Image.reproject"}
    assert finer_bands(study("sentinel-2", 20.0)) == {
        10: ["blue", "green", "red", "nir"],
        None: ["red_edge1", "red_edge2", "red_edge3", "nir_narrow", "swir1", "swir2"],
    }


def test_a_flag_finer_than_the_pixels_it_masks_counts_by_its_own() -> None:
    def reprojected(*given: Any, **more: Any) -> int:
        return len(calls(study(*given, **more), "Image.reproject"))

    assert reprojected("sentinel-2", bands=["red"]) == 1  # the mean of 10 m pixels, masked by a score of 10 m
    assert reprojected("sentinel-2", bands=["swir1"]) == 2  # 20 m pixels: the score's own, not its pyramid's
    assert reprojected("sentinel-2", 20.0, bands=["swir1"]) == 1
    assert reprojected("sentinel-2", 10.0, bands=["red", "swir1", "coastal"]) == 0
    assert reprojected("landsat-4-9", 90.0, bands=["red"]) == 1
    assert reprojected("landsat-4-9", bands=["red"]) == 0


def test_more_pixels_than_the_service_reduces_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"area\.scale_m 9000: a pixel may hold 182,329 pixels of a band of 30 m, the service reduces 65,536"
    ):
        graph(study("landsat-4-9", 9_000.0), "image")


def test_the_default_landsat_is_never_averaged() -> None:
    assert finer_bands(variant("demo", area={"scale_m": 90.0})) == {None: list(load_study("demo").image.bands)}
    assert finer_bands(study("landsat-4-9", 90.0)) == {30: ["blue", "green", "red", "nir", "swir1", "swir2"]}


def test_cloud_scores_are_linked_and_their_threshold_is_the_studys() -> None:
    assert "Image.linkCollection" in algorithms(expression(graph(study("sentinel-2"), "image")))
    assert "Image.linkCollection" not in algorithms(expression(graph(study("sentinel-2", mask=["cloud", "shadow"]), "image")))
    digests = {graph_digest(study("sentinel-2", **more), "image") for more in ({}, {"score_min": 0.5}, {"mask": ["cloud"]}, {"mask": []})}
    assert len(digests) == 4


def test_an_embedding_is_a_mosaic_of_unit_vectors() -> None:
    used = algorithms(expression(graph(study("satellite-embedding"), "image")))
    assert {"ImageCollection.mosaic", "Image.reduceResolution", "Image.sqrt", "Image.toFloat"} <= used
    assert not used & {"ImageCollection.reduce", "Reducer.median", "Image.floor"}
    assert not algorithms(expression(graph(study("satellite-embedding", 10.0), "image"))) & {"Image.sqrt", "Image.reduceResolution"}


def test_a_mean_of_vectors_needs_all_of_their_bands() -> None:
    with pytest.raises(
        ConfigError, match=r"image\.bands: the mean of vectors .* needs all 64 bands, the study has 2; .* area\.scale_m to 10"
    ):
        graph(study("satellite-embedding", bands=["A00", "A01"]), "image")
    assert graph(study("satellite-embedding", 10.0, bands=["A00", "A01"]), "image")


def test_collections_of_one_set_of_names_are_merged_first() -> None:
    ids = [f"LANDSAT/{scene}/C02/T1_L2" for scene in ("LT05", "LE07", "LC08", "LC09")]
    made = study("landsat-4-9", collections=ids, bands=["red", "nir"])
    selected = [call["bandSelectors"] for call in calls(made, "Image.select")]
    texts = [str(item) for item in selected]
    assert any("SR_B3" in text and "SR_B4" in text for text in texts) or "SR_B3" in str(expression(graph(made, "image")))
    assert len(calls(made, "Collection.map")) == 2


def test_bands_that_a_collection_lacks_are_refused() -> None:
    made = variant("demo", image={"bands": ["blue", "green"]})
    with pytest.raises(ConfigError, match=r"image\.bands: LANDSAT/LC08/C02/T1_L2 has no band blue; it has SR_B1"):
        graph(made, "image")


def test_a_pixel_of_the_grid_meets_no_more_pixels_of_a_band_than_asked_for() -> None:
    assert largest_input_px(30, 10) >= (3 * 2**0.5 + 1) ** 2
    assert largest_input_px(1000, 10) >= (100 * 2**0.5 + 1) ** 2


LARGE = PixelGrid("EPSG:32616", (30.0, 0.0, 300_000.0, 0.0, -30.0, 4_500_000.0), 600, 570)  # its pyramid has levels of 60 and 120 m


@pytest.mark.parametrize("scale_m", [60.0, 90.0])
def test_on_a_coarse_grid_pixels_are_masked_before_their_mean_and_no_pyramid_is_read(tmp_path: Path, scale_m: float) -> None:
    for seed in range(3):
        scenes.write_scene(tmp_path, f"{scenes.LANDSAT}/S{seed}", f"2018-07-0{seed + 1}", LARGE, seed)
    values = study("landsat-4-9", scale_m, bands=["red", "nir"], collections=[scenes.LANDSAT]).to_dict()
    values["area"] |= {"crs": "EPSG:32616", "bounds": [-89.3, 40.52, -89.27, 40.54]}
    coarse = parse_study(values)
    times, grid = round(scale_m / 30), coarse.grid
    col, row = (round(at) for at in ((grid.transform[2] - 300_000) / 30, (4_500_000 - grid.transform[5]) / 30))
    means = []
    for seed in range(3):
        folder = tmp_path / scenes.LANDSAT / f"S{seed}"
        bands = {name: read_raster(folder / f"{name}.tif") for name in ("SR_B4", "SR_B5", "QA_PIXEL")}
        clear = (bands["QA_PIXEL"] & 0b11111) == 0
        each = []
        for name in ("SR_B4", "SR_B5"):
            valid = np.where(clear & (bands[name] > 0), bands[name].astype(float), np.nan)
            inside = valid[row : row + grid.height * times, col : col + grid.width * times]
            each.append(np.ma.masked_invalid(inside).reshape(grid.height, times, grid.width, times).mean(axis=(1, 3)))
        means.append(each)
    expected = np.floor(np.ma.median(np.ma.stack([np.ma.stack(each) for each in means]), axis=0) + 0.5).filled(0)
    found = scenes.Client(tmp_path).pixels(graph(coarse, "image"), grid)
    np.testing.assert_array_equal(found.data, expected)
    assert (found > 0).mean() > 0.9
    nearest = parse_study({**values, "image": {**values["image"], "sensor": "landsat", "bands": ["SR_B4", "SR_B5"], "mask": ["cloud"]}})
    assert (scenes.Client(tmp_path).pixels(graph(nearest, "image"), grid) != found).mean() > 0.9  # which is why it is refused


def read_raster(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)
