"""What a run in training keeps in its folder, and how it goes on from there.

`last` is written at the end of each epoch, and in the middle of one when the run is told to stop; then it also says how many
batches are done and what they summed up to.
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
    RunConfig,
    load_metadata,
    load_tensors,
    load_training_state,
    save_tensors,
    training_state,
)
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.provenance import provenance

_NAMED = ("study", "model", "labels", "store_digest")  # a checkpoint that differs in one of these is another run's


@dataclass
class RunningTotals:
    """Loss by patches and agreement by answers, over the batches so far."""

    loss_sum: float = 0.0
    patches: float = 0.0
    right: float = 0.0
    answers: float = 0.0

    def add(self, loss: float, patches: float, right: float, answers: float) -> None:
        """Count one batch."""
        self.loss_sum += loss * patches
        self.patches += patches
        self.right += right
        self.answers += answers

    @property
    def loss(self) -> float:
        """Mean over patches."""
        return self.loss_sum / max(self.patches, 1)

    @property
    def accuracy(self) -> float:
        """Share of the answers that were right."""
        return self.right / max(self.answers, 1)

    def values(self) -> list[float]:
        """As numbers, in the order of the fields."""
        return [self.loss_sum, self.patches, self.right, self.answers]


@dataclass
class TrainingProgress:
    """How far a run has come: complete epochs, and batches of the one that was cut short."""

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
        optimiser: torch.optim.Optimizer,
        average: Network | None = None,
        *,
        writes: bool = True,
    ) -> None:
        """Without `writes` it reads only: of several processes one writes. `average`: the running mean of the weights, if there is one."""
        self._run, self._config, self._writes = run, config, writes
        self._network, self._optimiser, self._average = network, optimiser, average

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
        """Bring network and optimiser to where the folder stands, history with it; nothing saved yet is nothing done.

        Raises:
            DataError: what is saved is damaged or does not belong together.
        """
        last, best = self._run / LAST, self._run / BEST
        if not last.exists():
            if best.exists():
                raise DataError(f"{last}: missing, though {BEST} is there; train into another folder")
            return TrainingProgress()
        tensors, made_by = load_tensors(last)
        self._check_origin(made_by, last)
        load_training_state(self._network, self._optimiser, tensors, last, self._average)
        done = _progressed(made_by, last)
        if not (epochs := _epoch(made_by, last)):
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
        return history.selected_epoch(rows, newest=self._config.keep_last_epoch)

    def _write_history(self, rows: list[history.Row]) -> None:
        if self._writes:
            history.write(self._run / HISTORY, rows)

    def _save_last(self, done: TrainingProgress, more: dict[str, str]) -> None:
        if self._writes:
            tensors = training_state(self._network, self._optimiser, self._average)
            save_tensors(self._run / LAST, tensors, self._provenance(len(done.rows)) | more)

    def _save_best(self, epoch: int) -> None:
        if self._writes:
            save_tensors(self._run / BEST, dict(self._network.state_dict()), self._provenance(epoch))

    def _provenance(self, epoch: int) -> dict[str, str]:
        config = self._config
        common = provenance(config.study, store_digest=config.store_digest)
        return common | {"model": config.model, "labels": config.labels, "epoch": str(epoch)}

    def _check_origin(self, made_by: dict[str, str], path: Path) -> None:
        for name in _NAMED:
            ours = getattr(self._config, name)
            if (theirs := made_by.get(name, ours)) != ours:
                raise DataError(f"{path}: another run's checkpoint: its {name} is {theirs}, this run's {ours}; train into another folder")


def _progressed(made_by: dict[str, str], path: Path) -> TrainingProgress:
    try:
        return TrainingProgress([], int(made_by.get("batches", "0")), RunningTotals(*json.loads(made_by.get("sums", "[]"))))
    except (ValueError, TypeError):
        raise DataError(f"{path}: does not say how far its epoch had come; train into another folder") from None


def _epoch(made_by: dict[str, str], path: Path) -> int:
    try:
        return int(made_by["epoch"])
    except (KeyError, ValueError):
        raise DataError(f"{path}: does not say which epoch it holds; train into another folder") from None
