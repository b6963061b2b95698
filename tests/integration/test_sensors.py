"""Other sensors through the embedded engine and the unmodified client: equal to numpy twins that import nothing of the project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ee
import numpy as np
import pytest
import rasterio

from cropcam.pipeline.earthengine.delivery import deliver
from cropcam.pipeline.earthengine.session import open_session
from cropcam.pipeline.emulator import serve
from cropcam.pipeline.grid import Window
from cropcam.pipeline.landscape import simulate
from cropcam.pipeline.rasters.export_shards import open_image_shards
from cropcam.pipeline.rasters.own_image import open_own_image
from cropcam.pipeline.study.study import Study
from oracles import sensors as twin
from support.sensor_archives import small

SEASON = ("2018-07-01", "2018-08-15")
UTM = {"crs": "EPSG:32615"}
NDVI = {"ndvi": "(nir - red) / (nir + red)"}
NAMES = {"blue": "B2", "red": "B4", "nir": "B8", "red_edge2": "B6", "swir1": "B11"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sensors")
    simulate(small("sentinel-2", seasons=[SEASON]), folder / "sentinel")
    simulate(small("satellite-embedding", seasons=[("2018-01-01", "2019-01-01")]), folder / "embedding")
    simulate(small("hls", seasons=[SEASON]), folder / "hls")
    return folder


@pytest.fixture(autouse=True)
def _reset() -> Iterator[None]:
    yield
    ee.Reset()


def exported(study: Study, archive: Path, out: Path) -> np.ndarray:
    """The image of an export through the embedded engine, as its shards hold it."""
    with serve(archive) as server:
        deliver(study, open_session("p", server.url), out, window_px=256)
    source = open_image_shards(out, study)
    assert source.encoding == study.image.encoding
    return source.read(Window(0, 0, *study.grid.shape_yx))


def target(study: Study) -> twin.Target:
    grid = study.grid
    return twin.Target(grid.crs, grid.transform, grid.width, grid.height)


def sentinel(area: dict[str, Any] | None = None, **image: Any) -> Study:
    return small("sentinel-2", area=area, seasons=[SEASON], **{"bands": list(NAMES), **image})


@pytest.mark.parametrize(
    ("area", "averaged"),
    [({}, True), (UTM, True), ({"crs": "EPSG:5070", "scale_m": 40.0}, True), ({**UTM, "scale_m": 10.0}, False)],
    ids=["degrees", "utm", "albers-40m", "10m"],
)
def test_sentinel_2_by_its_score(archive: Path, tmp_path: Path, area: dict[str, Any], averaged: bool) -> None:
    study = sentinel(area)
    expected = twin.sentinel_median(archive / "sentinel", target(study), SEASON, list(NAMES.values()), 0.6, averaged=averaged)
    found = exported(study, archive / "sentinel", tmp_path)
    assert found.dtype == np.uint16
    assert (expected > 0).mean() > 0.9
    np.testing.assert_array_equal(found, expected)


def test_sentinel_2_by_its_classes_and_another_threshold(archive: Path, tmp_path: Path) -> None:
    by_class = sentinel(UTM, mask=["cloud", "shadow", "cirrus"])
    expected = twin.sentinel_median(
        archive / "sentinel", target(by_class), SEASON, list(NAMES.values()), None, [3, 8, 9, 10], averaged=True
    )
    np.testing.assert_array_equal(exported(by_class, archive / "sentinel", tmp_path / "classes"), expected)
    strict = sentinel(UTM, score_min=0.85)
    expected = twin.sentinel_median(archive / "sentinel", target(strict), SEASON, list(NAMES.values()), 0.85, averaged=True)
    np.testing.assert_array_equal(exported(strict, archive / "sentinel", tmp_path / "strict"), expected)


HLS = {
    "NASA/HLS/HLSL30/v002": ["B1", "B4", "B5", "B7"],
    "NASA/HLS/HLSS30/v002": ["B1", "B4", "B8A", "B12"],
}


def hls(area: dict[str, Any], **image: Any) -> Study:
    return small("hls", area=area, **{"seasons": [SEASON], "bands": ["coastal", "red", "nir", "swir2"], **image})


@pytest.mark.parametrize(
    ("area", "averaged"),
    [({}, False), (UTM, False), ({"crs": "EPSG:5070", "scale_m": 40.0}, True), ({**UTM, "scale_m": 10.0}, False)],
    ids=["degrees", "utm", "albers-40m", "10m"],
)
def test_both_collections_of_hls_by_their_fmask(archive: Path, tmp_path: Path, area: dict[str, Any], averaged: bool) -> None:
    study = hls(area)
    expected = twin.hls_median(archive / "hls", target(study), SEASON, HLS, [1, 2, 3], averaged=averaged)
    found = exported(study, archive / "hls", tmp_path)
    assert found.dtype == np.float32
    assert (expected > -9999).mean() > 0.9
    np.testing.assert_array_equal(found, expected)
    for collection, bands in HLS.items():  # both count
        alone = twin.hls_median(archive / "hls", target(study), SEASON, {collection: bands}, [1, 2, 3], averaged=averaged)
        assert (alone != expected).mean() > 0.5


def test_hls_without_a_clear_observation_is_nodata(archive: Path, tmp_path: Path) -> None:
    season = ("2018-07-01", "2018-07-06")  # one pass of Sentinel-2 under broken clouds
    study = hls(UTM, seasons=[season])
    expected = twin.hls_median(archive / "hls", target(study), season, HLS, [1, 2, 3], averaged=False)
    assert 0.1 < (expected == -9999).mean() < 0.9
    np.testing.assert_array_equal(exported(study, archive / "hls", tmp_path), expected)


@pytest.mark.parametrize(("area", "averaged"), [(UTM, True), ({**UTM, "scale_m": 10.0}, False)], ids=["30m", "10m"])
def test_embeddings_are_a_mosaic_of_unit_vectors(archive: Path, tmp_path: Path, area: dict[str, Any], averaged: bool) -> None:
    season = ("2018-01-01", "2019-01-01")
    study = small("satellite-embedding", area=area, seasons=[season])
    expected = twin.embedding_mosaic(
        archive / "embedding", target(study), season, [f"A{axis:02d}" for axis in range(64)], averaged=averaged
    )
    found = exported(study, archive / "embedding", tmp_path)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(np.square(found[:, found[0] > -9999]).sum(axis=0), 1, rtol=1e-4)


def test_derived_bands_are_those_of_the_own_rasters_to_the_digit(archive: Path, tmp_path: Path) -> None:
    plain, derived = (sentinel(UTM, bands=["red", "nir"], **more) for more in ({}, {"derived": NDVI}))
    stored = exported(plain, archive / "sentinel", tmp_path / "plain")
    found = exported(derived, archive / "sentinel", tmp_path / "derived")
    assert (found.dtype, len(found)) == (np.float32, 3)
    own = open_own_image(sorted((tmp_path / "plain").glob("image*.tif")), derived.image)
    np.testing.assert_array_equal(own.read(Window(0, 0, *derived.grid.shape_yx)), found)
    red, nir = twin.physical(stored, 0.0001, 0.0, 0)
    expected = np.stack([red, nir, twin.ndvi({"red": red, "nir": nir})])
    np.testing.assert_array_equal(found, np.where(np.isnan(expected), -9999, expected).astype(np.float32))


def test_a_scene_without_a_score_is_masked(archive: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "archive"
    shutil.copytree(archive / "sentinel", copy)
    scores = sorted((copy / "GOOGLE/CLOUD_SCORE_PLUS/V1/S2_HARMONIZED").iterdir())
    for folder in scores[: len(scores) // 2]:
        shutil.rmtree(folder)
    study = sentinel(UTM)
    expected = twin.sentinel_median(copy, target(study), SEASON, list(NAMES.values()), 0.6, averaged=True)
    np.testing.assert_array_equal(exported(study, copy, tmp_path / "out"), expected)


def test_shards_know_their_sensor(archive: Path, tmp_path: Path) -> None:
    study = sentinel(UTM)
    exported(study, archive / "sentinel", tmp_path)
    with rasterio.open(next(tmp_path.glob("image*"))) as file:
        assert file.descriptions == study.image.layers
        assert '"sensor": "sentinel-2"' in file.tags()["STUDY_JSON"]
