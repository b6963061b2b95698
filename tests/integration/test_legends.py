"""Labels of any legend, the whole way: own rasters with classes by name, codes above 255, several bands, and no labels at all."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import rasterio

import cropcam
from cropcam.cli import main
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.store.patch_store import open_store
from support.builds import GRID
from support.rasters import UTM, write_raster

STUDY = """
[study]
name = "cover"
[area]
bounds = [-90.2, 40.8, -89.8, 41.2]
[image]
bands = ["red", "nir"]
seasons = [["2021-05-01", "2021-10-01"]]
[labels]
asset = "ESA/WorldCover/v200/2021"
presence_min_share = 0.2
{labels}
[classes]
trees = ["Tree cover", "mangroves"]
crop = ["CROPLAND"]
[patches]
size_px = 10
[splits]
method = "random"
block_patches = [3, 2]
"""
COVER = np.array([10, 95, 40, 30, 80], np.uint8)  # two of trees, one of crop, two of background
CLASS = {10: 1, 95: 1, 40: 2, 30: 0, 80: 0}
WIDE = {10: 7, 95: 255, 40: 40_000, 30: 300, 80: 65_535}
COARSE = PixelGrid(UTM.crs, (60.0, 0.0, UTM.transform[2], 0.0, -60.0, UTM.transform[5]), GRID.width // 2, GRID.height // 2)


def cover() -> npt.NDArray[np.uint8]:
    """Fields of 10 px, as random as they are many."""
    fields = np.random.default_rng(3).choice(COVER, (GRID.height // 10, GRID.width // 10))
    return np.kron(fields, np.ones((10, 10), np.uint8))


def write_image(folder: Path, codes: npt.NDArray[np.uint8]) -> Path:
    level = np.select([np.isin(codes, (10, 95)), codes == 40], [0.1, 0.3], 0.5)
    values = np.stack([level, 0.6 - level]) + np.random.default_rng(0).normal(0, 0.01, (2, *codes.shape))
    return write_raster(folder / "image.tif", np.rint(values * 10_000).astype(np.int16), GRID, nodata=-9999)


def run(*words: object) -> int:
    return main(list(map(str, words)))


def whole_way(folder: Path, labels: str, raster: Path) -> Path:
    """Patches, check, train, evaluate, map, report; the store."""
    study, store, trained = folder / "cover.toml", folder / "s.zarr", folder / "run"
    study.write_text(STUDY.format(labels=labels))
    assert run("patches", study, "--image", folder / "image.tif", "--labels", raster, "--store", store) == 0
    assert run("check", store) == 0
    assert run("train", store, "--run", trained, "--epochs", 1, "--device", "cpu", "--labels", "pixels", "--batch-size", 8) == 0
    assert run("evaluate", trained, "--device", "cpu") == 0
    assert run("map", trained, "--image", folder / "image.tif", "--out", folder / "map.tif", "--device", "cpu") == 0
    assert run("report", trained) == 0
    metrics = json.loads((trained / "metrics.json").read_text())
    assert list(metrics["classification"]["per_class"]) == ["background", "trees", "crop"]
    with rasterio.open(folder / "map.tif") as file:
        assert json.loads(file.tags()["classes"]) == {"0": "background", "1": "trees", "2": "crop"}
        assert set(np.unique(file.read(1))) <= {0, 1, 2}
    assert "CDL" not in (trained / "report.html").read_text()
    return store


@pytest.mark.parametrize("legend", ["worldcover", "cover.csv"])
def test_worldcover_classes_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str], legend: str) -> None:
    codes = cover()
    write_image(tmp_path, codes)
    (tmp_path / "cover.csv").write_text(
        "code,name,r,g,b\n10,Tree cover,0,100,0\n30,Grassland,,,\n40,Cropland,240,150,255\n80,Water,,,\n95,Mangroves,,,\n"
    )
    holes = codes.copy()
    holes[:20, :20] = 0
    store = open_store(whole_way(tmp_path, f'legend = "{legend}"', write_raster(tmp_path / "labels.tif", holes, GRID)))
    assert store.info.dropped["label"] == 4
    assert [item.codes for item in store.info.classes.classes] == [(), (10, 95), (40,)]
    assert [item.color_hex for item in store.info.classes.classes[1:]] == ["#006400", "#f096ff"]
    cube = cropcam.open_store(store.path)
    assert cube.label.dtype == np.uint8
    np.testing.assert_array_equal(cube.label, holes)
    expected = np.vectorize(CLASS.get)(codes[20:, 20:])
    np.testing.assert_array_equal(store.info.classes.index(holes[20:, 20:]), expected)
    capsys.readouterr()
    (tmp_path / "points.csv").write_text(f"x,y,class\n{UTM.transform[2] + 15},{UTM.transform[5] - 15},30\n0,0,5\n")
    points = ("--labels", "points", "--points", tmp_path / "points.csv")
    assert run("train", store.path, "--run", tmp_path / "points", *points) == 3
    assert "line 3: class '5' is not known; it must be one of background, trees, crop, or a label code" in capsys.readouterr().err


def test_codes_above_255_in_one_band_of_several_on_a_coarser_grid(tmp_path: Path) -> None:
    codes = cover()
    write_image(tmp_path, codes)
    wide = np.vectorize(WIDE.get)(codes).astype(np.uint16)
    layers = np.stack([np.full(wide.shape, 5, np.uint16), wide])[:, ::2, ::2]
    raster = write_raster(tmp_path / "labels.tif", layers, COARSE, names=("year", "crop"))
    table = """band = "crop"
