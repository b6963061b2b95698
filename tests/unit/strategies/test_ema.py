"""The running mean of a network's weights."""

from __future__ import annotations

import pytest
import torch

from cropcam.model.losses.objectives import ModelOutputs
from cropcam.model.networks import Network, build
from cropcam.model.strategies.ema import DECAY, Average


def changed(network: Network, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
            else:
                value.add_(1)


def test_follows_as_written_down() -> None:
    network = build("fcn", 2, 3)
    average, mean = Average(network), {name: value.double().clone() for name, value in network.state_dict().items()}
    for step in (0, 1, 2, 5000):
        changed(network, step)
        average.follow(network, step)
        keep = min(DECAY, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            mean[name] = keep * mean[name] + (1 - keep) * value.double() if value.is_floating_point() else value.double()
    for name, value in average.network.state_dict().items():
        torch.testing.assert_close(value.double(), mean[name], rtol=1e-5, atol=1e-6, msg=name)


def test_the_beginning_is_soon_forgotten() -> None:
    network = build("fcn", 2, 3)
    average = Average(network)
    changed(network, 1)
    for step in range(60):
        average.follow(network, step)
    far = torch.cat([(a - b).abs().ravel() for a, b in zip(average.network.parameters(), network.parameters(), strict=True)])
    assert far.max() < 1e-3


def test_it_is_never_trained() -> None:
    network = build("fcn", 2, 3)
    average = Average(network)
    assert not any(weight.requires_grad for weight in average.network.parameters())
    assert all(weight.requires_grad for weight in network.parameters())
    assert not average.network.training
    assert not average.scores(torch.randn(2, 2, 9, 9), 0).requires_grad


@pytest.mark.parametrize("model", ["fcn", "unet", "baseline"])
def test_its_scores_are_found_on_flipped_patches(model: str) -> None:
    network = build(model, 2, 3).eval()
    average, x, valid = Average(network), torch.randn(2, 2, 16, 20), torch.ones(2, 16, 20, dtype=torch.bool)
    with torch.no_grad():
        plain = ModelOutputs(network, network(x), valid).logits_BKHW
        found = [average.scores(x, step) for step in range(4)]
        by_rows = ModelOutputs(network, network(x.flip(2)), valid).logits_BKHW.flip(2)
    torch.testing.assert_close(found[0], by_rows)
    torch.testing.assert_close(found[3], found[0])
    assert all(one.shape == plain.shape and not torch.allclose(one, plain) for one in found)
    assert not torch.allclose(found[0], found[1])
    assert not torch.allclose(found[1], found[2])
