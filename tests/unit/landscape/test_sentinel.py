"""Sentinel-2 scenes: bands and pixels of the product, one land with Landsat's, scores that follow the clouds, restart."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio

from cropcam.pipeline.landscape import simulate
from cropcam.pipeline.landscape.sentinel import BANDS, COLLECTION, SCORES
from support.sensor_archives import COVER, small


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sentinel")
    simulate(small("sentinel-2", COVER), folder)
    return folder


def read(folder: Path, band: str) -> np.ndarray:
    with rasterio.open(folder / f"{band}.tif") as file:
        return file.read(1)


def test_a_scene_has_the_products_bands_and_its_score(archive: Path) -> None:
    scenes, scores = (sorted((archive / name).iterdir()) for name in (COLLECTION, SCORES))
    assert [scene.name for scene in scenes] == [score.name for score in scores]
    assert {scene.name.split("_")[2][1:3] for scene in scenes} == {"15", "16"}
    assert len({scene.name[:8] for scene in scenes}) == 4  # every fifth day of twenty
    for scene, score in zip(scenes, scores, strict=True):
        about = json.loads((scene / "asset.json").read_text())
        assert set(about["bands"]) == {*BANDS, "SCL"}
        assert about["properties"]["system:index"] == scene.name
        assert 0 <= about["properties"]["CLOUDY_PIXEL_PERCENTAGE"] <= 100
        for band, (side, *_) in BANDS.items():
            with rasterio.open(scene / f"{band}.tif") as file:
                assert (file.res, file.dtypes, file.nodata) == ((10.0 * side, 10.0 * side), ("uint16",), 0)
                assert file.read(1).min() > 0
        clear, classes = read(score, "cs_cdf"), read(scene, "SCL")
        assert clear.dtype == np.float32
        assert (clear.min() >= 0) & (clear.max() <= 1)
        cloudy = np.isin(classes, (8, 9)).repeat(2, 0).repeat(2, 1)
        if 0.05 < cloudy.mean() < 0.95:
            assert clear[cloudy].mean() < clear[~cloudy].mean() - 0.2


def test_green_land_is_green(archive: Path) -> None:
    clear = max((archive / SCORES).iterdir(), key=lambda score: read(score, "cs_cdf").mean())
    scene = archive / COLLECTION / clear.name
    red, edge, nir = (read(scene, band).mean() / 10_000 for band in ("B4", "B6", "B8"))
    assert red < 0.1 < edge < nir < 0.6


def test_worldcover_is_of_the_same_land(archive: Path) -> None:
    cover = read(archive / COVER["asset"], "Map")
    assert set(np.unique(cover)) <= {10, 20, 30, 40, 50, 60, 80, 90}
    assert (cover == 40).mean() > 0.2
    with rasterio.open(archive / COVER["asset"] / "Map.tif") as file:
        assert file.res == pytest.approx((1 / 12_000, 1 / 12_000))


def test_a_run_goes_on_where_it_stopped_with_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    shutil.copytree(archive, tmp_path / "again")
    lost = sorted((tmp_path / "again" / COLLECTION).iterdir())[0]
    before = {file.name: file.read_bytes() for file in lost.iterdir()}
    shutil.rmtree(lost)
    shutil.rmtree(tmp_path / "again" / SCORES / lost.name)
    summary = simulate(small("sentinel-2", COVER), tmp_path / "again")
    assert (summary.written, summary.written + summary.existing) == (2, len(summary.assets))
    assert {file.name: file.read_bytes() for file in lost.iterdir()} == before


def test_the_size_of_blocks_changes_no_pixel(archive: Path, tmp_path: Path) -> None:
    simulate(small("sentinel-2", COVER), tmp_path, block_px=64)
    for path in sorted((archive / COLLECTION).glob("*/B*.tif"))[::5]:
        again = tmp_path / path.relative_to(archive)
        np.testing.assert_array_equal(read(again.parent, path.stem), read(path.parent, path.stem))


def test_snow_is_no_cloud(tmp_path: Path) -> None:
    simulate(small("sentinel-2", seasons=[["2018-01-01", "2018-02-01"]]), tmp_path)
    snowy = 0
    for scene in (tmp_path / COLLECTION).iterdir():
        classes = read(scene, "SCL")
        snowy += bool((classes == 11).any())
        about = json.loads((scene / "asset.json").read_text())
        assert about["properties"]["CLOUDY_PIXEL_PERCENTAGE"] == pytest.approx(100 * np.isin(classes, (8, 9, 10)).mean(), abs=1e-3)
    assert snowy