[labels.legend]
7 = "Tree cover"
255 = ["Mangroves", "#00cf75"]
300 = "Grassland"
40000 = ["Cropland", "#f096ff"]
65535 = "Water"
"""
    store = open_store(whole_way(tmp_path, table, raster))
    cube = cropcam.open_store(store.path)
    assert cube.label.dtype == np.uint16
    np.testing.assert_array_equal(cube.label, wide)
    assert cropcam.open_patches(store.path).label.dtype == np.uint16
    assert store.info.attrs()["legend"]["codes"][2] == [300, "Grassland", ""]
    lazy = cropcam.open_rasters(cropcam.load_study(tmp_path / "cover.toml"), tmp_path / "image.tif", raster)
    np.testing.assert_array_equal(lazy.label, wide)


def test_a_raster_of_another_legend_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path, cover())
    study = tmp_path / "cover.toml"
    study.write_text(STUDY.format(labels='legend = "worldcover"'))
    raster = write_raster(tmp_path / "labels.tif", np.full(GRID.shape_yx, 41, np.uint8), GRID)
    words = ("patches", study, "--image", tmp_path / "image.tif", "--labels", raster, "--store", tmp_path / "s.zarr")
    assert run(*words) == 3
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "labels.tif: holds label 41, which the legend 'worldcover' does not have: give a raster of that legend, name" in line
    study.write_text(STUDY.format(labels='legend = "worldcover"\nnodata = 41'))
    assert run(*words) == 3  # now no pixel has a label
    assert "none of 143 patches is complete (143 label)" in capsys.readouterr().err


def test_without_labels_there_is_a_store_of_images_and_each_command_that_needs_them_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = cover()
    image, study, store = write_image(tmp_path, codes), tmp_path / "cover.toml", tmp_path / "s.zarr"
    text = STUDY.format(labels="")
    study.write_text(text.partition("[labels]")[0] + "[classes]\ntrees = [141]\n[patches]" + text.partition("[patches]")[2])
    raster = write_raster(tmp_path / "labels.tif", codes, GRID)
    assert run("describe", study) == 0
    capsys.readouterr()
    assert run("patches", study, "--image", image, "--labels", raster, "--store", store) == 2
    assert "--labels needs labels, and the study cover has none; add [labels] with their asset and legend" in capsys.readouterr().err
    assert run("export", study, "--to", tmp_path / "shards", "--dry-run") == 0
    plan = capsys.readouterr().out
    assert "image " in plan
    assert "labels " not in plan
    assert run("patches", study, "--image", image, "--store", store) == 0
    assert run("check", store) == 0
    assert run("train", store, "--run", tmp_path / "run", "--labels", "majority") == 3
    assert "has no labels; build a store with them" in capsys.readouterr().err


def test_the_examples_of_the_page_are_studies_and_legends(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "legends.md").read_text("utf-8")
    (first, second, tiles, weighted), (table,) = (re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL) for kind in ("toml", "csv"))
    path = tmp_path / "cover.toml"
    path.write_text(first, "utf-8")
    study = cropcam.load_study(path)
    assert [item.codes for item in study.legend.classes] == [(), (10, 95), (40,), (30, 20)]
    (tmp_path / "ours.csv").write_text(table, "utf-8")
    start = first.partition("[labels]")[0]
    classes = '[classes]\nwheat = ["Blé tendre"]\nvines = [1450]\n'
    path.write_text(f'{start}[labels]\nasset = "RPG"\nlegend = "ours.csv"\n{classes}', "utf-8")
    ours = cropcam.load_study(path)
    assert (ours.table.fill, ours.table.dtype, ours.table.unlabelled) == (9999, np.uint16, (9999,))
    path.write_text(start + second + classes, "utf-8")
    inline = cropcam.load_study(path)
    assert [item for item in ours.table.codes if item.is_label] == list(inline.table.codes)
    assert inline.table.fill == 255
    path.write_text(start + tiles + '[classes]\ncrop = ["Temporary crops"]\n', "utf-8")
    assert cropcam.load_study(path).labels.is_collection
    path.write_text(start + weighted, "utf-8")
    assert cropcam.load_study(path).labels.weight == "confidence"
