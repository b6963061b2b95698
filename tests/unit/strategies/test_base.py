"""The plain strategy: every hook does nothing."""

from __future__ import annotations

import torch

from cropcam.model.losses.objectives import ModelOutputs, Targets
from cropcam.model.networks import build
from cropcam.model.options import StrategyOptions
from cropcam.model.strategies import make_strategy
from cropcam.model.strategies.base import Strategy
from cropcam.model.strategies.mean_teacher import MeanTeacher


def test_the_plain_strategy_adds_nothing_and_keeps_nothing() -> None:
    network, strategy = build("fcn", 2, 3), Strategy()
    x, valid = torch.randn(1, 2, 8, 8), torch.ones(1, 8, 8, dtype=torch.bool)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert list(strategy.loss_terms(x, ModelOutputs(network, network(x), valid), Targets(valid), 0)) == []
    strategy.after_step(network, 0)
    strategy.load_state_dict({})
    assert (strategy.state_dict(), strategy.state_shapes(), strategy.keep_last_epoch, strategy.first_epoch) == ({}, {}, False, 0)
    assert all(
        torch.equal(value, before[name])
        for name, value in network.state_dict().items()
        if "num_batches" not in name and "running" not in name
    )


def test_the_settings_choose_the_strategy() -> None:
    network = build("fcn", 2, 3)
    plain, teacher = (
        make_strategy(StrategyOptions(pseudo_label_weight=weight), network, epochs=4, steps_per_epoch=2) for weight in (0.0, 1.0)
    )
    assert type(plain) is Strategy
    assert isinstance(teacher, MeanTeacher)
