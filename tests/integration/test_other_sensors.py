"""Other sensors the whole way, by the command line: simulate, export, patches, check, train, evaluate, map, report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import ee
import numpy as np
import pytest
import rasterio
import xarray as xr

from cropcam.cli import main
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.study.study import load_study
from support.rasters import write_raster

STUDY = """
[study]
name = "small"
[area]
bounds = [-90.012, 41.0, -89.988, 41.018]
{area}
[image]
{image}
{labels}
[patches]
size_px = 8
[splits]
block_patches = [2, 2]
"""
COVER = '[labels]\nasset = "ESA/WorldCover/v200/2021"\nlegend = "worldcover"\npresence_min_share = 0.1\n[classes]\ncrop = ["cropland"]\ntrees = ["Tree Cover"]'
CDL = '[labels]\nasset = "USDA/NASS/CDL/2018"\n[classes]\ncorn = [1]\nsoybean = [5]'


@pytest.fixture(autouse=True)
def _reset() -> Iterator[None]:
    yield
    ee.Reset()


def run(*words: object) -> int:
    return main(list(map(str, words)))


def whole_way(folder: Path, text: str, *train: object) -> Path:
    study, store, trained = folder / "small.toml", folder / "s.zarr", folder / "run"
    study.write_text(text)
    assert run("simulate", study, "--archive", folder / "archive") == 0
    assert run("export", study, "--to", folder / "shards", "--archive", folder / "archive") == 0
    assert run("patches", study, "--from", folder / "shards", "--store", store) == 0
    assert run("check", store) == 0
    assert run("train", store, "--run", trained, "--epochs", 1, "--batch-size", 8, "--device", "cpu", *train) == 0
    assert run("evaluate", trained, "--device", "cpu") == 0
    assert run("map", trained, "--store", store, "--out", folder / "map.tif", "--device", "cpu") == 0
    assert run("map", trained, "--from", folder / "shards", "--out", folder / "again.tif", "--device", "cpu") == 0
    assert run("report", trained) == 0
    with rasterio.open(folder / "map.tif") as first, rasterio.open(folder / "again.tif") as second:
        np.testing.assert_array_equal(first.read(), second.read())
    return store


def test_sentinel_2_with_worldcover_by_name_two_seasons_and_a_derived_band(tmp_path: Path) -> None:
    image = (
        'sensor = "sentinel-2"\nbands = ["blue", "green", "red", "nir", "swir1"]\nseasons = [["2021-06-20", "2021-07-05"], ["2021-07-05", "2021-07-20"]]\n'
        "count = true\n[image.derived]\nndvi = '(nir - red) / (nir + red)'"
    )
    store = whole_way(tmp_path, STUDY.format(area="scale_m = 20.0", image=image, labels=COVER), "--labels", "pixels")
    opened = open_store(store)
    assert opened.info.classes.names == ("background", "crop", "trees")
    assert opened.info.encoding == load_study(str(tmp_path / "small.toml")).image.encoding
    cube = xr.open_zarr(store)
    assert cube.season.values.tolist() == ["2021-06-20/2021-07-05"] * 6 + ["2021-07-05/2021-07-20"] * 6
    values = cube.image.values
    red, nir, ndvi = (values[list(cube.band.values).index(f"1_{name}")] for name in ("red", "nir", "ndvi"))
    seen = np.isfinite(ndvi)
    assert seen.mean() > 0.8
    np.testing.assert_allclose(ndvi[seen], ((nir - red) / (nir + red))[seen], rtol=1e-4)
    assert 0.2 < np.nanmedian(ndvi) < 1
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["classification"]["per_class"].keys() == {
        "background",
        "crop",
        "trees",
    }
    assert "CDL" not in (tmp_path / "run" / "report.html").read_text()


def test_landsat_7_and_8_mixed_by_common_names(tmp_path: Path) -> None:
    ids = '["LANDSAT/LE07/C02/T1_L2", "LANDSAT/LC08/C02/T1_L2"]'
    image = f'sensor = "landsat-4-9"\ncollections = {ids}\nbands = ["red", "nir", "swir1"]\nseasons = [["2018-07-01", "2018-09-15"]]'
    store = whole_way(tmp_path, STUDY.format(area="", image=image, labels=CDL), "--labels", "presence")
    assert {path.parent.parent.parent.name for path in (tmp_path / "archive/LANDSAT").glob("*/C02/T1_L2/*")} == {"LE07", "LC08"}
    cube = xr.open_zarr(store)
    assert cube.band.values.tolist() == ["red", "nir", "swir1"]
    red, nir = (np.nanmedian(cube.image.sel(band=band).values) for band in ("red", "nir"))
    assert red < 0.1
    assert 0.2 < nir < 0.6


def test_embeddings_packed_as_int8_keep_their_type_to_the_map(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study, store, trained = tmp_path / "small.toml", tmp_path / "s.zarr", tmp_path / "run"
    axes = [f"A{axis:02d}" for axis in range(8)]
    study.write_text(
        STUDY.format(area="", image=f'sensor = "satellite-embedding"\nbands = {axes}\nseasons = [["2018-01-01", "2019-01-01"]]', labels=CDL)
    )
    grid, random = PixelGrid("EPSG:32615", (10.0, 0.0, 700_000.0, 0.0, -10.0, 4_500_000.0), 64, 48), np.random.default_rng(0)
    codes = np.kron(random.choice(np.array([1, 5, 176], np.uint8), (6, 8)), np.ones((8, 8), np.uint8))
    values = random.integers(-20, 20, (8, 48, 64)) + np.select([codes == 1, codes == 5], [60, -60], 0)
    values[:, :2, :2] = -128
    image = write_raster(tmp_path / "image.tif", values.astype(np.int8), grid, names=tuple(axes))
    labels = write_raster(tmp_path / "labels.tif", codes, grid)
    words = ["patches", study, "--image", image, "--labels", labels, "--store", store]
    assert run(*words) == 3
    assert "type int8 have no agreed meaning for Satellite Embedding" in capsys.readouterr().err
    said = ["--scale", 1 / 127, "--offset", 0, "--nodata", -128]
    assert run(*words, *said) == 0
    encoding = open_store(store).info.encoding
    assert (encoding.dtype, set(encoding.nodata)) == ("int8", {-128.0})
    assert run("train", store, "--run", trained, "--epochs", 1, "--batch-size", 8, "--labels", "pixels", "--device", "cpu") == 0
    assert run("map", trained, "--image", image, "--out", tmp_path / "map.tif", "--device", "cpu", *said) == 0
    assert run("map", trained, "--store", store, "--out", tmp_path / "again.tif", "--device", "cpu") == 0
    with rasterio.open(tmp_path / "map.tif") as first, rasterio.open(tmp_path / "again.tif") as second:
        np.testing.assert_array_equal(first.read(), second.read())
        assert (first.read(1)[:2, :2] == 255).all()
    statistics = open_store(store).info.statistics
    assert max(map(abs, statistics["mean"])) < 0.6


def test_an_embedding_with_trees_beside_a_linear_head(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = 'sensor = "satellite-embedding"\nseasons = [["2018-01-01", "2019-01-01"]]'
    text = STUDY.format(area="", image=image, labels=CDL)
    options = ["--labels", "pixels", "--model", "trees", "--model-options", "trees=10,pixels=2000"]
    store = whole_way(tmp_path, text, *options)
    assert (open_store(store).info.encoding.dtype, len(open_store(store).bands)) == ("float32", 64)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())["segmentation"]
    trees = metrics["methods"][metrics["default"]]
    assert trees["pixel_accuracy"] > metrics["majority_accuracy"] + 0.1, "trees on embeddings beat the commonest class"
    again = tmp_path / "again"
    assert run("train", store, "--run", again, "--epochs", 1, "--batch-size", 8, "--device", "cpu", *options) == 0
    assert (again / "best.safetensors").read_bytes() == (tmp_path / "run" / "best.safetensors").read_bytes()
    linear = tmp_path / "linear"
    assert run("train", store, "--run", linear, "--epochs", 2, "--labels", "shares", "--model", "linear", "--device", "cpu") == 0
    assert run("evaluate", linear, "--device", "cpu") == 0
    capsys.readouterr()
    assert run("compare", tmp_path / "run", linear, "--out", tmp_path / "comparison") == 0
    shown = capsys.readouterr().out
    assert "trees" in shown
    assert "linear" in shown
    assert run("export-model", tmp_path / "run", "--to", tmp_path / "m.onnx") == 2
    assert "trees is no torch program and cannot be exported" in capsys.readouterr().err
    assert run("train", store, "--run", tmp_path / "p", "--labels", "presence", "--model", "trees") == 2
    assert "--model trees learns from pixels with a class, which presence labels do not give" in capsys.readouterr().err
