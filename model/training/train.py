"""Training: from the weak labels of a patch store to a run folder.

An epoch is a function of the seed, its number and the state before it. Each epoch is written in the order history, last, best. So a run
killed at any moment goes on from `last`, and on a CPU ends with the bytes of an uninterrupted run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cropcam.model.data.dataset import Patches, labels_without_image, read_split
from cropcam.model.data.loading import choose_loading
from cropcam.model.evaluation.model_card import write_model_card
from cropcam.model.labels.fields import forget_fields
from cropcam.model.networks import network_class
from cropcam.model.options import Settings
from cropcam.model.runs.checkpoint import ENVIRONMENT, LAST, load_network, write_json
from cropcam.model.runs.config import CONFIG, RunConfig, load_config
from cropcam.model.runtime.device import choose, deterministic, environment, resolve_precision
from cropcam.model.runtime.distributed import Ranks, init_distributed
from cropcam.model.runtime.signals import stop_requested
from cropcam.model.segmentation.fitting import fitted_segmenter
from cropcam.model.training.data_summary import log_data_summary
from cropcam.model.training.pixel_trainer import PixelTrainer
from cropcam.model.training.settings import configure
from cropcam.model.training.tensorboard import history_writer
from cropcam.model.training.trainer import Trainer
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.runtime.atomic import clear_partial_files, exclusive_lock
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from cropcam.pipeline.store.schema import SPLITS

Log = Callable[[str], None]
_LOCKED = "another process is training it; wait for that one, or name another folder"
_NOTHING = "there is nothing to learn from; "


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
    """Train a network on a store's weak labels; everything is written to the folder `run`.

    Arguments as of `cropcam.train`. A setting that is not passed is the resumed run's, else the measured default (`presence_min_share`:
    the study's). `tensorboard` also writes RUN/tensorboard.

    Raises:
        ConfigError: a setting is out of range or differs from the run's, the folder holds a run and `resume` is false, memory ran out,
            or a network that is not built in cannot be imported or is not as required (docs/networks.md).
        DataError: store or checkpoint are damaged, the store is not the run's, the loss is not finite, or another process trains the run.
        KeyboardInterrupt: SIGTERM or Ctrl-C; the state in the middle of the epoch is saved.
        OSError: writing failed; the last complete epoch is kept.
    """
    with init_distributed(choose(device)) as (ranks, target), _memory_advice():
        run.parent.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(run, _LOCKED) if ranks.is_main else nullcontext():
            opened = open_store(store)
            config = configure(store, opened.info, run, settings.passed if settings else {}, resume)
            config = _resolve_auto(config, opened, target)
            log, progress = (log, progress) if ranks.is_main else (silent, silent)
            train_split, validation = _read_splits(config, run, opened, target, ranks, log)
            with deterministic(target, bool(config.network.deterministic)), stop_requested() as stop:
                trainer_class = PixelTrainer if config.is_fitted else Trainer
                with closing(trainer_class(config, run, train_split, validation, target, ranks, log)) as trainer:
                    trainer.restore()
                    ranks.barrier()  # every rank has read the folder
                    if ranks.is_main:
                        _prepare_folder(run, config, target, log)
                    if trainer.finished:
                        hint = "it stopped early" if trainer.stopped_early else "a larger --epochs goes on"
                        log(f"{run}: already trained for all {trainer.epoch} epochs; {hint}")
                    with history_writer(run, tensorboard and ranks.is_main, trainer.epoch) as write_row:
                        while not trainer.finished:
                            if not trainer.run_epoch(progress, stop):
                                log(f"{run}: stopped in epoch {trainer.epoch + 1}, saved; go on with --resume")
                                raise KeyboardInterrupt
                            write_row(trainer.newest)
                    log(trainer.summary())
                if ranks.is_main:
                    network, _ = load_network(run, target)
                    fitted_segmenter(run, network, config, opened, target)
                    write_model_card(run, config)
    return config


def _resolve_auto(config: RunConfig, store: PatchStore, device: torch.device) -> RunConfig:
    """The configuration without "auto": a resumed run keeps the values on another machine."""
    patches = int(np.isin(store.split_N, [SPLITS.index(split) for split in ("train", "validation")]).sum())
    repeatable = config.network.deterministic
    return config.changed(
        precision=resolve_precision(config.network.precision, device),
        deterministic=device.type == "cpu" if repeatable is None else repeatable,
        data_loading=choose_loading(config.data.data_loading, store, patches, bagged=config.labels.bagged),
    )


def _read_splits(config: RunConfig, run: Path, store: PatchStore, device: torch.device, ranks: Ranks, log: Log) -> tuple[Patches, Patches]:
    """The training and the validation split, checked; warnings and the summary of the data are logged."""
    labels, size_px, batch_size = config.labels, config.store.size_px, config.data.batch_size
    if (run / LAST).is_file() and load_config(run).optimizer.epochs < config.optimizer.epochs and (parts := _depending_on_epochs(config)):
        log(
            f"warning: {parts} laid out anew over {config.optimizer.epochs} epochs: the run differs from one of so many epochs from its start"
        )
    if ranks.count > 1 and labels.bagged:
        raise ConfigError("--bag-size and --areas train in one process: a bag may lie in the shards of several; start it without torchrun")
    if ranks.count > 1 and config.is_fitted:
        raise ConfigError(f"--model {config.network.model} is fitted in one process; start it without torchrun")
    train_split, validation = (
        read_split(store, split, config.label_spec, config.store.classes, config.data.data_loading, device)
        for split in ("train", "validation")
    )
    forget_fields()
    for split, patches in (("train", train_split), ("validation", validation)):
        _check_labels(split, patches, config)
    if size_px < network_class(config.network.model).lone_size_px and 1 in (batch_size, len(train_split) % batch_size):
        raise ConfigError(
            f"--batch-size {batch_size} leaves a batch of one of {len(train_split)} training patches: {config.network.model} cannot learn "
            f"from one patch of {size_px} px; take another size, or --model fcn"
        )
    if labels.labels == "points":
        for split, patches in (("train", train_split), ("validation", validation)):
            _check_image_at_points(store, split, patches, config, log)
    if ranks.is_main:
        log_data_summary(store, train_split, validation, config, log)
    return train_split, validation


def _depending_on_epochs(config: RunConfig) -> str:
    schedule, weight = config.optimizer.schedule, config.strategy.pseudo_label_weight
    parts = [f"the {schedule} schedule"] * (schedule != "constant") + ["the start of pseudo-labels"] * (weight > 0)
    return f"{' and '.join(parts)} {'are' if len(parts) > 1 else 'is'}" if parts else ""


def _check_labels(split: str, patches: Patches, config: RunConfig) -> None:
    options = config.labels
    if patches.labels.labelled().any():
        return
    if options.file:
        what = f"none of its {patches.labels.n_unmatched:,} points lies in a patch of the {split} split"
        what = f"none of its fields gives a label to a patch of the {split} split" if options.fields else what
        what = f"no patch of the {split} split has its centre in one of the polygons" if options.areas else what
        details = "".join(f"; {note}" for note in patches.labels.notes)
        raise DataError(f"{options.file}: {what}{details}: {_NOTHING}'cropcam check' draws where the patches lie")
    step = options.share_step
    hint = f", or take a smaller share_step: shares up to {step / 2:g} round to 0" if step else ""
    raise DataError(f"no patch of the {split} split has a label: {_NOTHING}inspect the store with 'cropcam check'{hint}")


def _check_image_at_points(store: PatchStore, split: str, patches: Patches, config: RunConfig, log: Log) -> None:
    points, blank = int(patches.labels.class_pixels().sum()), labels_without_image(store, split, patches, config.seasons)
    where = f"of the {points:,} labelled pixels of the {split} split lie where a band has no image data"
    if blank == points:
        raise DataError(f"{config.labels.file or config.store.path}: all {where}: {_NOTHING}inspect the store with 'cropcam check'")
    if blank:
        log(f"warning: {blank:,} {where}: no loss counts them")


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
    now: dict[str, Any] = environment(device)
    try:
        before = json.loads((run / ENVIRONMENT).read_text("utf-8"))
    except (OSError, ValueError):
        before = now
    if changed := [f"{key} {before.get(key)} -> {value}" for key, value in now.items() if before.get(key) != value]:
        log(f"warning: the run goes on in another environment ({', '.join(changed)}): its last digits may differ")
    write_json(run / ENVIRONMENT, now)
    write_json(run / CONFIG, config.to_json())
