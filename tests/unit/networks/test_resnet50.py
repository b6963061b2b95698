"""ResNet-50: published parameters, maps of the poster."""

from __future__ import annotations

import pytest
import torch

from cropcam.model.networks import Network, build


def bottlenecks() -> int:
    """Weights of 1 x 1, 3 x 3 and 1 x 1 convolutions without bias, two per filter for batch norm; each stage's first has a shortcut to learn."""
    total, inputs = 0, 64
    for blocks, width in ((3, 64), (4, 128), (6, 256), (3, 512)):
        first = inputs * width + 9 * width * width + width * 4 * width + inputs * 4 * width + 2 * (2 * width + 2 * 4 * width)
        other = 4 * width * width + 9 * width * width + width * 4 * width + 2 * (2 * width + 4 * width)
        total, inputs = total + first + (blocks - 1) * other, 4 * width
    return total


def count(network: Network) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_resnet50_has_the_published_parameters() -> None:
    """23,508,032 before the dense layer, 25,557,032 with 1000 classes (He et al.; the same in torchvision and Keras without biases)."""
    assert count(build("resnet50", 3, 1000)) == 25_557_032
    assert count(build("resnet50", 3, 1)) - 2049 == 23_508_032 == 49 * 3 * 64 + 2 * 64 + bottlenecks()
    assert count(build("resnet50", 7, 5)) == 23_508_032 + 49 * 4 * 64 + (2048 + 1) * 5


@pytest.mark.parametrize(("pixels", "cells"), [(50, 12), (48, 11), (33, 8), (5, 1), (1, 1)])
def test_resnet50_gives_the_posters_maps(pixels: int, cells: int) -> None:
    network = build("resnet50", 2, 3).eval()
    maps_BFhw = network(torch.zeros(1, 2, pixels, pixels)).maps_BFhw
    assert maps_BFhw.shape == (1, 2048, cells, cells)
