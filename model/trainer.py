"""The training loop: epochs over one split, each judged on another and written down.

Axis suffixes: N patch, B batch, C band, H/W rows and columns, K class.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model import history
from model.checkpoint import BEST, HISTORY, LAST, RunConfig, load_tensors, load_training_state, save_tensors, training_state
from model.data import Patches, Scaling, batches, plan_epoch
from model.losses import presence_loss
from model.metrics import majority_label_accuracy
from model.networks import Network, build
from pipeline.errors import DataError

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Labelled:
    """One split and its labels (N, K) float32, 0 or 1."""

    patches: Patches
    label_NK: npt.NDArray[np.float32]


class Trainer:
    """A network in training: its state in memory and, epoch by epoch, in the run folder."""

    def __init__(self, config: RunConfig, run: Path, train_split: Labelled, validation: Labelled, device: torch.device) -> None:
        self._config, self._run, self._train, self._validation = config, run, train_split, validation
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self._network: Network = build(config.model, len(config.bands), len(config.classes)).to(device)
        self._optimiser = torch.optim.AdamW(self._network.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        self._scaling = Scaling(torch.tensor(config.mean, device=device), torch.tensor(config.std, device=device))
        self._steps = math.ceil(len(train_split.patches) / config.batch_size)
        self._majority_accuracy = majority_label_accuracy(validation.label_NK > 0) or 0.0
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
            patches_per_second=round(len(self._train.patches) / trained_s, 1),
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
        plan, count = plan_epoch(len(self._train.patches), self._config.seed, self.epoch), len(self._train.patches)
        feed = batches(self._train.patches, self._train.label_NK, self._config.batch_size, self._scaling, plan)
        total_loss = total_right = 0.0
        for step, (x_BCHW, label_BK) in enumerate(feed):
            logits_BK = self._network(x_BCHW).logits_BK
            loss = presence_loss(logits_BK, label_BK)
            self._optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()
            total_loss += self._finite(loss.item(), f"batch {step + 1}") * len(x_BCHW)
            total_right += _right(logits_BK, label_BK)
            progress(self.epoch * self._steps + step + 1, self._config.epochs * self._steps, f"{self._note()}, loss {loss.item():.3f}")
        return total_loss / count, total_right / self._train.label_NK.size

    @torch.inference_mode()
    def _validate(self) -> tuple[float, float]:
        self._network.eval()
        count, total_loss, total_right = len(self._validation.patches), 0.0, 0.0
        for x_BCHW, label_BK in batches(self._validation.patches, self._validation.label_NK, self._config.batch_size, self._scaling):
            logits_BK = self._network(x_BCHW).logits_BK
            total_loss += presence_loss(logits_BK, label_BK).item() * len(x_BCHW)
            total_right += _right(logits_BK, label_BK)
        return self._finite(total_loss, "validation") / count, total_right / self._validation.label_NK.size

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


def _right(logits_BK: Tensor, label_BK: Tensor) -> float:
    return ((logits_BK > 0) == (label_BK > 0)).sum().item()


def _figures(row: history.Row) -> str:
    return f"loss {row.validation_loss:.4f}, accuracy {row.validation_accuracy:.4f} (majority guess {row.validation_majority_accuracy:.4f})"
