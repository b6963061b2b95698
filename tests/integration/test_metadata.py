"""Metadata that travels: the item of a run and of its map, with every layer, by the commands' own functions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from cropcam.model.evaluation.run_item import write_run_item
from cropcam.model.inference.wall_to_wall import Outputs, map_raster
from cropcam.pipeline.runtime.hashing import file_sha256
from cropcam.pipeline.study.study import load_study
from support import stac_schemas
from support.map_runs import info_of, make_config, make_run, random_dn, random_network, with_attrs
from support.memory_source import LEGEND, Memory

NAMES = tuple(f"LC08_L2SP_023032_20230831_20230911_02_T1_SR_{band}.TIF" for band in ("B4", "B5", "B6"))
SOURCE = Memory(random_dn(np.random.default_rng(0), 150, 130, 0.4), NAMES)


@pytest.fixture
def run_path(tmp_path: Path) -> Path:
    network, config = random_network(), with_attrs(make_config(), info_of(load_study("demo")))
    path = make_run(tmp_path / "run", network, config)
    write_run_item(path, network, config)
    return path


def made(run_path: Path, folder: Path) -> dict[str, Any]:
    layers = {"probabilities": folder / "p.tif", "uncertainty": folder / "u.tif", "polygons": folder / "outlines.parquet"}
    map_raster(run_path, SOURCE, folder / "map.tif", outputs=Outputs(**layers), device="cpu")
    return dict(json.loads((folder / "map.stac.json").read_text("utf-8")))


def test_a_map_and_its_run_are_valid_stac_that_point_at_each_other(run_path: Path, tmp_path: Path) -> None:
    item, run = made(run_path, tmp_path / "maps"), json.loads((run_path / "stac.json").read_text("utf-8"))
    stac_schemas.validate(item)
    stac_schemas.validate(run)
    [link] = item["links"]
    assert (tmp_path / "maps" / link["href"]).resolve() == (run_path / "stac.json").resolve()
    assert link["mlm:name"] == run["properties"]["mlm:name"]
    assert run["assets"]["model"]["file:checksum"] == "1220" + item["properties"]["cropcam:checkpoint_digest"]
    assert set(item["assets"]) == {
        *("classes", "probabilities", "uncertainty", "polygons"),
        *("classes-style", "probabilities-style", "uncertainty-style", "polygons-style"),
    }
    for name, asset in item["assets"].items():
        assert asset["file:checksum"] == "1220" + file_sha256(tmp_path / "maps" / asset["href"]), name


def test_tags_and_item_tell_the_same(run_path: Path, tmp_path: Path) -> None:
    item = made(run_path, tmp_path / "maps")
    with rasterio.open(tmp_path / "maps" / "map.tif") as dataset:
        tags, colors = dataset.tags(), dataset.colormap(1)
    assert (tags["stac"], tags["seasons"]) == ("map.stac.json", "2023-08-31/2023-09-01")
    assert item["properties"]["start_datetime"] == "2023-08-31T00:00:00Z"
    assert (tags["probabilities"], item["assets"]["probabilities"]["href"]) == ("p.tif", "./p.tif")
    classes = item["assets"]["classes"]["bands"][0]["classification:classes"]
    for index, name in json.loads(tags["classes"]).items():
        assert classes[int(index)]["title"] == name
        assert classes[int(index)]["color_hint"] == "{:02X}{:02X}{:02X}".format(*colors[int(index)][:3])
    probabilities = item["assets"]["probabilities"]["bands"]
    assert [(band["name"], band["raster:scale"], band["nodata"]) for band in probabilities] == [(name, 0.004, 255) for name in LEGEND.names]


def test_a_map_made_again_has_the_same_bytes_beside_it(run_path: Path, tmp_path: Path) -> None:
    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (tmp_path / "maps").iterdir()}

    made(run_path, tmp_path / "maps")
    before = files()
    made(run_path, tmp_path / "maps")
    assert files() == before
    assert "map.stac.json" in before
