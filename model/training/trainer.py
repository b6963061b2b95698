"""The training loop: epochs over the training split, each validated and written to the run folder."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cropcam.model.data.dataset import Patches, batches
from cropcam.model.data.normalization import Normalization
from cropcam.model.data.sampler import Plan
from cropcam.model.losses.objectives import ModelOutputs, Targets
from cropcam.model.losses.weighting import LossWeighting, class_weights
from cropcam.model.networks import NetworkOutput
from cropcam.model.runs import history
from cropcam.model.runs.checkpointer import Checkpointer, RunningTotals, TrainingProgress
from cropcam.model.runs.config import RunConfig
from cropcam.model.runtime.distributed import SINGLE_PROCESS, Ranks, Term, wrap_ddp
from cropcam.model.strategies import make_strategy
from cropcam.model.training.initial_network import initial_network
from cropcam.model.training.label_accuracy import accuracy_words, constant_accuracy, label_accuracy
from cropcam.model.training.optimizers import make_optimizer, make_schedule
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.progress import Progress, silent

PENDING = 16  # steps on a GPU whose losses are read together: reading waits for the GPU
Pending = list[tuple[int, Tensor, float, Tensor]]  # step, loss, patches, accuracy counts


class Trainer:
    """A network in training, with its state in memory and, per epoch, in the run folder."""

    def __init__(
        self,
        config: RunConfig,
        run: Path,
        train_split: Patches,
        validation: Patches,
        device: torch.device,
        ranks: Ranks = SINGLE_PROCESS,
        log: Callable[[str], None] = silent,
    ) -> None:
        self._config, self._device, self._ranks = config, device, ranks
        self._train, self._validation = train_split, validation
        self._batch_size, self._epochs = config.data.batch_size, config.optimizer.epochs
        self._passes = config.optimizer.passes or 1
        self._count_N = len(train_split) * self._passes  # patches of an epoch
        self._steps = math.ceil(self._count_N / self._batch_size)
        self._objective, classes = config.objective, len(config.store.classes)
        network = initial_network(config, run, log).to(device)
        if config.network.channels_last:
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._strategy = make_strategy(config.strategy, network, epochs=self._epochs, steps_per_epoch=self._steps)
        if config.network.compile:  # the maps alone: what follows depends on the data, which a compiled graph cannot
            maps: Any = torch.compile(network.maps)
            network.maps = maps  # type: ignore[method-assign]
        self._network, self._forward = wrap_ddp(network, ranks, device)
        self._optimizer = make_optimizer(config.optimizer, self._network)
        self._normalization = Normalization.of(config, device)
        weight_2K = class_weights(config.optimizer.class_weights, train_split.labels, classes)
        weights = None if weight_2K is None else torch.from_numpy(weight_2K).to(device)
        self._weighting = LossWeighting(config.labels.kind, config.optimizer.label_smoothing, weights)
        self._majority_accuracy = constant_accuracy(validation.labels, train_split.labels)
        self._checkpointer = Checkpointer(run, config, self._network, self._optimizer, self._strategy, writes=ranks.is_main)
        self._done = TrainingProgress()

    @property
    def epoch(self) -> int:
        """Number of complete epochs."""
        return len(self._done.rows)

    @property
    def newest(self) -> history.Row:
        """The last complete epoch."""
        return self._done.rows[-1]

    @property
    def stopped_early(self) -> bool:
        """Whether the validation loss has not decreased for `patience` epochs, counted from the strategy's first epoch."""
        rows, patience = self._done.rows[self._strategy.first_epoch :], self._config.optimizer.patience
        return bool(patience and rows and self.epoch - history.best_epoch(rows) >= patience)

    @property
    def finished(self) -> bool:
        """Whether training is complete or stopped early."""
        return self.epoch >= self._epochs or self.stopped_early

    def close(self) -> None:
        """Free DistributedDataParallel: if it outlives its process group, torch joins a thread of gloo under the GIL, which can hang."""
        self._forward = self._network

    def restore(self) -> None:
        """Load the state of the run folder.

        Raises:
            DataError: a checkpoint is damaged, or the files are not of one run.
        """
        self._done = self._checkpointer.restore()
        if not self._ranks.is_main:
            self._done.sums = RunningTotals()  # the main process has the sums of all

    def run_epoch(self, progress: Progress, stop: Callable[[], bool] = lambda: False) -> bool:
        """Train and validate one epoch, then write history, last and best. When `stop` is true, save the middle of the epoch: False.

        Raises:
            DataError: a loss is not finite; the message has epoch and batch.
        """
        started, resumed_at = time.perf_counter(), self._done.batches
        waited_s = self._train_epoch(progress, stop)
        trained_s = time.perf_counter() - started
        trained = RunningTotals(*self._ranks.sums(self._done.sums.values(), self._device))
        if waited_s is None:
            self._checkpointer.save_middle(replace(self._done, sums=trained))
            self._ranks.barrier()
            return False
        validated = self._validate()
        row = history.Row(
            epoch=self.epoch + 1,
            train_loss=trained.loss,
            train_accuracy=trained.accuracy,
            validation_loss=self._finite(validated.loss, "validation"),
            validation_accuracy=validated.accuracy,
            validation_majority_accuracy=self._majority_accuracy,
            seconds=round(time.perf_counter() - started, 3),
            patches_per_second=round(max(self._count_N - resumed_at * self._batch_size, 0) / trained_s, 4),
            data_wait_share=round(waited_s / trained_s, 4),
        )
        self._done = TrainingProgress([*self._done.rows, row])
        self._checkpointer.save_epoch(self._done)
        self._ranks.barrier()
        note = f"{self._note()}, validation {_validation_text(row, self._config.labels.kind)}"
        progress(self.epoch * self._steps, self._epochs * self._steps, note)
        return True

    def summary(self) -> str:
        """One line: the selected epoch and its validation metrics, with those of the best constant prediction."""
        if not self._done.rows:
            return "no epoch is complete yet"
        row = self._done.rows[self._checkpointer.selected(self._done.rows) - 1]
        early = f"; stopped early: {self._config.optimizer.patience} epochs without a better one" if self.stopped_early else ""
        which = "last" if self._strategy.keep_last_epoch else "best"
        return f"{which} of {self.epoch} epochs: {row.epoch}, validation {_validation_text(row, self._config.labels.kind)}{early}"

    def caution(self) -> str:
        """A warning where the selected epoch is no better than the best constant prediction; else empty."""
        if not self._done.rows:
            return ""
        row, kind = self._done.rows[self._checkpointer.selected(self._done.rows) - 1], self._config.labels.kind
        if row.validation_accuracy > row.validation_majority_accuracy:
            return ""
        name, baseline = accuracy_words(kind)
        return (
            f"the run is no better than guessing: validation {name} {row.validation_accuracy:.4f}, {baseline} "
            f"{row.validation_majority_accuracy:.4f}; do not map with it: give it more labels, more --epochs or a lower --lr, or begin from a "
            "run of another place with --init RUN"
        )

    def _train_epoch(self, progress: Progress, stop: Callable[[], bool]) -> float | None:
        """Seconds of waiting for data; None when stopped before the end."""
        self._network.train()
        first, waited_s, started = self._done.batches, 0.0, time.perf_counter()
        done = self.epoch * self._steps
        schedule = make_schedule(self._config.optimizer, self._optimizer, self._steps, done + first)
        data = self._config.data
        drawn: dict[str, Any] = {"seasons": self._normalization.seasons, "season_drop": self._network.season_drop}
        plan = self._train.plan_epoch(data.seed, self.epoch, rot90=data.rot90, passes=self._passes, **drawn)
        loader = self._batches(self._train, plan, first)
        pending: Pending = []
        for step in range(first, self._steps):
            requested = time.perf_counter()
            x_BCHW, targets = next(loader)
            waited_s += time.perf_counter() - requested
            stopping = self._train_step(step, x_BCHW, targets, pending, stop())
            schedule.step()
            if stopping or len(pending) == (1 if self._device.type == "cpu" else PENDING) or step + 1 == self._steps:
                loss = self._count(pending)
                note = f"{self._note()}, loss {loss:.3f}, waiting for data {waited_s / (time.perf_counter() - started):.0%}"
                progress(done + step + 1, self._epochs * self._steps, note)
            self._done.batches = step + 1
            if stopping:
                return None
        return waited_s

    def _train_step(self, step: int, x_BCHW: Tensor, targets: Targets, pending: Pending, stop: bool) -> bool:
        done = self.epoch * self._steps + step
        terms, outputs = self._forward_terms(x_BCHW, targets, done)
        loss, stopping = self._ranks.reduce_loss(terms, stop, self._device)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self._config.optimizer.grad_clip_norm:
            nn.utils.clip_grad_norm_(self._network.parameters(), self._config.optimizer.grad_clip_norm)
        self._optimizer.step()
        self._strategy.after_step(self._network, done)
        patches = min(self._batch_size, self._count_N - step * self._batch_size)
        pending.append((step, loss.detach(), patches / self._ranks.count, self._accuracy(outputs, targets)))
        return stopping

    def _count(self, pending: Pending) -> float:
        """Add the pending steps to the sums; the loss of the last."""
        value = 0.0
        for step, loss, patches, counts in pending:
            value = self._finite(loss.item(), f"batch {step + 1}")
            self._done.sums.add(value, patches, *counts.tolist())
        pending.clear()
        return value

    @torch.inference_mode()
    def _validate(self) -> RunningTotals:
        """Loss and accuracy over the validation split."""
        self._network.eval()
        sums, size, count = RunningTotals(), self._batch_size, len(self._validation)
        for step, (x_BCHW, targets) in enumerate(self._batches(self._validation, self._validation.plan_in_order())):
            terms, outputs = self._forward_terms(x_BCHW, targets)
            loss, _ = self._ranks.reduce_loss(terms, False, self._device)
            sums.add(loss.item(), min(size, count - step * size) / self._ranks.count, *self._accuracy(outputs, targets).tolist())
        return RunningTotals(*self._ranks.sums(sums.values(), self._device))

    def _batches(self, patches: Patches, plan: Plan, start: int = 0) -> Iterator[tuple[Tensor, Targets]]:
        return batches(patches, self._batch_size, self._normalization, plan, ranks=self._ranks, start=start)

    def _forward_terms(self, x_BCHW: Tensor, targets: Targets, step: int | None = None) -> tuple[list[Term], ModelOutputs]:
        """The terms of the loss and the network's outputs; `step` is the step of the run in training, None in validation."""
        config = self._config
        if config.network.channels_last:
            x_BCHW = x_BCHW.contiguous(memory_format=torch.channels_last)
        valid_BHW = None if targets.whole else targets.valid_BHW
        with torch.autocast(self._device.type, torch.bfloat16, enabled=config.network.precision == "bf16"):
            output: Any = (self._network if step is None else self._forward)(x_BCHW, valid_BHW, pooled=self._objective.uses_image_logits)
            outputs = ModelOutputs(self._network, NetworkOutput(output.logits_BK.float(), output.maps_BFhw), targets.valid_BHW)
            targets = self._weighting(targets)
            if len(x_BCHW):
                term: Term = (self._objective.loss(outputs, targets, config.labels.presence_min_share), targets.label_count)
            else:  # a rank without a patch of this batch: a loss of 0 with a gradient for every weight
                term = (0 * (outputs.output.logits_BK.sum() + outputs.logits_BKHW.sum()), lambda: torch.zeros(()))
            return [term, *self._strategy.loss_terms(x_BCHW, outputs, targets, step)], outputs

    @torch.no_grad()
    def _accuracy(self, outputs: ModelOutputs, targets: Targets) -> Tensor:
        if not len(targets.valid_BHW):
            return torch.zeros(2, dtype=torch.float64)
        return label_accuracy(self._objective, outputs, targets, self._config.labels.kind, self._config.labels.presence_min_share)

    def _finite(self, loss: float, where: str) -> float:
        if math.isfinite(loss):
            return loss
        raise DataError(f"epoch {self.epoch + 1}, {where}: the loss is {loss}; a smaller --lr may help. The last complete epoch is kept")

    def _note(self) -> str:
        return f"epoch {min(self.epoch + 1, self._epochs)}/{self._epochs}"


def _validation_text(row: history.Row, kind: str) -> str:
    name, baseline = accuracy_words(kind)
    return f"loss {row.validation_loss:.4f}, {name} {row.validation_accuracy:.4f} ({baseline} {row.validation_majority_accuracy:.4f})"
