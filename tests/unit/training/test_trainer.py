"""The training loop on a few patches in memory, against plain torch."""

from __future__ import annotations

import math
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
from oracles.training import Batch, Trained, standardised, train
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


def gappy(info: StoreInfo, count: int, seed: int) -> Patches:
    """Patches with nodata in one band of some pixels."""
    split = patches(info, count, seed)
    images, random = split.images, np.random.default_rng(seed)
    assert isinstance(images, ResidentImages)
    dn = images.values_NCHW.numpy()
    dn[::2, 0][random.random(dn[::2, 0].shape) < 0.3] = 0
    return replace(split, images=ResidentImages(torch.from_numpy(dn)), whole_N=(dn != 0).all(axis=(1, 2, 3)))


def batches_of(split: Patches, config: RunConfig, epoch: int | None) -> list[Batch]:
    """The batches of an epoch of training, or in order: flipped and standardised in numpy."""
    plan = split.plan_in_order() if epoch is None else split.plan_epoch(config.data.seed, epoch, rot90=False)
    assert isinstance(split.images, ResidentImages)
    assert split.labels.image_NK is not None
    dn = split.images.values_NCHW.numpy()[plan.index_N]
    for index, (rows, cols) in enumerate(plan.flip_N2):
        dn[index] = dn[index][:, :: -1 if rows else 1, :: -1 if cols else 1].copy()
    x, valid = standardised(dn, config.store.mean, config.store.std)
    label, size = torch.from_numpy(split.labels.image_NK[plan.index_N]), config.data.batch_size
    return [(x[at : at + size], valid[at : at + size], label[at : at + size]) for at in range(0, len(x), size)]


def trained_plainly(config: RunConfig, split: Patches, validation: Patches) -> Trained:
    """The same run by the oracle."""
    torch.manual_seed(config.data.seed)
    options = config.optimizer
    return train(
        build("fcn", len(config.store.bands), len(config.store.classes)),
        (batches_of(split, config, epoch) for epoch in range(options.epochs)),
        batches_of(validation, config, None),
        lr=options.lr,
        planned_epochs=options.epochs,
        warmup_epochs=options.warmup_epochs,
        schedule=options.schedule,
        clip=options.grad_clip_norm,
        teacher_weight=config.strategy.pseudo_label_weight,
        patience=options.patience,
    )


RUNS: dict[str, dict[str, Any]] = {
    "plain": {},
    "cosine after a warm-up, clipped": {"schedule": "cosine", "warmup_epochs": 0.5, "grad_clip_norm": 0.2},
    "steps": {"schedule": "step", "epochs": 4},
    "a mean teacher and all of it": {
        "schedule": "cosine",
        "warmup_epochs": 1.0,
        "grad_clip_norm": 0.3,
        "pseudo_label_weight": 1.5,
        "epochs": 4,
    },
}


@pytest.mark.parametrize("stops", [(), (1, 4)], ids=["in one go", "resumed"])
@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_a_run_is_that_of_plain_torch(info: StoreInfo, tmp_path: Path, options: dict[str, Any], stops: tuple[int, ...]) -> None:
    """Every loss, weight, running statistic and weight of the teacher after all epochs; also of a run that is stopped and goes on."""
    config = config_of(info, **{"model": "fcn", "optimizer": "sgd", "lr": 0.05, "seed": 3, "epochs": 3, **options})
    split, validation, run = gappy(info, 10, 5), gappy(info, 5, 1), folder(tmp_path / "run")
    expected = trained_plainly(config, split, validation)
    trainer, calls = Trainer(config, run, split, validation, CPU), 0

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return calls in stops

    while not trainer.finished:
        if not trainer.run_epoch(silent, stop):
            trainer = Trainer(config, run, split, validation, CPU)
            trainer.restore()
    history = pd.read_csv(run / HISTORY)
    np.testing.assert_allclose(history["train_loss"], expected.train_losses, rtol=1e-4)
    np.testing.assert_allclose(history["validation_loss"], expected.validation_losses, rtol=1e-4)
    tensors, _ = load_tensors(run / LAST)
    for kind, network in {
        "network": expected.network,
        **({"teacher": expected.teacher} if config.strategy.pseudo_label_weight else {}),
    }.items():
        for name, value in network.state_dict().items():
            torch.testing.assert_close(
                tensors[f"{kind}.{name}"], value, rtol=1e-3, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}"
            )


def test_the_oracles_runs_reach_what_they_are_for(info: StoreInfo) -> None:
    """Clipped and unclipped steps, rates that rise and fall over all epochs, a mean teacher that adds to the loss."""
    config = config_of(info, model="fcn", optimizer="sgd", lr=0.05, seed=3, **RUNS["a mean teacher and all of it"])
    split, validation = gappy(info, 10, 5), gappy(info, 5, 1)
    found = trained_plainly(config, split, validation)
    assert len(found.rates) == 12
    assert found.rates[:3] == pytest.approx([0.05 / 3, 0.1 / 3, 0.05])
    assert found.rates[2:] == sorted(found.rates[2:], reverse=True)
    assert found.rates[-1] < 0.01
    assert min(found.norms) < 0.3 < max(found.norms)
    without = trained_plainly(replace(config, strategy=replace(config.strategy, pseudo_label_weight=0.0)), split, validation)
    assert found.train_losses[:2] == pytest.approx(without.train_losses[:2])
    assert found.train_losses[2] > without.train_losses[2]


