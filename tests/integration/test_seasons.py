"""A time axis from store to report: missing seasons in training, evaluation, maps and exports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from cropcam.model.evaluation.evaluate import evaluate
from cropcam.model.inference.export import export_model
from cropcam.model.inference.wall_to_wall import map_raster
from cropcam.model.report.run_report import write_report
from cropcam.model.runs.checkpoint import BEST
from cropcam.model.runs.config import load_config
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.store.patch_store import open_store
from support.runs import train
from support.stores import make_store, make_study

SETTINGS = {"model": "fcn-time", "labels": "shares", "batch_size": 8, "device": "cpu"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("time")
    make_store(place / "patches.zarr", count=40, size_px=10, study=make_study(10, preset="demo-seasons"), season_gaps=True)
    train(place / "patches.zarr", place / "run", **SETTINGS, epochs=3)
    return place


def test_the_store_says_how_many_seasons_there_are_and_when(folder: Path) -> None:
    config = load_config(folder / "run")
    assert config.network.model_options == "season_days=122/183/251,season_drop=0.25,heads=3"
    assert config.seasons == 3
    with pytest.raises(ConfigError, match=r"season_days=1/2: the option season_days .* follows from the store, which has 122/183/251"):
        train(folder / "patches.zarr", folder / "other", **SETTINGS, model_options="season_days=1/2")


def test_a_resumed_run_ends_with_the_same_bytes(folder: Path) -> None:
    train(folder / "patches.zarr", folder / "resumed", **SETTINGS | {"schedule": "constant"}, epochs=1)
    train(folder / "patches.zarr", folder / "resumed", resume=True, device="cpu", epochs=2)
    train(folder / "patches.zarr", folder / "whole", **SETTINGS | {"schedule": "constant"}, epochs=2)
    assert (folder / "resumed" / BEST).read_bytes() == (folder / "whole" / BEST).read_bytes()


def test_the_last_number_of_seasons_is_the_headline_and_the_report_draws_all(folder: Path) -> None:
    found = evaluate(folder / "run").to_dict()["segmentation"]
    entries, default = found["seasons_seen"], found["methods"][found["default"]]
    assert [entry["seasons"] for entry in entries] == [1, 2, 3]
    for key in ("pixel_accuracy", "pixel_accuracy_ci95"):
        assert entries[-1][key] == default[key]
    assert entries[-1]["pixels"] == found["pixels"]
    assert json.loads((folder / "run" / "metrics.json").read_text())["segmentation"]["seasons_seen"] == entries
    page = write_report(folder / "run").read_text()
    assert "pixel accuracy by how many of 3 seasons are seen" in page


def test_a_map_is_nodata_only_where_every_season_is(folder: Path) -> None:
    store = open_store(folder / "patches.zarr")
    map_raster(folder / "run", store, folder / "map.tif", device="cpu")
    with rasterio.open(folder / "map.tif") as file:
        classes = file.read(1)
    image = store._array("image").read().result()
    complete = (image != 0).reshape(3, 7, *classes.shape).all(axis=1)
    np.testing.assert_array_equal(classes == 255, ~complete.any(axis=0))
    assert (complete.any(axis=0) & ~complete.all(axis=0)).any()


def test_an_exported_program_knows_missing_seasons(folder: Path) -> None:
    assert "of the network on random values" in export_model(folder / "run", folder / "model.pt2")
