"""Optimizers and schedules against formulas by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from cropcam.model.options import OptimizerOptions
from cropcam.model.training.optimizers import lr_factor, make_optimizer, make_schedule


@pytest.mark.parametrize(("name", "kind"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)])
def test_the_option_chooses_the_optimizer(name: str, kind: type) -> None:
    optimizer = make_optimizer(OptimizerOptions(optimizer=name, lr=0.2, weight_decay=0.01), nn.Linear(2, 1))
    assert type(optimizer) is kind
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["weight_decay"]) == (0.2, 0.01)


def test_parameters_without_a_gradient_are_left_out() -> None:
    layers = nn.Sequential(nn.Linear(2, 3).requires_grad_(False), nn.Linear(3, 1))
    assert make_optimizer(OptimizerOptions(), layers).param_groups[0]["params"] == list(layers[1].parameters())


def test_sgd_has_nesterov_momentum() -> None:
    """Two steps of constant gradient 1: -lr (1 + 0.9), then -lr (1 + 0.9 x 1.9)."""
    layer = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(layer.weight)
    optimizer = make_optimizer(OptimizerOptions(optimizer="sgd", lr=0.1, weight_decay=0.0), layer)
    for expected in (-0.19, -0.19 - 0.271):
        optimizer.zero_grad()
        layer(torch.ones(1, 1)).sum().backward()
        optimizer.step()
        assert layer.weight.item() == pytest.approx(expected)


def test_cosine_falls_from_1_to_0_after_the_warm_up() -> None:
    factors = [lr_factor("cosine", step, 12, 2) for step in range(12)]
    assert factors[:3] == [0.5, 1.0, 1.0]
    assert factors[7] == pytest.approx(0.5 * (1 + math.cos(math.pi / 2)))
    assert factors[1:] == sorted(factors[1:], reverse=True)


def test_a_resumed_schedule_goes_on_at_its_step() -> None:
    options = OptimizerOptions(lr=0.4, schedule="step", epochs=2)

    def rates(done: int) -> list[float]:
        optimizer = make_optimizer(options, nn.Linear(2, 1))
        schedule = make_schedule(options, optimizer, 4, done)
        values = []
        for _ in range(done, 8):
            values.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return values

    assert rates(0) == pytest.approx([0.4] * 4 + [0.04] * 2 + [0.004] * 2)
    assert rates(5) == pytest.approx(rates(0)[5:])
