"""Training: weak labels of a patch store in, a run folder out.

An epoch is a function of the seed, its number and the state before it, and each epoch is written in the order
history, last, best. So a run killed at any moment goes on from `last`, and on the CPU ends with the same bytes as one
that was never interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from cropcam.model.data.dataset import Patches, labels_without_image, read_split
from cropcam.model.data.loading import choose_loading
from cropcam.model.evaluation.model_card import write_model_card
from cropcam.model.networks import LONE_SIZE_PX
from cropcam.model.options import Settings
from cropcam.model.runs.checkpoint import ENVIRONMENT, LAST, load_network, write_json
from cropcam.model.runs.config import CONFIG, RunConfig, load_config
from cropcam.model.runtime.device import choose, deterministic, environment, resolve_precision
from cropcam.model.runtime.distributed import Ranks, init_distributed
from cropcam.model.runtime.signals import stop_requested
from cropcam.model.segmentation.fitting import fitted_segmenter
from cropcam.model.training.data_summary import log_data_summary
from cropcam.model.training.settings import configure
from cropcam.model.training.tensorboard import history_writer
from cropcam.model.training.trainer import Trainer
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.runtime.atomic import clear_partial_files, exclusive_lock
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.store.schema import SPLITS, StoreInfo, open_store

Log = Callable[[str], None]
_BEING_TRAINED = "another process is training it; wait for that one, or name another folder"


def train(
    store: Path,
    run: Path,
    settings: Settings | None = None,
    *,
    device: str = "auto",
    resume: bool = False,
    tensorboard: bool = False,
    progress: Progress = silent,
    log: Log = silent,
) -> RunConfig:
    """Train a network on a store's weak labels and keep everything in the folder `run`.

    A setting that is not passed is the resumed run's; in a new run it is the measured default for the network and the kind of label, and for
    `presence_min_share` the study's.

    Args:
        store: a finished patch store.
        run: the run folder; made where absent.
        settings: of the run.
        device: auto, cpu or cuda.
        resume: go on from the run's last epoch; starts afresh where nothing is saved yet.
        tensorboard: also write RUN/tensorboard.
        progress: called with (batches done, batches in all, note).
        log: called with lines for the reader.
        settings: fields of `cropcam.model.training.settings.Settings` by name.

    Raises:
        ConfigError: a setting is out of range or differs from the run's, or the folder already holds a run.
            Or memory ran out; says what to lower.
        DataError: store or checkpoint are damaged, the store is another one than the run's, the loss is not finite, or another
            process is training into the folder.
        KeyboardInterrupt: told to stop by SIGTERM or Ctrl-C; the middle of the epoch is saved.
        OSError: the disk says no; the last complete epoch stays.
    """
    passed = settings.passed if settings else {}
    run.parent.mkdir(parents=True, exist_ok=True)
    with (
        init_distributed(choose(device)) as (ranks, target),
        exclusive_lock(run, _BEING_TRAINED) if ranks.is_main else nullcontext(),
        _memory_advice(),
    ):
        say = log if ranks.is_main else silent
        show = progress if ranks.is_main else silent
        dataset, info = open_store(store)
        config = configure(store, info, run, passed, resume)
        return _train(config, run, dataset, info, ranks=ranks, target=target, tensorboard=tensorboard, progress=show, say=say)


def _train(
    config: RunConfig,
    run: Path,
    dataset: xr.Dataset,
    info: StoreInfo,
    *,
    ranks: Ranks,
    target: torch.device,
    progress: Progress,
    say: Log,
    tensorboard: bool = False,
) -> RunConfig:
    """Train with the joined processes."""
    config = _settled(config, dataset, target)
    if (run / LAST).is_file() and load_config(run).optimizer.epochs < config.optimizer.epochs and (anew := _stretched(config)):
        say(f"warning: {anew} anew over {config.optimizer.epochs} epochs: not the run that began with so many")
    if ranks.count > 1 and config.labels.bagged:
        raise ConfigError("--bag-size and --areas train in one process: a bag may lie in the shards of several; start it without torchrun")
    train_split, validation = (
        read_split(dataset, split, config.label_spec, config.store.classes, config.data.data_loading, target)
        for split in ("train", "validation")
    )
    _check_labels(train_split, validation, config)
    if config.store.size_px < LONE_SIZE_PX.get(config.network.model, 0) and 1 in (
        config.data.batch_size,
        len(train_split) % config.data.batch_size,
    ):
        raise ConfigError(
            f"--batch-size {config.data.batch_size} leaves a batch of one of {len(train_split)} training patches: {config.network.model} cannot learn from one of "
            f"{config.store.size_px} px; take another size, or --model fcn"
        )
    _check_points(dataset, train_split, validation, config, say)
    if ranks.is_main:
        log_data_summary(dataset, train_split, validation, config, info, say)
    with deterministic(target, bool(config.network.deterministic)), stop_requested() as stop:
        trainer = Trainer(config, run, train_split, validation, target, ranks)
        trainer.restore()
        ranks.barrier()  # nobody reads the folder any more
        if ranks.is_main:
            _prepare_folder(run, config, target, say)
        if trainer.finished:
            hint = "it stopped early" if trainer.stopped_early else "a larger --epochs goes on"
            say(f"{run}: already trained for all {trainer.epoch} epochs; {hint}")
        with history_writer(run, tensorboard and ranks.is_main, trainer.epoch) as note:
            while not trainer.finished:
                if not trainer.run_epoch(progress, stop):
                    say(f"{run}: stopped in epoch {trainer.epoch + 1}, saved; go on with --resume")
                    raise KeyboardInterrupt
                note(trainer.newest)
        say(trainer.summary())
        if ranks.is_main:
            network, _ = load_network(run, target)
            fitted_segmenter(run, network, config, dataset, target)
            write_model_card(run, config)
    return config


def _stretched(config: RunConfig) -> str:
    """The parts of a run that depend on its number of epochs."""
    depends = {
        f"the {config.optimizer.schedule} schedule": config.optimizer.schedule != "constant",
        "the start of pseudo-labels": config.strategy.pseudo_label_weight > 0,
    }
    parts = [name for name, holds in depends.items() if holds]
    return f"{' and '.join(parts)} {'are' if len(parts) > 1 else 'is'} laid out" if parts else ""


def _settled(config: RunConfig, dataset: xr.Dataset, device: torch.device) -> RunConfig:
    """The settings left to the machine, decided: a run keeps them when it goes on elsewhere."""
    counts = dict(zip(SPLITS, np.bincount(dataset["split"].to_numpy(), minlength=len(SPLITS)).tolist(), strict=True))
    network, patches = config.network, counts["train"] + counts["validation"]
    return config.changed(
        precision=resolve_precision(network.precision, device),
        deterministic=device.type == "cpu" if network.deterministic is None else network.deterministic,
        data_loading=choose_loading(config.data.data_loading, dataset, patches, bagged=config.labels.bagged),
    )


def _check_labels(train_split: Patches, validation: Patches, config: RunConfig) -> None:
    for split, patches in (("train", train_split), ("validation", validation)):
        labels = patches.labels
        known = labels.labelled().any()
        if not known and config.labels.points:
            raise DataError(
                f"{config.labels.points}: none of its {labels.n_unmatched:,} points lies in a patch of the {split} split: there is nothing to learn from; "
                "'cropcam check' draws where the patches lie"
            )
        if not known and config.labels.areas:
            raise DataError(
                f"{config.labels.areas}: no patch of the {split} split has its centre in one of the polygons: there is nothing to learn from; "
                "'cropcam check' draws where the patches lie"
            )
        if not known:
            raise DataError(
                f"no patch of the {split} split has a label: there is nothing to learn from; look at the store with 'cropcam check'"
                + (
                    f", or take a smaller share_step: shares up to {config.labels.share_step / 2:g} round to 0"
                    if config.labels.share_step
                    else ""
                )
            )


def _check_points(dataset: xr.Dataset, train_split: Patches, validation: Patches, config: RunConfig, say: Log) -> None:
    if config.labels.labels != "points":
        return
    for split, patches in (("train", train_split), ("validation", validation)):
        points = int(patches.labels.class_pixels().sum())
        blank = labels_without_image(dataset, split, patches)
        where = f"of the {points:,} labelled pixels of the {split} split lie where a band has no image data"
        if blank == points:
            raise DataError(
                f"{config.labels.points or config.store.path}: all {where}: there is nothing to learn from; look at the store with 'cropcam check'"
            )
        if blank:
            say(f"warning: {blank:,} {where}: no loss counts them")


@contextmanager
def _memory_advice() -> Iterator[None]:
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        raise ConfigError("out of memory; lower --batch-size. The last complete epoch is kept") from None


def _prepare_folder(run: Path, config: RunConfig, device: torch.device, log: Log) -> None:
    run.mkdir(parents=True, exist_ok=True)
    clear_partial_files(run)
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
