"""A training loop in a page of plain torch: schedule, clipping, batch norm, mean teacher, early stopping. It shares no code with the trainer.

A network is anything with `features` and `dense`; its logits are the dense layer of the mean over the feature maps (presence) with image data, and its
pixels' logits the dense layer of each pixel's features.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Batch = tuple[Tensor, Tensor, Tensor]  # standardised patches (B, C, H, W), valid pixels (B, H, W), presence labels (B, K)


@dataclass
class Trained:
    """What a run leaves."""

    network: nn.Module
    teacher: nn.Module
    rates: list[float] = field(default_factory=list)  # learning rate of each step
    norms: list[float] = field(default_factory=list)  # of the gradients before clipping, of each step
    train_losses: list[float] = field(default_factory=list)  # of each epoch
    validation_losses: list[float] = field(default_factory=list)


def train(
    network: nn.Module,
    epochs: Iterable[Sequence[Batch]],
    validation: Sequence[Batch],
    *,
    lr: float,
    planned_epochs: int,
    warmup_epochs: float = 0.0,
    schedule: str = "constant",
    clip: float = 0.0,
    teacher_weight: float = 0.0,
    patience: int = 0,
) -> Trained:
    """Stochastic gradient descent with Nesterov momentum 0.9 over the batches of each epoch, in their order, by hand."""
    run, speed = (
        Trained(network, copy.deepcopy(network).eval()),
        {name: torch.zeros_like(value) for name, value in network.named_parameters()},
    )
    start, step = math.ceil(0.3 * planned_epochs) if teacher_weight else 0, 0
    for epoch, batches in enumerate(epochs):
        network.train()
        total, patches = 0.0, 0
        for x, valid, label in batches:
            run.rates.append(lr * _factor(schedule, step, planned_epochs * len(batches), round(warmup_epochs * len(batches))))
            network.zero_grad()
            loss = _loss(run, x, valid, label, teacher_weight if epoch >= start else 0.0, step)
            loss.backward()  # type: ignore[no-untyped-call]
            run.norms.append(math.sqrt(sum(float(_gradient(value).square().sum()) for value in network.parameters())))
            shrink = clip / run.norms[-1] if clip and run.norms[-1] > clip else 1.0
            with torch.no_grad():
                for name, value in network.named_parameters():
                    gradient = shrink * _gradient(value)
                    speed[name] = gradient.clone() if step == 0 else 0.9 * speed[name] + gradient
                    value.sub_(run.rates[-1] * (gradient + 0.9 * speed[name]))
            _average(run, step)
            total, patches, step = total + loss.item() * len(x), patches + len(x), step + 1
        run.train_losses.append(total / patches)
        network.eval()
        with torch.no_grad():
            sums = [(_loss(run, *batch, teacher_weight, None).item() * len(batch[0]), len(batch[0])) for batch in validation]
        run.validation_losses.append(sum(loss for loss, _ in sums) / sum(count for _, count in sums))
        counted = run.validation_losses[start:]
        if patience and counted and len(counted) - 1 - int(np.argmin(counted)) >= patience:
            break
    return run


def _factor(schedule: str, step: int, steps: int, warmup: int) -> float:
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / (steps - warmup)
    return {"constant": 1.0, "cosine": (1 + math.cos(math.pi * done)) / 2, "step": 1.0 if done < 0.5 else 0.1 if done < 0.75 else 0.01}[
        schedule
    ]


def _loss(run: Trained, x: Tensor, valid: Tensor, label: Tensor, teacher_weight: float, step: int | None) -> Tensor:
    maps = run.network.features(x)  # type: ignore[operator]
    dense: Any = run.network.dense
    mean = torch.stack([of_patch[:, seen].mean(dim=1) for of_patch, seen in zip(maps, valid, strict=True)])
    probability = torch.sigmoid(dense(mean))
    loss = -(label * probability.log() + (1 - label) * (1 - probability).log()).mean()
    if not teacher_weight:
        return loss
    dims = ((2,), (3,), (2, 3))[(step or 0) % 3]
    with torch.no_grad():
        chosen = _pixel_logits(run.teacher, x.flip(dims)).flip(dims).argmax(dim=1)
    log = _pixel_logits(run.network, x, maps).log_softmax(dim=1)
    return loss - teacher_weight * log.gather(1, chosen[:, None])[:, 0][valid].mean()


def _pixel_logits(network: nn.Module, x: Tensor, maps: Tensor | None = None) -> Tensor:
    dense: Any = network.dense
    features: Any = network.features
    return torch.einsum("kf,bfhw->bkhw", dense.weight, features(x) if maps is None else maps) + dense.bias[:, None, None]


def _average(run: Trained, step: int) -> None:
    keep = min(0.99, (1 + step) / (10 + step))
    for average, value in zip(run.teacher.state_dict().values(), run.network.state_dict().values(), strict=True):
        average.copy_(keep * average + (1 - keep) * value if value.is_floating_point() else value)


def _gradient(value: Tensor) -> Tensor:
    assert value.grad is not None
    return value.grad


def standardised(dn: npt.NDArray[np.uint16], mean: Sequence[float], std: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Landsat Collection 2 numbers (N, C, H, W) as reflectance less mean over deviation, within 6 deviations, 0 for a number of 0; the pixels without a 0."""
    mean_C, std_C = (np.array(values)[:, None, None] for values in (mean, std))
    values = np.clip((dn * 2.75e-5 - 0.2 - mean_C) / std_C, -6, 6)
    return torch.from_numpy(np.where(dn == 0, 0, values).astype(np.float32)), torch.from_numpy((dn != 0).all(axis=1))
