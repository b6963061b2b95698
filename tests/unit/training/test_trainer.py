"""The training loop on a few patches in memory, against plain torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cropcam.model.data.dataset import Patches
from cropcam.model.data.loading import ResidentImages
from cropcam.model.labels.weak_labels import WeakLabels
from cropcam.model.networks import build
from cropcam.model.runs.checkpoint import BEST, HISTORY, LAST, load_tensors
from cropcam.model.runs.config import RunConfig
from cropcam.model.training.trainer import Trainer
from cropcam.pipeline.encoding import OFFSET, SCALE
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.progress import silent
from cropcam.pipeline.store.schema import StoreInfo
from support.runs import make_config

CPU = torch.device("cpu")


def patches(info: StoreInfo, count: int, seed: int = 0) -> Patches:
    random = np.random.default_rng(seed)
    dn = random.integers(8_000, 20_000, (count, len(info.bands), 8, 8)).astype(np.uint16)
    labels = (random.random((count, len(info.classes))) < 0.5).astype(np.float32)
    return Patches(ResidentImages(torch.from_numpy(dn)), WeakLabels("presence", labels), np.ones(count, np.bool_))


def config_of(info: StoreInfo, **settings: Any) -> RunConfig:
    return make_config(Path("s.zarr"), info, **{"epochs": 2, "batch_size": 4, "weight_decay": 0.0, "lr": 0.01, **settings})


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_one_step_is_that_of_plain_torch(info: StoreInfo, tmp_path: Path) -> None:
    split, config = patches(info, 4), config_of(info, optimizer="sgd", seed=5)
    trainer = Trainer(config, folder(tmp_path / "run"), split, patches(info, 4, 1), CPU)
    assert trainer.run_epoch(silent)
    torch.manual_seed(5)
    network = build("baseline", len(info.bands), len(info.classes))
    plan = split.plan_epoch(5, 0, rot90=False)
    images = split.images
    assert isinstance(images, ResidentImages)
    dn = images.values_NCHW.numpy()[plan.index_N].astype(np.float32)
    for index, (rows, cols) in enumerate(plan.flip_N2):
        dn[index] = dn[index][:, :: -1 if rows else 1, :: -1 if cols else 1]
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (config.store.mean, config.store.std))
    x = torch.from_numpy(np.clip((dn * SCALE + OFFSET - mean) / std, -6, 6).astype(np.float32))
    assert split.labels.image_NK is not None
    labels = torch.from_numpy(split.labels.image_NK[plan.index_N])
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(network(x).logits_BK, labels)
    loss.backward()
    optimizer.step()
    assert trainer.newest.train_loss == pytest.approx(loss.item(), rel=1e-4)
    trained, _ = load_tensors(tmp_path / "run" / LAST)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(trained[f"network.{name}"], value, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"model": "fcn", "freeze": "features.0", "pseudo_label_weight": 1.0, "loss": "threshold"}])
def test_a_stopped_epoch_goes_on_with_the_same_bytes(info: StoreInfo, tmp_path: Path, options: dict[str, Any]) -> None:
    split, validation = patches(info, 10), patches(info, 5, 1)

    def trainer(run: Path) -> Trainer:
        trainer = Trainer(config_of(info, **options), run, split, validation, CPU)
        trainer.restore()
        return trainer

    whole = trainer(folder(tmp_path / "whole"))
    assert whole.run_epoch(silent)
    calls = iter((False, True))
    assert not trainer(folder(tmp_path / "stopped")).run_epoch(silent, lambda: next(calls))
    resumed = trainer(tmp_path / "stopped")
    assert (resumed.epoch, resumed.finished) == (0, False)
    assert resumed.run_epoch(silent)
    assert resumed.newest.train_loss == whole.newest.train_loss
    for name in (LAST, BEST):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "stopped" / name).read_bytes()


def test_frozen_parts_keep_their_weights_and_their_batch_norm(info: StoreInfo, tmp_path: Path) -> None:
    config = config_of(info, model="fcn", freeze="features.0,features.1.0")
    lines: list[str] = []
    trainer = Trainer(config, folder(tmp_path / "run"), patches(info, 8), patches(info, 4, 1), CPU, log=lines.append)
    torch.manual_seed(config.data.seed)
    before = build("fcn", len(info.bands), len(info.classes)).state_dict()
    assert trainer.run_epoch(silent)
    tensors, _ = load_tensors(tmp_path / "run" / LAST)
    kept = {name for name, value in before.items() if torch.equal(value, tensors[f"network.{name}"])}
    assert kept == {name for name in before if name.startswith(("features.0.", "features.1.0."))}
    assert len([name for name in tensors if name.endswith(".exp_avg")]) == 7, "no optimizer state of frozen parameters"
    assert lines[0].startswith("--freeze features.0,features.1.0: ")


def test_patience_stops_a_run_that_does_not_improve(info: StoreInfo, tmp_path: Path) -> None:
    known = patches(info, 4)
    assert known.labels.image_NK is not None
    opposite = replace(known, labels=replace(known.labels, image_NK=1 - known.labels.image_NK))  # the better the one, the worse the other
    trainer = Trainer(config_of(info, epochs=60, patience=2), folder(tmp_path / "run"), known, opposite, CPU)
    while not trainer.finished:
        trainer.run_epoch(silent)
    best = int(pd.read_csv(tmp_path / "run" / HISTORY)["validation_loss"].argmin()) + 1
    assert (trainer.epoch, trainer.stopped_early) == (best + 2, True)
    assert trainer.summary().startswith(f"best of {best + 2} epochs: {best}, validation loss ")
    assert trainer.summary().endswith("; stopped early: 2 epochs without a better one")


def test_a_loss_that_is_not_finite_names_epoch_and_batch(info: StoreInfo, tmp_path: Path) -> None:
    trainer = Trainer(config_of(info, optimizer="sgd", lr=1e30), folder(tmp_path / "run"), patches(info, 12), patches(info, 4, 1), CPU)
    with pytest.raises(DataError, match=r"epoch 1, batch \d: the loss is (nan|inf); a smaller --lr may help"):
        trainer.run_epoch(silent)
