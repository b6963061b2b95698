"""Writes the state of a run in training, and restores it.

`last` is written at the end of each epoch, and in the middle of one when the run is asked to stop; then it also holds the number of batches done
and their sums.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch

from cropcam.model.networks import Network
from cropcam.model.runs import history
from cropcam.model.runs.checkpoint import (
    BEST,
    HISTORY,
    LAST,
    load_metadata,
    load_tensors,
    load_training_state,
    save_tensors,
    training_state,
)
from cropcam.model.runs.config import RunConfig
from cropcam.model.strategies.base import Strategy
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.provenance import provenance


@dataclass
class RunningTotals:
    """Loss summed over patches and accuracy summed over labels, over the batches so far."""

    loss_sum: float = 0.0
    patches: float = 0.0
    right: float = 0.0
    labels: float = 0.0

    def add(self, loss: float, patches: float, right: float, labels: float) -> None:
        """Count one batch."""
        self.loss_sum += loss * patches
        self.patches += patches
        self.right += right
        self.labels += labels

    @property
    def loss(self) -> float:
        """Mean over patches."""
        return self.loss_sum / max(self.patches, 1)

    @property
    def accuracy(self) -> float:
        """Share of right labels."""
        return self.right / max(self.labels, 1)

    def values(self) -> list[float]:
        """As numbers, in the order of the fields."""
        return [self.loss_sum, self.patches, self.right, self.labels]


@dataclass
class TrainingProgress:
    """The complete epochs of a run, and the batches of the interrupted one."""

    rows: list[history.Row] = field(default_factory=list)
    batches: int = 0
    sums: RunningTotals = field(default_factory=RunningTotals)


class Checkpointer:
    """Writes and reads the run folder's history and checkpoints."""

    def __init__(
        self,
        run: Path,
        config: RunConfig,
        network: Network,
        optimizer: torch.optim.Optimizer,
        strategy: Strategy,
        *,
        writes: bool = True,
    ) -> None:
        """Without `writes` it reads only: of several processes one writes."""
        self._run, self._config, self._writes = run, config, writes
        self._network, self._optimizer, self._strategy = network, optimizer, strategy

    def save_epoch(self, done: TrainingProgress) -> None:
        """History, last and, if the newest epoch is the one to keep, best, in this order."""
        rows = done.rows
        self._write_history(rows)
        self._save_last(done, {})
        if self.kept(rows) == len(rows):
            self._save_best(len(rows))

    def save_middle(self, done: TrainingProgress) -> None:
        """Last, in the middle of an epoch."""
        self._save_last(done, {"batches": str(done.batches), "sums": json.dumps(done.sums.values())})

    def restore(self) -> TrainingProgress:
        """Restore network, optimizer, strategy and history from the folder; an empty folder is an empty run.

        Raises:
            DataError: a file is damaged, or the files do not belong together.
        """
        last, best = self._run / LAST, self._run / BEST
        if not last.exists():
            if best.exists():
                raise DataError(f"{last}: missing, though {BEST} is there; train into another folder")
            return TrainingProgress()
        tensors, metadata = load_tensors(last)
        self._check_origin(metadata, last)
        load_training_state(self._network, self._optimizer, self._strategy, tensors, last)
        done = _progressed(metadata, last)
        if not (epochs := _epoch(metadata, last)):
            return done
        done.rows = history.read(self._run / HISTORY, epochs)
        self._write_history(done.rows)
        if self.kept(done.rows) == len(done.rows) and not done.batches:
            self._save_best(len(done.rows))
        elif _epoch(load_metadata(best), best) != self.kept(done.rows):
            raise DataError(f"{best}: not the epoch of {HISTORY} that is kept; train into another folder")
        return done

    def kept(self, rows: list[history.Row]) -> int:
        """The epoch whose weights are kept."""
        return history.selected_epoch(rows, newest=self._strategy.keep_last_epoch)

    def _write_history(self, rows: list[history.Row]) -> None:
        if self._writes:
            history.write(self._run / HISTORY, rows)

    def _save_last(self, done: TrainingProgress, more: dict[str, str]) -> None:
        if self._writes:
            tensors = training_state(self._network, self._optimizer, self._strategy)
            save_tensors(self._run / LAST, tensors, self._metadata(len(done.rows)) | more)

    def _save_best(self, epoch: int) -> None:
        if self._writes:
            save_tensors(self._run / BEST, dict(self._network.state_dict()), self._metadata(epoch))

    @property
    def _origin(self) -> dict[str, str]:
        """A checkpoint that differs in one of these belongs to another run."""
        config = self._config
        named = {"study": config.store.study, "store_digest": config.store.digest}
        return {**named, "model": config.network.model, "labels": config.labels.kind}

    def _metadata(self, epoch: int) -> dict[str, str]:
        return {**provenance(self._config.store.study), **self._origin, "epoch": str(epoch)}

    def _check_origin(self, metadata: dict[str, str], path: Path) -> None:
        for name, value in self._origin.items():
            if (other := metadata.get(name, value)) != value:
                raise DataError(f"{path}: another run's checkpoint: its {name} is {other}, this run's {value}; train into another folder")


def _progressed(metadata: dict[str, str], path: Path) -> TrainingProgress:
    try:
        return TrainingProgress([], int(metadata.get("batches", "0")), RunningTotals(*json.loads(metadata.get("sums", "[]"))))
    except (ValueError, TypeError):
        raise DataError(f"{path}: the progress of its epoch is missing; train into another folder") from None


def _epoch(metadata: dict[str, str], path: Path) -> int:
    try:
        return int(metadata["epoch"])
    except (KeyError, ValueError):
        raise DataError(f"{path}: its epoch is missing; train into another folder") from None
