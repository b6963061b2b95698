"""Training: weak labels of a patch store in, a run folder out.

An epoch is a function of the seed, its number and the state before it, and each epoch is written down in the order
history, last, best. So a run killed at any moment goes on from `last`, and on the CPU ends with the same bytes as one
that was never interrupted. Axis suffixes: N patch, B batch, C band, K class.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from model.agreement import constant_agreement
from model.checkpoint import CONFIG, ENVIRONMENT, RunConfig, clear_leftovers, write_json
from model.data import Patches, read_split
from model.device import choose, deterministic, environment
from model.labels import WeakLabels
from model.settings import configure
from model.trainer import Progress, Trainer
from pipeline.legend import UNLABELLED
from pipeline.store import SPLITS, StoreInfo, open_store

Log = Callable[[str], None]
INFORMATIVE = (0.03, 0.97)  # a label whose base rate lies outside carries next to no information


def train(
    store: Path,
    run: Path,
    *,
    device: str = "auto",
    resume: bool = False,
    progress: Progress = lambda _done, _total, _note: None,
    log: Log = lambda _line: None,
    **settings: Any,  # noqa: ANN401 - each checked by Settings
) -> RunConfig:
    """Train a network on a store's weak labels and keep everything in the folder `run`.

    A setting left at None is the run's own when it is resumed, else the default of `Settings`, and for
    `presence_min_share` the study's.

    Args:
        store: a finished patch store.
        run: the run folder; made where absent.
        device: auto, cpu or cuda.
        resume: go on from the run's last epoch; starts afresh where nothing is saved yet.
        progress: called with (batches done, batches in all, note).
        log: called with lines for the reader.
        settings: fields of `model.settings.Settings` by name.

    Raises:
        ConfigError: a setting is out of range or differs from the run's, or the folder already holds a run.
        DataError: store or checkpoint are damaged, the store is another one than the run's, or the loss is not finite.
        OSError: the disk says no; the last complete epoch stays.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    target = choose(device)
    dataset, info = open_store(store)
    config = configure(store, info, run, given, resume)
    train_split, validation = (read_split(dataset, split, config.rule, config.classes) for split in ("train", "validation"))
    _say_what(dataset, train_split, validation, info, log)
    trainer = Trainer(config, run, train_split, validation, target)
    trainer.restore()
    _prepare_folder(run, config, target, log)
    with deterministic(target):
        if trainer.epoch == config.epochs:
            log(f"{run}: already trained for all {config.epochs} epochs; a larger --epochs goes on")
        while trainer.epoch < config.epochs:
            trainer.run_epoch(progress)
    log(trainer.verdict())
    return config


def _say_what(dataset: xr.Dataset, train_split: Patches, validation: Patches, info: StoreInfo, log: Log) -> None:
    counts = np.bincount(dataset["split"].to_numpy(), minlength=len(SPLITS))
    log(
        f"{', '.join(f'{count} {name}' for name, count in zip(SPLITS, counts, strict=True))} patches; {_labels_line(train_split.labels)}; "
        f"the best constant answer agrees with {constant_agreement(validation.labels):.4f} of the validation labels"
    )
    if train_split.labels.kind == "presence" and train_split.labels.image_NK is not None:
        for name, rate in zip(info.classes.names, np.nanmean(train_split.labels.image_NK, axis=0), strict=True):
            if not INFORMATIVE[0] <= rate <= INFORMATIVE[1]:
                log(f"warning: label {name} holds for {rate:.1%} of the training patches: it carries next to no information{_hint(rate)}")
    for band, std in zip(info.bands, info.statistics["std"], strict=True):
        if std == 0:
            log(f"warning: band {band} is constant over the training split: it carries no information")


def _labels_line(labels: WeakLabels) -> str:
    if labels.pixel_NHW is not None:
        return f"{int((labels.pixel_NHW != UNLABELLED).sum()):,} labelled pixels"
    assert labels.image_NK is not None
    if labels.kind == "presence":
        return f"{np.nansum(labels.image_NK) / len(labels.image_NK):.2f} of {labels.image_NK.shape[1]} labels per patch"
    groups = len(labels.image_NK) if labels.group_N is None else int(labels.group_N.max()) + 1
    return f"{labels.kind} of {groups:,} {'patches' if labels.group_N is None else 'groups of patches'}"


def _hint(rate: float) -> str:
    return "; a larger --presence-min-share helps" if rate > INFORMATIVE[1] else ""


def _prepare_folder(run: Path, config: RunConfig, device: torch.device, log: Log) -> None:
    run.mkdir(parents=True, exist_ok=True)
    clear_leftovers(run)
    _note_environment(run / ENVIRONMENT, environment(device), log)
    write_json(run / CONFIG, config.to_json())


def _note_environment(path: Path, ours: dict[str, Any], log: Log) -> None:
    try:
        theirs = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        theirs = ours
    if changed := [f"{key} {theirs.get(key)} -> {value}" for key, value in ours.items() if theirs.get(key) != value]:
        log(f"warning: the run goes on in another environment ({', '.join(changed)}): its last digits may differ")
    write_json(path, ours)
