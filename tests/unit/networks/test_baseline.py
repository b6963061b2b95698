"""The baseline: parameters counted by hand, maps of the poster."""

from __future__ import annotations

import itertools

import pytest
import torch

from cropcam.model.networks import Network, build


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
