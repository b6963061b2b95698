"""Graphs of a sensor's scenes: names, masks, linked scores, and the mean of finer bands."""

from __future__ import annotations

from typing import Any

import pytest

from cropcam.pipeline.earthengine.graphs import algorithms, expression, graph, graph_digest
from cropcam.pipeline.earthengine.scenes import finer_bands, largest_input_px
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.study.study import Study, load_study, parse_study
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
