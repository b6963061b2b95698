"""The training loop: epochs over one split, each judged on another and written down.

Axis suffixes: N patch, B batch, C band, H/W rows and columns, K class.
"""

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
from cropcam.model.data.normalization import Scaling
from cropcam.model.data.sampler import Plan, plan_epoch, plan_in_order
from cropcam.model.losses.objectives import ModelOutputs, Targets
from cropcam.model.losses.weighting import Weighing, class_weights
from cropcam.model.networks import Network, NetworkOutput, build
from cropcam.model.runs import history
from cropcam.model.runs.checkpoint import RunConfig
from cropcam.model.runs.checkpointer import Checkpointer, RunningTotals, TrainingProgress
from cropcam.model.runtime.distributed import SINGLE_PROCESS, Ranks, Term, wrap_ddp
from cropcam.model.strategies.ema import Average
from cropcam.model.strategies.pseudo_labels import BEGIN, OwnLabels
from cropcam.model.training.label_accuracy import agreement, constant_agreement, in_words
from cropcam.model.training.optimizers import lr_factor, make_optimiser, set_lr
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.progress import Progress

PENDING = 16  # steps on a GPU whose losses are looked at together: looking waits for it


class Trainer:
    """A network in training: its state in memory and, epoch by epoch, in the run folder."""

    def __init__(
        self,
        config: RunConfig,
        run: Path,
        train_split: Patches,
        validation: Patches,
        device: torch.device,
        ranks: Ranks = SINGLE_PROCESS,
    ) -> None:
        self._config, self._device, self._ranks = config, device, ranks
        self._train, self._validation = train_split, validation
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            network: Network = build(config.model, len(config.bands), len(config.classes)).to(device)
        if config.channels_last:
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._average = Average(network) if config.self_labels else None
        if config.compile or config.cuda_graphs:  # the maps alone: what follows asks the data, which no compiled graph can
            maps: Any = torch.compile(network.maps, mode="reduce-overhead" if config.cuda_graphs else None)
            network.maps = maps  # type: ignore[method-assign]
        self._network, self._forward = wrap_ddp(network, ranks, device)
        self._optimiser = make_optimiser(config.optimizer, self._network, config.lr, config.weight_decay)
        self._scaling = Scaling.of(config, device)
        self._steps = math.ceil(len(train_split) / config.batch_size)
        self._objective = config.objective
        weight_2K = class_weights(config.class_weights, self._train.labels, len(config.classes))
        self._weigh = Weighing(
            config.labels, config.label_smoothing, None if weight_2K is None else torch.from_numpy(weight_2K).to(self._device)
        )
        self._begin = math.ceil(BEGIN * config.epochs) if config.self_labels else 0
        ubiquitous_K = None if config.objective.is_softmax else train_split.labels.ubiquitous_classes()
        self._own = OwnLabels(
            kind=config.labels,
            min_share=config.presence_min_share,
            rest_K=None if ubiquitous_K is None else torch.from_numpy(ubiquitous_K).to(device),
            prior_K=torch.tensor(config.class_prior, device=device) if config.matches_prior else None,
        )
        self._majority_accuracy = constant_agreement(validation.labels)
        self._checkpointer = Checkpointer(
            run, config, self._network, self._optimiser, self._average.network if self._average else None, writes=ranks.is_main
        )
        self._done = TrainingProgress()

    @property
    def epoch(self) -> int:
        """Complete epochs so far."""
        return len(self._done.rows)

    @property
    def newest(self) -> history.Row:
        """The last complete epoch."""
        return self._done.rows[-1]

    @property
    def stopped_early(self) -> bool:
        """Whether `patience` epochs brought nothing better than the best before them."""
        rows, patience = self._done.rows[self._begin :], self._config.patience  # before, nothing was learned from own labels
        return bool(patience and rows and self.epoch - history.best_epoch(rows) >= patience)

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train."""
        return self.epoch >= self._config.epochs or self.stopped_early

    def restore(self) -> None:
        """Go on where the run folder stands.

        Raises:
            DataError: what is saved is damaged or does not belong together.
        """
        self._done = self._checkpointer.restore()
        if not self._ranks.is_main:
            self._done.sums = RunningTotals()  # they are the leading one's

    def run_epoch(self, progress: Progress, stop: Callable[[], bool] = lambda: False) -> bool:
        """One pass over the training split, one over validation, then history, last and best.

        Returns False when it was told to stop: then the middle of the epoch is saved.

        Raises:
            DataError: a loss is not finite; names epoch and batch.
        """
        started = time.perf_counter()
        before = self._done.batches
        waited_s = self._learn(progress, stop)
        trained_s = time.perf_counter() - started
        learned = RunningTotals(*self._ranks.sums(self._done.sums.values(), self._device))
        if waited_s is None:
            self._checkpointer.save_middle(replace(self._done, sums=learned))
            self._ranks.barrier()
            return False
        judged = self._validate()
        row = history.Row(
            epoch=self.epoch + 1,
            train_loss=learned.loss,
            train_accuracy=learned.accuracy,
            validation_loss=self._finite(judged.loss, "validation"),
            validation_accuracy=judged.accuracy,
            validation_majority_accuracy=self._majority_accuracy,
            seconds=round(time.perf_counter() - started, 3),
            patches_per_second=round(max(len(self._train) - before * self._config.batch_size, 0) / trained_s, 4),
            data_wait_share=round(waited_s / trained_s, 4),
        )
        self._done = TrainingProgress([*self._done.rows, row])
        self._checkpointer.save_epoch(self._done)
        self._ranks.barrier()
        progress(
            self.epoch * self._steps, self._config.epochs * self._steps, f"{self._note()}, validation {_figures(row, self._config.labels)}"
        )
        return True

    def summary(self) -> str:
        """One line: which epoch is kept, and how good it was, beside the best constant answer."""
        if not self._done.rows:
            return "no epoch is complete yet"
        row = self._done.rows[self._checkpointer.kept(self._done.rows) - 1]
        early = f"; stopped early: {self._config.patience} epochs without a better one" if self.stopped_early else ""
        return f"{'last' if self._config.keep_last_epoch else 'best'} of {self.epoch} epochs: {row.epoch}, validation {_figures(row, self._config.labels)}{early}"

    def _learn(self, progress: Progress, stop: Callable[[], bool]) -> float | None:
        """Seconds waited for data; None when told to stop before the end."""
        self._network.train()
        plan, waited_s, first, started = self._plan(), 0.0, self._done.batches, time.perf_counter()
        feed = self._batches(self._train, plan, first)
        pending: list[tuple[int, Tensor, float, Tensor]] = []
        for step in range(first, self._steps):
            asked = time.perf_counter()
            x_BCHW, targets = next(feed)
            waited_s += time.perf_counter() - asked
            stopping = self._step(step, x_BCHW, targets, pending, stop)
            if stopping or len(pending) == (1 if self._device.type == "cpu" else PENDING) or step + 1 == self._steps:
                loss = self._count(pending)
                note = f"{self._note()}, loss {loss:.3f}, waiting for data {waited_s / (time.perf_counter() - started):.0%}"
                progress(self.epoch * self._steps + step + 1, self._config.epochs * self._steps, note)
            self._done.batches = step + 1
            if stopping:
                return None
        return waited_s

    def _step(
        self, step: int, x_BCHW: Tensor, targets: Targets, pending: list[tuple[int, Tensor, float, Tensor]], stop: Callable[[], bool]
    ) -> bool:
        config, done = self._config, self.epoch * self._steps + step
        factor = lr_factor(config.schedule, done, config.epochs * self._steps, round(config.warmup_epochs * self._steps))
        set_lr(self._optimiser, config.lr * factor)
        terms, batch = self._terms(x_BCHW, targets, done)
        loss, stopping = self._ranks.reduce_loss(terms, stop(), self._device)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if config.clip_norm:
            nn.utils.clip_grad_norm_(self._network.parameters(), config.clip_norm)
        self._optimiser.step()
        if self._average:
            self._average.follow(self._network, done)
        patches = min(config.batch_size, len(self._train) - step * config.batch_size)
        pending.append((step, loss.detach(), patches / self._ranks.count, self._agreement(batch, targets)))
        return stopping

    def _count(self, pending: list[tuple[int, Tensor, float, Tensor]]) -> float:
        loss = 0.0
        for step, loss_, patches, agreed in pending:
            loss, (right, answers) = self._finite(loss_.item(), f"batch {step + 1}"), agreed.tolist()
            self._done.sums.add(loss, patches, right, answers)
        pending.clear()
        return loss

    @torch.inference_mode()
    def _validate(self) -> RunningTotals:
        """Loss and accuracy over the validation split."""
        self._network.eval()
        sums, size, count = RunningTotals(), self._config.batch_size, len(self._validation)
        order = self._validation.streamed.order(None) if self._validation.streamed else None
        plan = plan_in_order(count, self._validation.labels.bag_N, order)
        for step, (x_BCHW, targets) in enumerate(self._batches(self._validation, plan)):
            terms, batch = self._terms(x_BCHW, targets)
            loss, _ = self._ranks.reduce_loss(terms, False, self._device)
            sums.add(loss.item(), min(size, count - step * size) / self._ranks.count, *self._agreement(batch, targets).tolist())
        return RunningTotals(*self._ranks.sums(sums.values(), self._device))

    def _batches(self, patches: Patches, plan: Plan, start: int = 0) -> Iterator[tuple[Tensor, Targets]]:
        return batches(patches, self._config.batch_size, self._scaling, plan, ranks=self._ranks, start=start)

    def _plan(self) -> Plan:
        split, seed = self._train, self._config.seed
        order = split.streamed.order(seed, self.epoch) if split.streamed else None
        return plan_epoch(len(split), seed, self.epoch, split.labels.bag_N, quarter_turns=self._config.quarter_turns, order=order)

    def _terms(self, x_BCHW: Tensor, targets: Targets, step: int | None = None) -> tuple[list[Term], ModelOutputs]:
        """The terms of the loss and the network's outputs; `step` counts the steps of the run in training and is None in validation.

        Validation counts pseudo-labels from the first epoch on, so that epochs can be compared.
        """
        config = self._config
        if config.channels_last:
            x_BCHW = x_BCHW.contiguous(memory_format=torch.channels_last)
        valid_BHW = None if targets.whole else targets.valid_BHW
        with torch.autocast(self._device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            output: Any = (self._network if step is None else self._forward)(x_BCHW, valid_BHW, pooled=self._objective.uses_image_logits)
            batch = ModelOutputs(self._network, NetworkOutput(output.logits_BK.float(), output.maps_BFhw), targets.valid_BHW)
            average = self._average if step is None or self.epoch >= self._begin else None
            if not len(x_BCHW):
                nothing: Term = (0 * (batch.output.logits_BK.sum() + batch.logits_BKHW.sum()), lambda: torch.zeros(()))
                return [nothing] * (2 if average else 1), batch
            targets = self._weigh(targets)
            terms: list[Term] = [(self._objective.loss(batch, targets, config.presence_min_share), targets.label_count)]
            said_BKHW = average.scores(x_BCHW, step or 0) if average else None
            if said_BKHW is not None:
                own, pixels = self._own.loss(batch, said_BKHW, targets)
                terms.append((config.self_labels * own, lambda: pixels))
            return terms, batch

    @torch.no_grad()
    def _agreement(self, batch: ModelOutputs, targets: Targets) -> Tensor:
        if not len(targets.valid_BHW):
            return torch.zeros(2, dtype=torch.float64)
        return agreement(self._objective, batch, targets, self._config.labels, self._config.presence_min_share)

    def _finite(self, loss: float, where: str) -> float:
        if math.isfinite(loss):
            return loss
        raise DataError(f"epoch {self.epoch + 1}, {where}: the loss is {loss}; a smaller --lr may help. The last complete epoch is kept")

    def _note(self) -> str:
        return f"epoch {min(self.epoch + 1, self._config.epochs)}/{self._config.epochs}"


def _figures(row: history.Row, kind: str) -> str:
    name, guess = in_words(kind)
    return f"loss {row.validation_loss:.4f}, {name} {row.validation_accuracy:.4f} ({guess} {row.validation_majority_accuracy:.4f})"
