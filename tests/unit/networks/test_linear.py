"""The linear classifier of pixels: a convolution with the dense layer's weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from cropcam.model.networks import build
from cropcam.model.networks.cam import pixel_scores


@pytest.mark.parametrize("size", [1, 3])
def test_its_logits_are_a_convolution(size: int) -> None:
    network = build("linear", 4, 3, f"neighbourhood={size}").eval()
    assert network.context_px == size // 2
    torch.nn.init.normal_(network.dense.weight)
    x_BCHW = torch.randn(2, 4, 9, 8)
    with torch.no_grad():
        expected = F.conv2d(x_BCHW, network.dense.weight.view(3, 4, size, size), padding=size // 2)
    torch.testing.assert_close(pixel_scores(network, x_BCHW)[1], expected, atol=1e-5, rtol=1e-5)


def test_it_has_one_weight_per_band_and_class() -> None:
    assert sum(parameter.numel() for parameter in build("linear", 7, 5).parameters()) == 40
