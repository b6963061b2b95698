"""The shift of a store, and the accuracy to expect; labels of the store are not read."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cropcam.model.evaluation.evaluate import evaluate
from cropcam.model.runs.checkpoint import BEST, METRICS
from cropcam.model.transfer.measure import expected_accuracy, home_accuracy, measure_store
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.store.patch_store import open_store
from support.shifted import CHANGES, changed
from support.store_parts import blind, damage
from support.stores import make_store

from .conftest import CPU, Home


def test_labels_of_the_store_are_not_read(home: Home, tmp_path: Path) -> None:
    path = changed(home.store, tmp_path / "dark.zarr", CHANGES["darker"])
    store, all_N = open_store(path), np.arange(80)
    expected = measure_store(home.run, home.network, home.config, store, all_N, CPU)
    assert measure_store(home.run, home.network, home.config, blind(path), all_N, CPU) == expected
    damage(path, "label", None)
    assert measure_store(home.run, home.network, home.config, open_store(path), all_N, CPU) == expected


def test_a_store_without_labels_is_measured(home: Home, tmp_path: Path) -> None:
    make_store(tmp_path / "bare.zarr", count=20, size_px=16, seed=3, labels=False)
    store = open_store(tmp_path / "bare.zarr")
    found = measure_store(home.run, home.network, home.config, store, np.arange(len(store)), CPU)
    assert found.here.pixels == 256 * 20
    assert len(found.blocks) == len({(row // 3, col // 3) for row, col in zip(store.row_N, store.col_N, strict=True)})


def test_other_bands_are_named(home: Home) -> None:
    store = open_store(home.store)
    other = replace(home.config, store=replace(home.config.store, bands=tuple("abcdefg")))
    with pytest.raises(DataError, match=r"its bands are SR_B1, .*, the run .* was trained on a, b, c"):
        measure_store(home.run, home.network, other, store, np.arange(3), CPU)


def test_no_patch_is_named(home: Home) -> None:
    store = open_store(home.store)
    with pytest.raises(DataError, match=r"none of the 0 patches has as many valid pixels"):
        measure_store(home.run, home.network, home.config, store, np.arange(0), CPU)


def test_the_expected_accuracy_starts_at_home_and_falls_with_the_shift(home: Home, tmp_path: Path) -> None:
    run = shutil.copytree(home.run, tmp_path / "run")
    dark = open_store(changed(home.store, tmp_path / "dark.zarr", CHANGES["darker"]))
    same, far = (measure_store(run, home.network, home.config, store, np.arange(80), CPU) for store in (open_store(home.store), dark))
    unknown = expected_accuracy(run, same)
    assert unknown.accuracy is None
    assert "run: cropcam evaluate" in unknown.line()
    metrics = evaluate(run, split="test", device="cpu", store=home.store).to_dict()
    known = metrics["segmentation"]["methods"][metrics["segmentation"]["default"]]["pixel_accuracy"]
    assert home_accuracy(run) == known
    here, there = expected_accuracy(run, same), expected_accuracy(run, far)
    assert here.accuracy is not None
    assert there.accuracy is not None
    assert known * 0.9 < here.accuracy <= known
    assert there.accuracy < here.accuracy - 0.1
    assert "mean absolute error" in there.line()
    assert json.loads(json.dumps(there.to_dict()))["home"] == known


@pytest.mark.parametrize("change", ["split", "checkpoint", "damage"])
def test_metrics_of_training_patches_or_of_another_checkpoint_are_no_home(home: Home, tmp_path: Path, change: str) -> None:
    run = shutil.copytree(home.run, tmp_path / "run")
    evaluate(run, split="train" if change == "split" else "validation", device="cpu", store=home.store)
    if change == "checkpoint":
        (run / BEST).write_bytes(b"another")
    if change == "damage":
        (run / METRICS).write_text("[1]")
    assert home_accuracy(run) is None
