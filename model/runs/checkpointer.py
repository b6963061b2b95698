"""Writes and restores the state of a run in training.

`last` is written at the end of each epoch, and when the run is stopped in the middle of one; then it also has the number of batches done
and their sums.
"""

from __future__ import annotations

import json
import math
from dataclasses import astuple, dataclass, field
from pathlib import Path

import torch

from cropcam.model.networks import Network
from cropcam.model.runs import checkpoint, history
from cropcam.model.runs.checkpoint import BEST, HISTORY, LAST, load_tensors, save_tensors
from cropcam.model.runs.config import RunConfig
from cropcam.model.strategies.base import Strategy
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.provenance import provenance


@dataclass
class RunningTotals:
    """Sums over batches: of the loss over patches, and of correct labels."""

    loss_sum: float = 0.0
    patches: float = 0.0
    right: float = 0.0
    labels: float = 0.0

    def add(self, loss: float, patches: float, right: float, labels: float) -> None:
        """Add one batch; `loss` is its mean over patches."""
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
        """Share of correct labels."""
        return self.right / max(self.labels, 1)

    def values(self) -> tuple[float, ...]:
        """The sums, in the order of the fields."""
        return astuple(self)


@dataclass
class TrainingProgress:
    """The complete epochs of a run, and the batches of the interrupted one."""

    rows: list[history.Row] = field(default_factory=list)
    batches: int = 0
    sums: RunningTotals = field(default_factory=RunningTotals)


class Checkpointer:
    """Writes and reads the history and the checkpoints of a run folder. Without `writes` it only reads: one of several processes writes."""

    def __init__(
        self, run: Path, config: RunConfig, network: Network, optimizer: torch.optim.Optimizer, strategy: Strategy, *, writes: bool = True
    ) -> None:
        self._run, self._writes = run, writes
        self._network, self._optimizer, self._strategy = network, optimizer, strategy
        store, self._epochs = config.store, config.optimizer.epochs
        # a checkpoint that differs in one of these is of another run
        self._origin = {"study": store.study, "store_digest": store.digest, "model": config.network.model, "labels": config.labels.kind}

    def save_epoch(self, done: TrainingProgress) -> None:
        """Write history, last and, if the newest epoch is selected, best, in this order."""
        rows = done.rows
        self._write_history(rows)
        self._save_last(done, {})
        if self.selected(rows) == len(rows):
            self._save_best(len(rows))

    def save_middle(self, done: TrainingProgress) -> None:
        """Write last in the middle of an epoch."""
        self._save_last(done, {"batches": str(done.batches), "sums": json.dumps(done.sums.values())})

    def restore(self) -> TrainingProgress:
        """Restore network, optimizer, strategy and history from the folder; an empty folder is a new run.

        Raises:
            DataError: a file is damaged, or the files are not of one run.
        """
        last, best = self._run / LAST, self._run / BEST
        if not last.exists():
            if best.exists():
                raise DataError(f"{last}: missing, though {BEST} is there; train into another folder")
            return TrainingProgress()
        tensors, metadata = load_tensors(last)
        for name, value in self._origin.items():
            if (other := metadata.get(name, value)) != value:
                raise DataError(f"{last}: another run's checkpoint: its {name} is {other}, this run's {value}; train into another folder")
        checkpoint.load_training_state(self._network, self._optimizer, self._strategy, tensors, last)
        try:
            done = TrainingProgress(
                [], int(metadata.get("batches", "0")), RunningTotals(*map(float, json.loads(metadata.get("sums", "[]"))))
            )
            if done.batches < 0 or not all(map(math.isfinite, done.sums.values())):
                raise ValueError
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise DataError(f"{last}: the progress of its epoch is missing; train into another folder") from None
        if not (epochs := _epoch(metadata, last)):
            return done
        if epochs > self._epochs:
            raise DataError(f"{last}: is of epoch {epochs}, the run is of {self._epochs} epochs; train into another folder")
        done.rows = history.read(self._run / HISTORY, epochs)
        self._write_history(done.rows)
        if self.selected(done.rows) == len(done.rows) and not done.batches:
            self._save_best(len(done.rows))
        elif _epoch(checkpoint.load_metadata(best), best) != self.selected(done.rows):
            raise DataError(f"{best}: not the selected epoch of {HISTORY}; train into another folder")
        return done

    def selected(self, rows: list[history.Row]) -> int:
        """The epoch whose weights are in best."""
        return history.selected_epoch(rows, newest=self._strategy.keep_last_epoch)

    def _write_history(self, rows: list[history.Row]) -> None:
        if self._writes:
            history.write(self._run / HISTORY, rows)

    def _save_last(self, done: TrainingProgress, more: dict[str, str]) -> None:
        if self._writes:
            tensors = checkpoint.training_state(self._network, self._optimizer, self._strategy)
            save_tensors(self._run / LAST, tensors, self._metadata(len(done.rows)) | more)

    def _save_best(self, epoch: int) -> None:
        if self._writes:
            save_tensors(self._run / BEST, dict(self._network.state_dict()), self._metadata(epoch))

    def _metadata(self, epoch: int) -> dict[str, str]:
        return {**provenance(self._origin["study"]), **self._origin, "epoch": str(epoch)}


def _epoch(metadata: dict[str, str], path: Path) -> int:
    try:
        if (epoch := int(metadata["epoch"])) < 0:
            raise ValueError
    except (KeyError, ValueError):
        raise DataError(f"{path}: its epoch is missing; train into another folder") from None
    return epoch