def test_patience_counts_from_where_the_mean_teacher_begins(info: StoreInfo, tmp_path: Path) -> None:
    """The lowest validation loss is that of the first epoch: without pseudo-labels training stops after `patience` more, with them later."""
    known = patches(info, 4)
    assert known.labels.image_NK is not None
    opposite = replace(known, labels=replace(known.labels, image_NK=1 - known.labels.image_NK))
    ends = {}
    for weight in (0.0, 1e-6):
        config = config_of(info, model="fcn", optimizer="sgd", lr=0.3, epochs=20, patience=2, pseudo_label_weight=weight, seed=3)
        trainer = Trainer(config, folder(tmp_path / f"run{weight}"), known, opposite, CPU)
        while not trainer.finished:
            trainer.run_epoch(silent)
        assert trainer.epoch == len(trained_plainly(config, known, opposite).train_losses)
        ends[weight] = trainer.epoch
    assert ends[0.0] < 6, "before the mean teacher of 20 epochs begins"
    assert 6 + 2 < ends[1e-6] < 20


def test_validation_is_that_of_the_network_read_back(info: StoreInfo, tmp_path: Path) -> None:
    """The loss and the accuracy of the history follow from the weights on the disk: validation does not train batch norm."""
    config, run = config_of(info, model="fcn", epochs=1), folder(tmp_path / "run")
    validation = gappy(info, 7, 1)
    trainer = Trainer(config, run, gappy(info, 10, 5), validation, CPU)
    assert trainer.run_epoch(silent)
    network = build("fcn", len(info.bands), len(info.classes))
    tensors, _ = load_tensors(run / BEST)
    network.load_state_dict(tensors)
    network.eval()
    logits, labels = [], []
    for x, valid, label in batches_of(validation, config, None):
        maps = network.features(x)
        logits.append(network.dense((maps * valid[:, None]).sum(dim=(2, 3)) / valid.sum(dim=(1, 2))[:, None]).detach())
        labels.append(label)
    logit, label = torch.cat(logits), torch.cat(labels)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, label).item()
    assert trainer.newest.validation_loss == pytest.approx(loss, rel=1e-5)
    assert trainer.newest.validation_accuracy == pytest.approx(((logit > 0) == (label > 0)).float().mean().item())
    rate_K = label.mean(dim=0)
    assert trainer.newest.validation_majority_accuracy == pytest.approx(torch.maximum(rate_K, 1 - rate_K).mean().item())
    steps = math.ceil(10 / 4)
    assert tensors["features.0.1.num_batches_tracked"] == steps, "batches of training alone"


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


def trained(info: StoreInfo, run: Path, **settings: Any) -> Trainer:
    config = config_of(info, model="fcn", optimizer="sgd", epochs=1, **settings)
    trainer = Trainer(config, folder(run), gappy(info, 10, 5), gappy(info, 5, 1), CPU)
    assert trainer.run_epoch(silent)
    return trainer


@pytest.mark.parametrize(("accuracy", "majority", "warns"), [(0.6, 0.6, True), (0.59, 0.6, True), (0.6001, 0.6, False)])
def test_a_run_as_good_as_a_guess_is_warned_of(info: StoreInfo, tmp_path: Path, accuracy: float, majority: float, warns: bool) -> None:
    trainer = trained(info, tmp_path / "run")
    row = replace(trainer.newest, validation_accuracy=accuracy, validation_majority_accuracy=majority)
    trainer._done.rows[:] = [row]
    found = trainer.caution()
    assert (
        found.startswith(f"the run is no better than guessing: validation accuracy {accuracy:.4f}, majority guess {majority:.4f};") is warns
    )
    assert bool(found) is warns


def test_a_summary_by_hand(info: StoreInfo, tmp_path: Path) -> None:
    trainer = trained(info, tmp_path / "run")
    first = trainer.newest
    values = {"validation_loss": 0.5, "validation_accuracy": 0.75, "validation_majority_accuracy": 0.5}
    trainer._done.rows[:] = [replace(first, epoch=1, **values), replace(first, epoch=2, **{**values, "validation_loss": 0.7})]
    assert trainer.summary() == "best of 2 epochs: 1, validation loss 0.5000, accuracy 0.7500 (majority guess 0.5000)"


def test_several_passes_are_one_epoch(info: StoreInfo, tmp_path: Path) -> None:
    """An epoch of two passes has the patches of two plans, and its losses count each of them once."""
    config = config_of(info, model="fcn", optimizer="sgd", epochs=1, passes=2, seed=3)
    split, validation = gappy(info, 10, 5), gappy(info, 5, 1)
    trainer, steps = Trainer(config, folder(tmp_path / "run"), split, validation, CPU), []
    assert trainer.run_epoch(lambda done, total, _: steps.append((done, total)))
    assert steps[-1] == (5, 5)
    torch.manual_seed(3)
    plans = [split.plan_epoch(3, number, rot90=False) for number in (0, 1)]
    batches = []
    for plan in plans:
        assert isinstance(split.images, ResidentImages)
        assert split.labels.image_NK is not None
        dn = split.images.values_NCHW.numpy()[plan.index_N]
        for index, (rows, cols) in enumerate(plan.flip_N2):
            dn[index] = dn[index][:, :: -1 if rows else 1, :: -1 if cols else 1].copy()
        batches.append((*standardised(dn, config.store.mean, config.store.std), torch.from_numpy(split.labels.image_NK[plan.index_N])))
    x, valid, label = (torch.cat(parts) for parts in zip(*batches, strict=True))
    together = [(x[at : at + 4], valid[at : at + 4], label[at : at + 4]) for at in range(0, 20, 4)]
    network = build("fcn", len(info.bands), len(info.classes))
    expected = train(network, [together], batches_of(validation, config, None), lr=0.01, planned_epochs=1)
    assert trainer.newest.train_loss == pytest.approx(expected.train_losses[0], rel=1e-4)
    assert trainer.newest.validation_loss == pytest.approx(expected.validation_losses[0], rel=1e-4)
