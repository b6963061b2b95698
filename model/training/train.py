"""Training: weak labels of a patch store in, a run folder out.

An epoch is a function of the seed, its number and the state before it, and each epoch is written down in the order
history, last, best. So a run killed at any moment goes on from `last`, and on the CPU ends with the same bytes as one
that was never interrupted. Axis suffixes: N patch, B batch, C band, K class.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from cropcam.model.data.dataset import Patches, labels_without_image, read_split
from cropcam.model.data.loading import choose_feed
from cropcam.model.evaluation.model_card import write_card
from cropcam.model.networks import LONE_SIZE_PX
from cropcam.model.runs.checkpoint import CONFIG, ENVIRONMENT, LAST, RunConfig, load_config, load_network, write_json
from cropcam.model.runtime.device import choose, deterministic, environment, settle_precision
from cropcam.model.runtime.distributed import Ranks, init_distributed
from cropcam.model.runtime.signals import stop_asked
from cropcam.model.segmentation.fitting import fitted_segmenter
from cropcam.model.training.data_summary import log_data_summary
from cropcam.model.training.settings import configure
from cropcam.model.training.tensorboard import board
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
    *,
    device: str = "auto",
    resume: bool = False,
    tensorboard: bool = False,
    progress: Progress = silent,
    log: Log = silent,
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
    run.parent.mkdir(parents=True, exist_ok=True)
    given = {name: value for name, value in settings.items() if value is not None}
    with (
        init_distributed(choose(device)) as (ranks, target),
        exclusive_lock(run, _BEING_TRAINED) if ranks.is_main else nullcontext(),
        _memory_advice(),
    ):
        say = log if ranks.is_main else silent
        show = progress if ranks.is_main else silent
        dataset, info = open_store(store)
        config = configure(store, info, run, given, resume)
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
    """The run, by the processes that are joined; as it was settled."""
    config = _settled(config, dataset, target)
    if (run / LAST).is_file() and load_config(run).epochs < config.epochs and (anew := _laid_out(config)):
        say(f"warning: {anew} anew over {config.epochs} epochs: not the run that began with so many")
    if ranks.count > 1 and config.bagged:
        raise ConfigError("--bag-size and --areas train in one process: a group may lie in the parts of several; start it without torchrun")
    train_split, validation = (
        read_split(dataset, split, config.rule, config.classes, config.feed, target) for split in ("train", "validation")
    )
    _check_labels(train_split, validation, config)
    if config.size_px < LONE_SIZE_PX.get(config.model, 0) and 1 in (config.batch_size, len(train_split) % config.batch_size):
        raise ConfigError(
            f"--batch-size {config.batch_size} leaves a batch of one of {len(train_split)} training patches: {config.model} cannot learn from one of "
            f"{config.size_px} px; take another size, or --model fcn"
        )
    _check_points(dataset, train_split, validation, config, say)
    if ranks.is_main:
        log_data_summary(dataset, train_split, validation, config, info, say)
    with deterministic(target, bool(config.deterministic)), stop_asked() as stop:
        trainer = Trainer(config, run, train_split, validation, target, ranks)
        trainer.restore()
        ranks.barrier()  # nobody reads the folder any more
        if ranks.is_main:
            _prepare_folder(run, config, target, say)
        if trainer.finished:
            hint = "it stopped early" if trainer.stopped_early else "a larger --epochs goes on"
            say(f"{run}: already trained for all {trainer.epoch} epochs; {hint}")
        with board(run, tensorboard and ranks.is_main, trainer.epoch) as note:
            while not trainer.finished:
                if not trainer.run_epoch(progress, stop):
                    say(f"{run}: stopped in epoch {trainer.epoch + 1}, saved; go on with --resume")
                    raise KeyboardInterrupt
                note(trainer.newest)
        say(trainer.summary())
        if ranks.is_main:
            network, _ = load_network(run, target)
            fitted_segmenter(run, network, config, dataset, target)
            write_card(run, config)
    return config


def _laid_out(config: RunConfig) -> str:
    """What of a run depends on how many epochs it is to have."""
    depend = {f"the {config.schedule} schedule": config.schedule != "constant", "the beginning of own labels": config.self_labels > 0}
    parts = [name for name, holds in depend.items() if holds]
    return f"{' and '.join(parts)} {'are' if len(parts) > 1 else 'is'} laid out" if parts else ""


def _settled(config: RunConfig, dataset: xr.Dataset, device: torch.device) -> RunConfig:
    """What was left to the machine or is found in the store, decided: a run keeps it when it goes on elsewhere."""
    counts = dict(zip(SPLITS, np.bincount(dataset["split"].to_numpy(), minlength=len(SPLITS)).tolist(), strict=True))
    patches = counts["train"] + counts["validation"]
    return replace(
        config,
        precision=settle_precision(config.precision, device),
        deterministic=device.type == "cpu" if config.deterministic is None else config.deterministic,
        feed=choose_feed(config.feed, dataset, patches, bagged=config.bagged),
    )


def _check_labels(train_split: Patches, validation: Patches, config: RunConfig) -> None:
    for split, patches in (("train", train_split), ("validation", validation)):
        labels = patches.labels
        known = labels.labelled().any()
        if not known and config.points:
            raise DataError(
                f"{config.points}: none of its {labels.n_unmatched:,} points lies in a patch of the {split} split: there is nothing to learn from; "
                "'cropcam check' draws where the patches lie"
            )
        if not known and config.areas:
            raise DataError(
                f"{config.areas}: no patch of the {split} split has its centre in one of the polygons: there is nothing to learn from; "
                "'cropcam check' draws where the patches lie"
            )
        if not known:
            raise DataError(
                f"no patch of the {split} split has a label: there is nothing to learn from; look at the store with 'cropcam check'"
                + (f", or take a smaller --share-step: shares up to {config.share_step / 2:g} round to 0" if config.share_step else "")
            )


def _check_points(dataset: xr.Dataset, train_split: Patches, validation: Patches, config: RunConfig, say: Log) -> None:
    if config.labels != "points":
        return
    for split, patches in (("train", train_split), ("validation", validation)):
        points = int(patches.labels.class_pixels().sum())
        blank = labels_without_image(dataset, split, patches)
        where = f"of the {points:,} labelled pixels of the {split} split lie where a band has no image data"
        if blank == points:
            raise DataError(
                f"{config.points or config.store}: all {where}: there is nothing to learn from; look at the store with 'cropcam check'"
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
        raise ConfigError(
            "out of memory; lower --batch-size, or use --precision bf16, or --feed streamed, which keeps no split in memory. The last complete epoch is kept"
        ) from None


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
