"""RUN/seen.json: what it holds, which checkpoint it belongs to, and that no label is read for it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cropcam.model.runs.checkpoint import BEST, load_network
from cropcam.model.transfer.seen import SEEN, load, seen_by
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.hashing import file_sha256
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.store.schema import StoreInfo
from support.runs import make_run
from support.store_parts import all_images, blind, damage

from .conftest import CPU, Home


def test_training_writes_what_the_run_has_seen(home: Home) -> None:
    assert load(home.run, file_sha256(home.run / BEST)) == home.seen
    values = json.loads((home.run / SEEN).read_text())
    assert values["checkpoint_digest"] == file_sha256(home.run / BEST)
    assert values["bands"] == list(home.config.store.bands)


def test_quantiles_are_those_of_the_training_pixels(home: Home) -> None:
    store = open_store(home.store)
    value_NCYX = store.encoding.physical(all_images(home.store)[store.split_indices("train")])
    expected_CQ = np.quantile(value_NCYX, (0.05, 0.5, 0.95), axis=(0, 2, 3)).T
    np.testing.assert_allclose(np.array(home.seen.quantiles_CQ)[:, [2, 4, 6]], expected_CQ, atol=2e-3)
    assert len(home.seen.class_quantiles_KCQ) == len(home.config.store.classes)
    assert sum(home.seen.class_pixels_K) == 256 * len(store.split_indices("train"))


def test_home_is_as_usual(home: Home) -> None:
    figures = home.seen.home
    assert figures is not None
    assert figures.far == pytest.approx(0.01, abs=2e-3)
    assert figures.unsure == pytest.approx(0.2, abs=2e-3)
    assert figures.outside < 0.05
    assert sum(figures.class_shares_K) == pytest.approx(1)
    assert list(home.seen.distance_E) == sorted(home.seen.distance_E)


def test_no_label_is_read(home: Home, tmp_path: Path) -> None:
    run = shutil.copytree(home.run, tmp_path / "run")
    (run / SEEN).unlink()
    assert seen_by(run, home.network, home.config, CPU, blind(home.store)) == home.seen
    bare = shutil.copytree(home.store, tmp_path / "bare.zarr")
    damage(bare, "label", None)
    (run / SEEN).unlink()
    assert seen_by(run, home.network, home.config, CPU, open_store(bare)) == home.seen


def test_another_checkpoint_is_measured_anew(home: Home, tmp_path: Path) -> None:
    run = shutil.copytree(home.run, tmp_path / "run")
    assert load(run, "another digest") is None
    (run / SEEN).write_text("{ damaged")
    assert load(run, file_sha256(run / BEST)) is None
    assert seen_by(run, home.network, home.config, CPU, open_store(home.store)) == home.seen
    assert load(run, file_sha256(run / BEST)) == home.seen


def test_an_older_run_is_measured_on_its_store_or_says_that_it_is_missing(home: Home, tmp_path: Path) -> None:
    run = shutil.copytree(home.run, tmp_path / "run")
    (run / SEEN).unlink()
    gone = replace(home.config, store=replace(home.config.store, path=str(tmp_path / "gone.zarr")))
    with pytest.raises(DataError, match=r"gone\.zarr, which is missing"):
        seen_by(run, home.network, gone, CPU)


@pytest.mark.parametrize("model", ["fcn", "unet", "baseline", "resnet50", "linear", "trees"])
@pytest.mark.parametrize("loss", ["lse", "threshold"])
def test_every_network_and_kind_of_objective(tmp_path: Path, store: Path, info: StoreInfo, model: str, loss: str) -> None:
    make_run(tmp_path / "run", store, info, model=model, loss=loss)
    network, config = load_network(tmp_path / "run", CPU)
    seen = seen_by(tmp_path / "run", network, config, CPU, open_store(store))
    assert seen.home is not None
    assert seen.home.far <= 0.02
    assert load(tmp_path / "run", file_sha256(tmp_path / "run" / BEST)) == seen


def test_a_diverged_network_is_said_to_be_so(home: Home, tmp_path: Path) -> None:
    run = shutil.copytree(home.run, tmp_path / "run")
    (run / SEEN).unlink()
    network, config = load_network(run, CPU)
    with torch.no_grad():
        next(network.parameters()).fill_(torch.nan)
    with pytest.raises(DataError, match=r"features are not finite: its training diverged"):
        seen_by(run, network, config, CPU, open_store(home.store))


def test_no_patch_to_measure_is_named(home: Home, tmp_path: Path) -> None:
    run, store = shutil.copytree(home.run, tmp_path / "run"), open_store(home.store)
    (run / SEEN).unlink()
    store.images = lambda index_B: np.zeros((len(index_B), *store.patch_shape), np.uint16)  # type: ignore[method-assign]
    with pytest.raises(DataError, match=r"no patch of the train split has as many valid pixels as the study asks for"):
        seen_by(run, home.network, home.config, CPU, store)
