"""Optimizers and learning rate schedules."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from cropcam.model.options import OptimizerOptions

_MOMENTUM = 0.9
_DROPS, _DROP = (0.5, 0.75), 0.1  # He et al. 2015 on CIFAR: a tenth at 1/2 and again at 3/4 of the steps


def make_optimizer(options: OptimizerOptions, network: nn.Module) -> torch.optim.Optimizer:
    """AdamW (decoupled weight decay), Adam or SGD with Nesterov momentum 0.9 (both L2 penalty), with fused kernels.

    Parameters that require no gradient are left out.
    """
    parameters = [{"params": [parameter for parameter in network.parameters() if parameter.requires_grad]}]  # a group may be empty
    shared: dict[str, Any] = {"lr": options.lr, "weight_decay": options.weight_decay, "fused": True}
    if options.optimizer == "sgd":
        return torch.optim.SGD(parameters, momentum=_MOMENTUM, nesterov=True, **shared)
    return (torch.optim.Adam if options.optimizer == "adam" else torch.optim.AdamW)(parameters, **shared)


def make_schedule(options: OptimizerOptions, optimizer: torch.optim.Optimizer, steps_per_epoch: int, done: int) -> LambdaLR:
    """The learning rate schedule after `done` optimizer steps. It is a function of the step alone, so checkpoints hold no state of it."""
    steps, warmup = options.epochs * steps_per_epoch, round(options.warmup_epochs * steps_per_epoch)
    for group in optimizer.param_groups:
        group["initial_lr"] = options.lr
    return LambdaLR(optimizer, lambda step: lr_factor(options.schedule, step, steps, warmup), last_epoch=done - 1)


def lr_factor(schedule: str, step: int, steps: int, warmup: int) -> float:
    """Factor of the learning rate in step `step` (from 0) of `steps`, the first `warmup` of them a linear warm-up.

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
