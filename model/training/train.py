"""Training: from the weak labels of a patch store to a run folder.

An epoch is a function of the seed, its number and the state before it. Each epoch is written in the order history, last, best. So a run
killed at any moment goes on from `last`, and on a CPU ends with the bytes of an uninterrupted run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cropcam.model.data.dataset import Patches
from cropcam.model.data.loading import choose_loading
from cropcam.model.evaluation.model_card import write_model_card
from cropcam.model.evaluation.run_item import write_run_item
from cropcam.model.options import INPUT_FILES, Settings
from cropcam.model.runs.cautions import CautionLog
from cropcam.model.runs.checkpoint import ENVIRONMENT, LAST, check_run_folder, load_network, write_json
from cropcam.model.runs.config import CONFIG, RunConfig, load_config
from cropcam.model.runtime.device import choose, deterministic, environment, resolve_precision
from cropcam.model.runtime.distributed import Ranks, init_distributed
from cropcam.model.runtime.signals import stop_requested
from cropcam.model.segmentation.fitting import fitted_segmenter
from cropcam.model.training.data_summary import log_data_summary
from cropcam.model.training.pixel_trainer import PixelTrainer
from cropcam.model.training.settings import configure
from cropcam.model.training.splits import check_batches, passes, read_splits
from cropcam.model.training.tensorboard import history_writer
from cropcam.model.training.trainer import Trainer
from cropcam.model.transfer.seen import seen_by
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.runtime.atomic import clear_partial_files, exclusive_lock, kept_if_filled
from cropcam.pipeline.runtime.machine import denial, is_memory
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.store.cautions import cautions
from cropcam.pipeline.store.joined import join
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from cropcam.pipeline.store.schema import SPLITS
from cropcam.pipeline.text_files import read_json_object

Log = Callable[[str], None]
_LOCKED = "another process is training it; wait for that one, or name another folder"


def train(
    store: Path | Sequence[Path],
    run: Path,
    settings: Settings | None = None,
    *,
    device: str = "auto",
    resume: bool = False,
    tensorboard: bool = False,
    progress: Progress = silent,
    log: Log = silent,
) -> RunConfig:
    """Train a network on the weak labels of a store, or of several; everything is written to the folder `run`.

    Arguments as of `cropcam.train`. A setting that is not passed is the resumed run's, else the measured default (`presence_min_share`:
    the study's). `tensorboard` also writes RUN/tensorboard.

    Raises:
        ConfigError: a setting is out of range or differs from the run's, the folder holds a run and `resume` is false,
            or a network that is not built in cannot be imported or is not as required (docs/networks.md).
        DataError: store or checkpoint are damaged, the store is not the run's, the loss is not finite, memory ran out, or another process trains the run.
        KeyboardInterrupt: SIGTERM or Ctrl-C; the state in the middle of the epoch is saved.
        OSError: writing failed; the last complete epoch is kept.
    """
    with init_distributed(choose(device)) as (ranks, target), _memory_advice():
        passed = settings.passed if settings else {}
        stores = [store] if isinstance(store, Path) else store
        check_run_folder(run, [*stores, *(Path(passed[name]) for name in INPUT_FILES if passed.get(name))])
        with kept_if_filled(run.parent), exclusive_lock(run, _LOCKED) if ranks.is_main else nullcontext():
            opened = _open_stores(stores, passed)
            config = configure(opened, run, passed, resume)
            config = _resolve_auto(config, opened, target)
            log, progress = CautionLog(log if ranks.is_main else silent), progress if ranks.is_main else silent
            config, train_split, validation = _read_splits(config, run, opened, target, ranks, log)
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
                    for caution in filter(None, (*cautions(opened, labels=not config.labels.file), trainer.caution())):
                        log.caution(caution)
                if ranks.is_main:
                    network, _ = load_network(run, target)
                    segmenter = fitted_segmenter(run, network, config, opened, target)
                    seen_by(run, network, config, target, opened, segmenter.method)
                    write_model_card(run, config)
                    write_run_item(run, network, config)
                    log.write(run)
    return config


def _open_stores(paths: Sequence[Path], passed: Mapping[str, Any]) -> PatchStore:
    """The store, or the join of several stores."""
    held_out = tuple(name.strip() for name in passed.get("hold_out_store", "").split(",") if name.strip())
    if len(paths) > 1 and passed.get("bag_size", 1) > 1:
        raise ConfigError("--bag-size groups neighbouring patches of one store; train on one store, or leave it out")
    if held_out and len(paths) == 1:
        raise ConfigError(f"--hold-out-store {passed['hold_out_store']}: there is one store alone; name the stores to train on too")
    return join([open_store(path) for path in paths], held_out)


def _resolve_auto(config: RunConfig, store: PatchStore, device: torch.device) -> RunConfig:
    """The configuration without "auto": a resumed run keeps the values on another machine."""
    patches = int(np.isin(store.split_N, [SPLITS.index(split) for split in ("train", "validation")]).sum())
    repeatable = config.network.deterministic
    return config.changed(
        precision=resolve_precision(config.network.precision, device),
        deterministic=device.type == "cpu" if repeatable is None else repeatable,
        data_loading=choose_loading(config.data.data_loading, store, patches, bagged=config.labels.bagged),
    )


def _read_splits(
    config: RunConfig, run: Path, store: PatchStore, device: torch.device, ranks: Ranks, log: Log
) -> tuple[RunConfig, Patches, Patches]:
    """The configuration with its passes, and the training and the validation split, checked; warnings and the summary of the data are logged."""
    if (run / LAST).is_file() and load_config(run).optimizer.epochs < config.optimizer.epochs and (parts := _depending_on_epochs(config)):
        log(
            f"warning: {parts} laid out anew over {config.optimizer.epochs} epochs: the run differs from one of so many epochs from its start"
        )
    if ranks.count > 1 and config.labels.bagged:
        raise ConfigError("--bag-size and --areas train in one process: a bag may lie in the shards of several; start it without torchrun")
    if ranks.count > 1 and config.is_fitted:
        raise ConfigError(f"--model {config.network.model} is fitted in one process; start it without torchrun")
    train_split, validation = read_splits(config, store, device, log)
    config = replace(config.changed(passes=passes(config, len(train_split))), trained_patches=len(train_split))
    check_batches(config, len(train_split))
    if ranks.is_main:
        log_data_summary(store, train_split, validation, config, log)
    return config, train_split, validation


def _depending_on_epochs(config: RunConfig) -> str:
    schedule, weight = config.optimizer.schedule, config.strategy.pseudo_label_weight
    parts = [f"the {schedule} schedule"] * (schedule != "constant") + ["the start of pseudo-labels"] * (weight > 0)
    return f"{' and '.join(parts)} {'are' if len(parts) > 1 else 'is'}" if parts else ""


@contextmanager
def _memory_advice() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not is_memory(error):
            raise
        raise DataError(f"{denial(error, batches=True)}. The last complete epoch is kept") from error


def _prepare_folder(run: Path, config: RunConfig, device: torch.device, log: Log) -> None:
    run.mkdir(parents=True, exist_ok=True)
    clear_partial_files(run)
    now: dict[str, Any] = environment(device)
    try:
        before = read_json_object(run / ENVIRONMENT, "the environment of a run")
    except DataError:
        before = now
    if changed := [f"{key} {before.get(key)} -> {value}" for key, value in now.items() if before.get(key) != value]:
        log(f"warning: the run goes on in another environment ({', '.join(changed)}): its last digits may differ")
    write_json(run / ENVIRONMENT, now)
    write_json(run / CONFIG, config.to_json())
