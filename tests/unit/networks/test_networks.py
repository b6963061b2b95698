"""Networks: shapes, parameter counts by hand, the identity that makes activation maps exact."""

from __future__ import annotations

import itertools

import pytest
import torch

from cropcam.model.networks import NETWORKS, Network, build
from cropcam.model.networks.cam import activation_maps, pixel_scores
from cropcam.pipeline.errors import ConfigError


def baseline_parameters(bands: int, classes: int) -> int:
    """3 x 3 weights and a bias per filter, then a weight per feature and class and a bias per class."""
    filters = (bands, 32, 64, 128, 256)
    return sum((9 * inputs + 1) * outputs for inputs, outputs in itertools.pairwise(filters)) + (256 + 1) * classes


def bottlenecks() -> int:
    """Weights of 1 x 1, 3 x 3 and 1 x 1 convolutions without bias, two per filter for batch norm; each stage's first has a shortcut to learn."""
    total, inputs = 0, 64
    for blocks, width in ((3, 64), (4, 128), (6, 256), (3, 512)):
        first = inputs * width + 9 * width * width + width * 4 * width + inputs * 4 * width + 2 * (2 * width + 2 * 4 * width)
        other = 4 * width * width + 9 * width * width + width * 4 * width + 2 * (2 * width + 4 * width)
        total, inputs = total + first + (blocks - 1) * other, 4 * width
    return total


def unet_parameters(bands: int, classes: int) -> int:
    def level(inputs: int, outputs: int) -> int:
        return 9 * inputs * outputs + 9 * outputs * outputs + 4 * outputs

    down = level(bands, 32) + level(32, 64) + level(64, 128) + level(128, 256)
    up = sum((4 * 2 * n + 1) * n + level(2 * n, n) for n in (128, 64, 32))
    return down + up + (32 + 1) * classes


def count(network: Network) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_baseline_has_the_stated_parameters() -> None:
    assert count(build("baseline", 7, 5)) == baseline_parameters(7, 5) == 390_853
    assert count(build("baseline", 21, 2)) == baseline_parameters(21, 2)


def test_resnet50_has_the_published_parameters() -> None:
    """23,508,032 before the dense layer, 25,557,032 with 1000 classes (He et al.; the same in torchvision and Keras without biases)."""
    assert count(build("resnet50", 3, 1000)) == 25_557_032
    assert count(build("resnet50", 3, 1)) - 2049 == 23_508_032 == 49 * 3 * 64 + 2 * 64 + bottlenecks()
    assert count(build("resnet50", 7, 5)) == 23_508_032 + 49 * 4 * 64 + (2048 + 1) * 5


def test_unet_and_fcn_have_the_parameters_counted_by_hand() -> None:
    assert count(build("unet", 7, 5)) == unet_parameters(7, 5) == 1_928_293
    assert count(build("unet", 21, 2)) == unet_parameters(21, 2)
    assert count(build("fcn", 7, 5)) == 9 * (7 * 32 + 32 * 48 + 48 * 48) + 2 * (32 + 48 + 48) + (48 + 1) * 5 == 37_077


@pytest.mark.parametrize(("pixels", "cells"), [(50, 12), (48, 12), (51, 12), (8, 2), (64, 16)])
def test_baseline_gives_the_posters_maps(pixels: int, cells: int) -> None:
    network = build("baseline", 7, 5)
    output = network(torch.zeros(2, 7, pixels, pixels))
    assert output.logits_BK.shape == (2, 5)
    assert output.maps_BFhw.shape == (2, 256, cells, cells)
    assert cells == pixels // network.stride


@pytest.mark.parametrize(("pixels", "cells"), [(50, 12), (48, 11), (33, 8), (5, 1), (1, 1)])
def test_resnet50_gives_the_posters_maps(pixels: int, cells: int) -> None:
    network = build("resnet50", 2, 3).eval()
    maps_BFhw = network(torch.zeros(1, 2, pixels, pixels)).maps_BFhw
    assert maps_BFhw.shape == (1, 2048, cells, cells)


@pytest.mark.parametrize(("name", "features"), [("unet", 32), ("fcn", 48)])
@pytest.mark.parametrize("shape", [(50, 50), (48, 48), (25, 33), (7, 1)])
def test_full_resolution_is_kept_at_any_size(name: str, features: int, shape: tuple[int, int]) -> None:
    assert build(name, 3, 2).eval()(torch.zeros(1, 3, *shape)).maps_BFhw.shape == (1, features, *shape)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_mean_of_an_activation_map_and_the_bias_are_the_logit(name: str) -> None:
    torch.manual_seed(1)
    network = build(name, 3, 4).eval()
    torch.nn.init.normal_(network.dense.bias)
    x_BCHW = torch.randn(2, 3, 17, 12)
    logits_BK, maps_BFhw = network(x_BCHW)
    cams_BKhw = activation_maps(maps_BFhw, network.dense.weight)
    torch.testing.assert_close(cams_BKhw.mean(dim=(2, 3)) + network.dense.bias, logits_BK)
    assert pixel_scores(network, x_BCHW)[1].shape == (2, 4, 17, 12)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_patch_answers_alone_or_in_a_batch(name: str) -> None:
    network = build(name, 3, 4).eval()
    x_BCHW = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([network(x_BCHW[i : i + 1]).logits_BK for i in range(3)])
    torch.testing.assert_close(network(x_BCHW).logits_BK, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_learns(name: str) -> None:
    network = build(name, 3, 4)
    network(torch.randn(2, 3, 16, 16)).logits_BK.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_fresh_network_keeps_the_signals_size(name: str) -> None:
    """Initialisation: standardised input gives last maps that neither vanish nor explode."""
    torch.manual_seed(0)
    spread = build(name, 7, 5)(torch.randn(4, 7, 24, 24)).maps_BFhw.std().item()
    assert 0.1 < spread < 10


def test_unknown_network_names_the_known() -> None:
    with pytest.raises(ConfigError, match=r"no network 'vgg'; known: baseline, resnet50, unet, fcn"):
        build("vgg", 7, 5)
    assert "baseline" in NETWORKS
