"""A network taught by a smaller one that learned from the same shares."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import zarr

from fixtures import make_store
from model.checkpoint import BEST, CONFIG, HISTORY, TEACHER, file_digest, load_config
from model.data import read_split
from model.evaluate import evaluate
from model.report.entries import read
from model.teach import taught
from model.train import train
from pipeline.errors import ConfigError
from pipeline.legend import UNLABELLED
from pipeline.store import open_store, split_indices

SETTINGS: dict[str, Any] = {"labels": "shares", "batch_size": 8, "epochs": 3, "seed": 5, "device": "cpu", "lr": 3e-3}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "patches.zarr"
    make_store(path, count=40, size_px=16, nodata_share=0.1)
    return path


@pytest.fixture(scope="module")
def whole(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never interrupted."""
    run = tmp_path_factory.mktemp("whole") / "run"
    train(store, run, **SETTINGS)
    return run


def test_shares_are_learned_through_a_teacher(store: Path, whole: Path) -> None:
    config, teacher = load_config(whole), load_config(whole / TEACHER)
    assert (config.model, config.loss, config.taught) == ("unet", "taught", True)
    assert (teacher.model, teacher.loss, teacher.taught) == ("fcn", "shares", False)
    assert (teacher.rule, teacher.epochs, teacher.seed, teacher.store_digest) == (config.rule, 3, 5, config.store_digest)
    assert (whole / TEACHER / teacher.store).resolve() == store.resolve()
    assert evaluate(whole)["segmentation"]["default"] == "score-argmax"
    spent = [pd.read_csv(run / HISTORY)["seconds"].sum() for run in (whole, whole / TEACHER)]
    assert read(whole, "run").seconds == pytest.approx(sum(spent))
    assert min(spent) > 0


@pytest.mark.parametrize("group_patches", [1, 4])
def test_the_teachers_labels_are_better_than_its_own_answers(store: Path, tmp_path: Path, group_patches: int) -> None:
    """Mended by the shares of the very patches, they agree with the truth more often than what an unseen patch would be told."""
    train(store, tmp_path / "run" / TEACHER, model="fcn", **SETTINGS | {"epochs": 12, "group_patches": group_patches, "lr": 1e-2})
    config = load_config(tmp_path / "run" / TEACHER)
    dataset, info = open_store(store)
    split = read_split(dataset, "train", config.rule, config.classes)
    pixel_NHW = taught(split, "train", tmp_path / "run", dataset, torch.device("cpu")).labels.pixel_NHW
    assert pixel_NHW is not None
    index_N = split_indices(dataset, "train")
    truth_NHW = info.classes.index(dataset["label"][index_N].to_numpy())
    no_data_NHW = (dataset["image"][index_N].to_numpy() == 0).any(axis=1)
    assert (pixel_NHW[no_data_NHW] == UNLABELLED).all()
    counts = ~no_data_NHW & (truth_NHW != UNLABELLED)
    guess = np.bincount(truth_NHW[counts]).max() / counts.sum()
    assert (pixel_NHW == truth_NHW)[counts].mean() > guess + (0.3 if group_patches == 1 else 0.1)
    again = taught(split, "train", tmp_path / "run", dataset, torch.device("cpu")).labels.pixel_NHW
    np.testing.assert_array_equal(pixel_NHW, again)


def test_the_truth_of_a_pixel_reaches_neither(store: Path, whole: Path, tmp_path: Path) -> None:
    """The same shares over other labels give the same bytes."""
    spoiled = tmp_path / "spoiled.zarr"
    shutil.copytree(store, spoiled)
    label = zarr.open_group(spoiled, mode="r+")["label"]
    label[:] = np.random.default_rng(0).choice(np.array([1, 5, 141, 37, 61], np.uint8), label.shape)  # type: ignore[index, union-attr]
    train(spoiled, tmp_path / "run", **SETTINGS)
    for name in (BEST, f"{TEACHER}/{BEST}"):
        assert file_digest(tmp_path / "run" / name) == file_digest(whole / name)


@pytest.mark.parametrize("phase", ["teacher, epoch 2", "epoch 2"])
def test_killed_in_either_and_run_again(store: Path, whole: Path, tmp_path: Path, phase: str) -> None:
    class KilledError(Exception):
        pass

    def progress(_done: int, _total: int, note: str) -> None:
        if note.startswith(phase):
            raise KilledError

    with pytest.raises(KilledError):
        train(store, tmp_path / "run", progress=progress, **SETTINGS)
    assert (tmp_path / "run" / CONFIG).exists() == (phase == "epoch 2")
    train(store, tmp_path / "run", resume=True, **SETTINGS)
    for name in (BEST, f"{TEACHER}/{BEST}"):
        assert file_digest(tmp_path / "run" / name) == file_digest(whole / name)


def test_a_finished_run_goes_on_without_being_told_anything(store: Path, whole: Path, tmp_path: Path) -> None:
    run, lines = tmp_path / "run", list[str]()
    shutil.copytree(whole, run)
    before = file_digest(run / BEST)
    train(store, run, resume=True, device="cpu", log=lines.append)
    assert file_digest(run / BEST) == before
    assert any(line.startswith("teacher: ") and "already trained for all 3 epochs" in line for line in lines)


def test_what_cannot_be_taught_is_refused(store: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--taught goes with --labels shares, not with points"):
        train(store, tmp_path / "run", labels="points", taught=True)
    with pytest.raises(ConfigError, match=r"--loss shares: the loss taught belongs to --taught"):
        train(store, tmp_path / "run", labels="shares", taught=True, loss="shares")
    with pytest.raises(ConfigError, match=r"--loss taught: the loss taught belongs to --taught"):
        train(store, tmp_path / "run", labels="shares", taught=False, loss="taught")
    assert not (tmp_path / "run").exists()


def test_without_a_teacher_or_with_another_network(store: Path, tmp_path: Path) -> None:
    alone = train(store, tmp_path / "alone", **SETTINGS | {"taught": False, "epochs": 1})
    assert (alone.model, alone.loss, (tmp_path / "alone" / TEACHER).exists()) == ("fcn", "shares", False)
    small = train(store, tmp_path / "small", **SETTINGS | {"model": "fcn", "taught": True, "epochs": 1})
    assert (small.model, small.loss, (tmp_path / "small" / TEACHER / BEST).exists()) == ("fcn", "taught", True)
