"""The training loop: epochs over one split, each judged on another and written down.

Axis suffixes: N patch, B batch, C band, H/W rows and columns, K class.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from model import history
from model.agreement import agreement, constant_agreement
from model.checkpoint import BEST, HISTORY, LAST, RunConfig, load_tensors, load_training_state, save_tensors, training_state
from model.data import Patches, Scaling, batches, plan_epoch, plan_in_order
from model.losses import Batch, Targets
from model.networks import Network, build
from pipeline.errors import DataError

Progress = Callable[[int, int, str], None]


class Trainer:
    """A network in training: its state in memory and, epoch by epoch, in the run folder."""

    def __init__(self, config: RunConfig, run: Path, train_split: Patches, validation: Patches, device: torch.device) -> None:
        self._config, self._run, self._train, self._validation = config, run, train_split, validation
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self._network: Network = build(config.model, len(config.bands), len(config.classes)).to(device)
        self._optimiser = torch.optim.AdamW(self._network.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        self._scaling = Scaling(torch.tensor(config.mean, device=device), torch.tensor(config.std, device=device))
        self._steps = math.ceil(len(train_split) / config.batch_size)
        self._objective = config.objective
        self._majority_accuracy = constant_agreement(validation.labels)
        self._rows: list[history.Row] = []

    @property
    def epoch(self) -> int:
        """Complete epochs so far."""
        return len(self._rows)

    def restore(self) -> None:
        """Go on where the run folder stands: nothing saved yet is epoch 0; history and best are brought level with last.

        Raises:
            DataError: what is saved is damaged or does not belong together.
        """
        last, best = self._run / LAST, self._run / BEST
        if not last.exists():
            if best.exists():
                raise DataError(f"{last}: missing, though {BEST} is there; train into another folder")
            return
        tensors, made_by = load_tensors(last)
        load_training_state(self._network, self._optimiser, tensors, last)
        self._rows = history.read(self._run / HISTORY, _epoch(made_by, last))
        history.write(self._run / HISTORY, self._rows)
        if history.best_epoch(self._rows) == self.epoch:
            self._save_best()
        elif _epoch(load_tensors(best)[1], best) != history.best_epoch(self._rows):
            raise DataError(f"{best}: not the best epoch of {HISTORY}; train into another folder")

    def run_epoch(self, progress: Progress) -> None:
        """One pass over the training split, one over validation, then history, last and best, in this order.

        Raises:
            DataError: a loss is not finite; names epoch and batch.
        """
        started = time.perf_counter()
        train_loss, train_accuracy = self._learn(progress)
        trained_s = time.perf_counter() - started
        loss, accuracy = self._validate()
        row = history.Row(
            epoch=self.epoch + 1,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            validation_loss=loss,
            validation_accuracy=accuracy,
            validation_majority_accuracy=self._majority_accuracy,
            seconds=round(time.perf_counter() - started, 3),
            patches_per_second=round(len(self._train) / trained_s, 1),
        )
        history.write(self._run / HISTORY, [*self._rows, row])
        save_tensors(self._run / LAST, training_state(self._network, self._optimiser), self._made_by(row.epoch))
        self._rows.append(row)
        if history.best_epoch(self._rows) == self.epoch:
            self._save_best()
        progress(self.epoch * self._steps, self._config.epochs * self._steps, f"{self._note()}, validation {_figures(row)}")

    def verdict(self) -> str:
        """One line: which epoch was best, and how good, beside the majority guess."""
        row = self._rows[history.best_epoch(self._rows) - 1]
        return f"best of {self.epoch} epochs: {row.epoch}, validation {_figures(row)}"

    def _learn(self, progress: Progress) -> tuple[float, float]:
        self._network.train()
        plan = plan_epoch(len(self._train), self._config.seed, self.epoch, self._train.labels.group_N)
        sums = _Sums()
        for step, (x_BCHW, targets) in enumerate(batches(self._train, self._config.batch_size, self._scaling, plan)):
            loss, batch = self._loss(x_BCHW, targets)
            self._optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()
            sums.add(self._finite(loss.item(), f"batch {step + 1}"), len(x_BCHW), self._agreement(batch, targets))
            progress(self.epoch * self._steps + step + 1, self._config.epochs * self._steps, f"{self._note()}, loss {loss.item():.3f}")
        return sums.loss, sums.accuracy

    @torch.inference_mode()
    def _validate(self) -> tuple[float, float]:
        self._network.eval()
        sums = _Sums()
        plan = plan_in_order(len(self._validation), self._validation.labels.group_N)
        for x_BCHW, targets in batches(self._validation, self._config.batch_size, self._scaling, plan):
            loss, batch = self._loss(x_BCHW, targets)
            sums.add(loss.item(), len(x_BCHW), self._agreement(batch, targets))
        return self._finite(sums.loss, "validation"), sums.accuracy

    def _loss(self, x_BCHW: Tensor, targets: Targets) -> tuple[Tensor, Batch]:
        batch = Batch(self._network, self._network(x_BCHW, targets.valid_BHW), targets.valid_BHW)
        return self._objective.loss(batch, targets, self._config.presence_min_share), batch

    @torch.no_grad()
    def _agreement(self, batch: Batch, targets: Targets) -> tuple[float, int]:
        return agreement(self._objective, batch, targets, self._config.labels, self._config.presence_min_share)

    def _finite(self, loss: float, where: str) -> float:
        if math.isfinite(loss):
            return loss
        raise DataError(f"epoch {self.epoch + 1}, {where}: the loss is {loss}; a smaller --lr may help. The last complete epoch is kept")

    def _save_best(self) -> None:
        save_tensors(self._run / BEST, dict(self._network.state_dict()), self._made_by(self.epoch))

    def _made_by(self, epoch: int) -> dict[str, str]:
        config = self._config
        return {"epoch": str(epoch), "study": config.study, "store_digest": config.store_digest, "code_version": config.code_version}

    def _note(self) -> str:
        return f"epoch {min(self.epoch + 1, self._config.epochs)}/{self._config.epochs}"


def _epoch(made_by: dict[str, str], path: Path) -> int:
    try:
        return int(made_by["epoch"])
    except (KeyError, ValueError):
        raise DataError(f"{path}: does not say which epoch it holds; train into another folder") from None


@dataclass
class _Sums:
    """Loss by patches and agreement by answers, over the batches so far."""

    _loss: float = 0.0
    _patches: int = 0
    _right: float = 0.0
    _answers: int = 0

    def add(self, loss: float, patches: int, agreed: tuple[float, int]) -> None:
        """Count one batch."""
        self._loss += loss * patches
        self._patches += patches
        self._right += agreed[0]
        self._answers += agreed[1]

    @property
    def loss(self) -> float:
        """Mean over patches."""
        return self._loss / self._patches

    @property
    def accuracy(self) -> float:
        """Share of the answers that were right."""
        return self._right / max(self._answers, 1)


def _figures(row: history.Row) -> str:
    return f"loss {row.validation_loss:.4f}, accuracy {row.validation_accuracy:.4f} (majority guess {row.validation_majority_accuracy:.4f})"
