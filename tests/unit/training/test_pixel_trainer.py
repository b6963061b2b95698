"""The fit of trees as a run's one epoch: its history, and what a stop leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from cropcam.model.data.dataset import Patches
from cropcam.model.data.loading import ResidentImages
from cropcam.model.data.normalization import Normalization, standardise
from cropcam.model.labels.weak_labels import WeakLabels
from cropcam.model.networks import FittedNetwork
from cropcam.model.runs.checkpoint import BEST, LAST, load_tensors
from cropcam.model.runs.config import RunConfig
from cropcam.model.training.pixel_trainer import PixelTrainer
from cropcam.pipeline.runtime.progress import silent
from cropcam.pipeline.store.schema import StoreInfo
from support.runs import make_config

CPU = torch.device("cpu")


def patches(info: StoreInfo, count: int, seed: int) -> Patches:
    """Classes by the first band."""
    dn = np.random.default_rng(seed).integers(8_000, 20_000, (count, len(info.bands), 8, 8)).astype(np.uint16)
    return Patches(ResidentImages(torch.from_numpy(dn)), WeakLabels("pixels", pixel_NHW=((dn[:, 0] - 8_000) // 4_000).astype(np.uint8)))


@pytest.fixture
def config(info: StoreInfo) -> RunConfig:
    more = {"model": "trees", "model_options": "trees=8,pixels=300", "labels": "pixels", "loss": "cross-entropy", "epochs": 1}
    return make_config(Path("s.zarr"), info, presence_min_share=0.0, **more)


def trainer(info: StoreInfo, config: RunConfig, run: Path) -> PixelTrainer:
    run.mkdir(exist_ok=True)
    return PixelTrainer(config, run, patches(info, 6, 0), patches(info, 4, 1), CPU)


def test_the_row_of_the_history_is_that_of_the_fitted_trees(info: StoreInfo, config: RunConfig, tmp_path: Path) -> None:
    whole = trainer(info, config, tmp_path / "run")
    assert whole.run_epoch(silent)
    assert whole.finished
    network, split = whole._network, patches(info, 4, 1)
    assert isinstance(network, FittedNetwork)
    assert isinstance(split.images, ResidentImages)
    assert split.labels.pixel_NHW is not None
    x_NCHW, _ = standardise(split.images.values_NCHW, Normalization.of(config, CPU))
    probability = network.maps(x_NCHW).softmax(dim=1).movedim(1, -1).reshape(-1, len(info.classes)).numpy().astype(np.float64)
    truth = split.labels.pixel_NHW.ravel()
    assert whole.newest.validation_accuracy == pytest.approx((probability.argmax(axis=1) == truth).mean())
    probability /= probability.sum(axis=1, keepdims=True)
    assert whole.newest.validation_loss == pytest.approx(log_loss(truth, probability, labels=range(len(info.classes))), rel=1e-4)
    assert 0 < whole.newest.train_loss < whole.newest.validation_loss
    assert whole.newest.train_accuracy > 0.8


def test_a_stopped_fit_starts_over_and_ends_with_the_same_bytes(info: StoreInfo, config: RunConfig, tmp_path: Path) -> None:
    assert trainer(info, config, tmp_path / "whole").run_epoch(silent)
    assert not trainer(info, config, tmp_path / "run").run_epoch(silent, lambda: True)
    assert not (tmp_path / "run" / BEST).exists()
    assert not len(load_tensors(tmp_path / "run" / LAST)[0]["network.model"])
    again = trainer(info, config, tmp_path / "run")
    again.restore()
    assert not again.finished
    assert again.run_epoch(silent)
    for name in (BEST, LAST):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    later = trainer(info, config, tmp_path / "run")
    later.restore()
    assert later.finished
