"""How the weights move: optimisers and schedules of the step size."""

from __future__ import annotations

import math

import torch
from torch import nn

OPTIMIZERS = ("adamw", "adam", "sgd")
SCHEDULES = ("constant", "cosine", "step")
_MOMENTUM = 0.9
_DROPS, _DROP = (0.5, 0.75), 0.1  # He et al. 2015 on CIFAR: a tenth at half and again at three quarters of the way


def make_optimiser(name: str, network: nn.Module, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW (decoupled decay), Adam or SGD with Nesterov momentum 0.9 (decay as a penalty on the squared weights); fused kernels."""
    parameters = list(network.parameters())
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=lr, weight_decay=weight_decay, momentum=_MOMENTUM, nesterov=True, fused=True)
    if name == "adam":
        return torch.optim.Adam(parameters, lr=lr, weight_decay=weight_decay, fused=True)
    return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=True)


def lr_factor(schedule: str, step: int, steps: int, warmup: int) -> float:
    """What the step size is multiplied with in step `step` (from 0) of `steps`, the first `warmup` of them rising in a line.

    >>> [lr_factor("constant", step, 8, 2) for step in (0, 1, 2, 7)]
    [0.5, 1.0, 1.0, 1.0]
    >>> [lr_factor("step", step, 8, 0) for step in (3, 4, 6)]
    [1.0, 0.1, 0.010000000000000002]
    """
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(steps - warmup, 1)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return _DROP ** sum(done >= drop for drop in _DROPS) if schedule == "step" else 1.0


def set_lr(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """The step size of the next step."""
    for group in optimiser.param_groups:
        group["lr"] = lr
