"""Networks: shapes, parameter counts by hand, the identity that makes activation maps exact."""

from __future__ import annotations

import itertools

import pytest
import torch

from model.networks import NETWORKS, Network, build
from pipeline.errors import ConfigError


def baseline_parameters(bands: int, classes: int) -> int:
    """3 x 3 weights and a bias per filter, then a weight per feature and class and a bias per class."""
    filters = (bands, 32, 64, 128, 256)
    return sum((9 * inputs + 1) * outputs for inputs, outputs in itertools.pairwise(filters)) + (256 + 1) * classes


def count(network: Network) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_baseline_has_the_stated_parameters() -> None:
    assert count(build("baseline", 7, 5)) == baseline_parameters(7, 5) == 390_853
    assert count(build("baseline", 21, 2)) == baseline_parameters(21, 2)


@pytest.mark.parametrize(("pixels", "cells"), [(50, 12), (48, 12), (51, 12), (8, 2), (64, 16)])
def test_baseline_gives_the_posters_maps(pixels: int, cells: int) -> None:
    network = build("baseline", 7, 5)
    output = network(torch.zeros(2, 7, pixels, pixels))
    assert output.logits_BK.shape == (2, 5)
    assert output.maps_BFhw.shape == (2, 256, cells, cells)
    assert cells == pixels // network.stride


def test_a_patch_answers_alone_or_in_a_batch() -> None:
    network = build("baseline", 3, 4).eval()
    x_BCHW = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([network(x_BCHW[i : i + 1]).logits_BK for i in range(5)])
    torch.testing.assert_close(network(x_BCHW).logits_BK, alone)


def test_every_layer_learns() -> None:
    network = build("baseline", 3, 4)
    network(torch.randn(2, 3, 16, 16)).logits_BK.sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_unknown_network_names_the_known() -> None:
    with pytest.raises(ConfigError, match=r"no network 'vgg'; known: baseline"):
        build("vgg", 7, 5)
    assert "baseline" in NETWORKS
