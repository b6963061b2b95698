"""Layers: convolution with batch norm, and He initialization."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cropcam.model.networks.layers import convolution, initialize


@pytest.mark.parametrize(("size", "stride", "side"), [(1, 1, 9), (3, 1, 9), (7, 2, 5)])
def test_a_convolution_is_padded_by_half_its_size(size: int, stride: int, side: int) -> None:
    layer = convolution(4, 6, size, stride=stride)
    assert layer(torch.randn(2, 4, 9, 9)).shape == (2, 6, side, side)
    assert sum(parameter.numel() for parameter in layer.parameters()) == size**2 * 4 * 6 + 2 * 6
    assert [type(module) for module in layer] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert len(convolution(4, 6, size, relu=False)) == 2


def test_weights_have_the_standard_deviation_of_he_and_biases_are_0() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(64, 128, 3)
    initialize(layer)
    assert layer.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    assert layer.bias is not None
    assert not layer.bias.any()
