"""Accuracy by seasons seen, recomputed pixel by pixel from images whose seasons were taken away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from cropcam.model.data.normalization import Normalization, standardise
from cropcam.model.evaluation.seasons_seen import first_seen, in_time_order, seasons_seen
from cropcam.model.evaluation.truth import Truth
from cropcam.model.networks import build
from cropcam.model.networks.cam import pixel_scores
from cropcam.model.runs.checkpoint import load_network
from cropcam.model.segmentation.methods import LOGIT_ARGMAX, unfitted
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from support.runs import make_run
from support.stores import make_store, make_study

CPU = torch.device("cpu")
SIZE_PX = 8
DAYS = "122/183/251"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("seasons")
    study = make_study(SIZE_PX, preset="demo-seasons")
    info = make_store(place / "patches.zarr", count=20, size_px=SIZE_PX, study=study, season_gaps=True)
    torch.manual_seed(0)
    options = f"season_days={DAYS},season_drop=0.5,heads=4"
    for model, given in (("fcn-time", options), ("fcn", "")):
        network = build(model, len(info.bands), len(info.classes), given)
        make_run(place / model, place / "patches.zarr", info, network, model=model, model_options=given, labels="shares", loss="shares")
    return place


def truth_of(store: PatchStore, patches_N: npt.NDArray[np.int64]) -> Truth:
    return Truth(patches_N, store.share_NK[patches_N], store.classes)


def test_each_number_of_seasons_is_scored_as_if_the_later_ones_had_not_been_seen(folder: Path) -> None:
    network, config = load_network(folder / "fcn-time", CPU)
    store = open_store(folder / "patches.zarr")
    patches_N, block_N = np.arange(20), np.arange(20) // 3
    method = unfitted(network.dense.bias.tolist())[LOGIT_ARGMAX]
    entries = seasons_seen(network, config, store, truth_of(store, patches_N), block_N, CPU, method)["seasons_seen"]
    assert [entry["seasons"] for entry in entries] == [1, 2, 3]
    assert [entry["season"] for entry in entries] == ["2016-04-01/2016-06-01", "2016-06-01/2016-08-01", "2016-08-01/2016-10-15"]
    truth = config.store.classes.index(store.labels(patches_N))
    for entry in entries:
        values = store.images(patches_N)
        values[:, entry["seasons"] * 7 :] = 0  # what is not there yet is nodata
        there = (values != 0).reshape(20, 3, 7, SIZE_PX, SIZE_PX).all(axis=2).any(axis=1)
        x, valid = standardise(torch.from_numpy(values), Normalization.of(config, "cpu"))
        np.testing.assert_array_equal(valid.numpy(), there)
        found = (pixel_scores(network, x)[1] + network.dense.bias[:, None, None]).argmax(dim=1).detach().numpy()
        counted = there & (truth != UNLABELLED)
        assert entry["pixels"] == counted.sum()
        assert entry["pixel_accuracy"] == pytest.approx((found == truth)[counted].mean())
        low, high = entry["pixel_accuracy_ci95"]
        assert low <= entry["pixel_accuracy"] <= high
    assert entries[0]["pixels"] < entries[1]["pixels"], "every fourth patch lacks the first season"


def test_a_network_that_needs_every_season_has_no_such_figures(folder: Path) -> None:
    network, config = load_network(folder / "fcn", CPU)
    opened = open_store(folder / "patches.zarr")
    method = unfitted(network.dense.bias.tolist())[LOGIT_ARGMAX]
    assert seasons_seen(network, config, opened, truth_of(opened, np.arange(4)), np.zeros(4, np.int64), CPU, method) == {}


def test_seasons_are_seen_when_they_are_over() -> None:
    seasons = [["2016-08-01", "2016-10-01"], ["2015-11-01", "2016-03-01"], ["2016-01-01", "2016-12-31"]]
    assert in_time_order(seasons) == [1, 0, 2]
    assert first_seen(seasons, 1) == [False, True, False]
    assert first_seen(seasons, 2) == [True, True, False]
