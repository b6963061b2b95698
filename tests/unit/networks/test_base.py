"""The contract of every network: logits, maps, masks, gradients, initialization."""

from __future__ import annotations

import pytest
import torch

from cropcam.model.networks import NETWORKS, FittedNetwork, build
from cropcam.model.networks.cam import activation_maps, pixel_scores
from cropcam.pipeline.errors import ConfigError

TRAINED = [name for name, kind in NETWORKS.items() if not issubclass(kind, FittedNetwork)]  # by gradients
SEVERAL_SEASONS = {"fcn-time": "season_days=122/183/253"}  # there is nothing to weigh in one


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
def test_a_patch_has_the_same_logits_alone_and_in_a_batch(name: str) -> None:
    network = build(name, 3, 4).eval()
    x_BCHW = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([network(x_BCHW[i : i + 1]).logits_BK for i in range(3)])
    torch.testing.assert_close(network(x_BCHW).logits_BK, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", TRAINED)
def test_every_parameter_has_a_gradient(name: str) -> None:
    network = build(name, 3, 4, SEVERAL_SEASONS.get(name, ""))
    network(torch.randn(2, 3, 16, 16)).logits_BK.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("name", TRAINED)
def test_a_new_network_keeps_the_scale_of_the_signal(name: str) -> None:
    """Standardised input gives last maps that neither vanish nor explode."""
    torch.manual_seed(0)
    scale = build(name, 7, 5)(torch.randn(4, 7, 24, 24)).maps_BFhw.std().item()
    assert 0.1 < scale < 10


@pytest.mark.parametrize("name", NETWORKS)
def test_invalid_pixels_have_no_weight_in_the_pooled_maps(name: str) -> None:
    """Cells without a valid pixel count 0, a cell with half of its pixels counts half."""
    network = build(name, 2, 3).eval()
    maps_BFhw = torch.randn(1, network.dense.in_features, 2, 2)
    side = 2 * network.stride
    valid_BHW = torch.zeros(1, side, side, dtype=torch.bool)
    valid_BHW[:, : network.stride, : network.stride] = True
    torch.testing.assert_close(network.pooled(maps_BFhw, valid_BHW), maps_BFhw[:, :, 0, 0])
    valid_BHW[:, network.stride :, network.stride :] = True
    torch.testing.assert_close(network.pooled(maps_BFhw, valid_BHW), (maps_BFhw[:, :, 0, 0] + maps_BFhw[:, :, 1, 1]) / 2)


def test_logits_are_computed_only_where_requested() -> None:
    network = build("fcn", 2, 3).eval()
    x_BCHW = torch.randn(2, 2, 6, 6)
    assert network(x_BCHW, pooled=False).logits_BK.numel() == 0
    torch.testing.assert_close(network(x_BCHW, torch.ones(2, 6, 6, dtype=torch.bool)).logits_BK, network(x_BCHW).logits_BK)


def test_unknown_network_names_the_known() -> None:
    with pytest.raises(ConfigError, match=r"no network 'vgg'; known: baseline, resnet50, unet, fcn"):
        build("vgg", 7, 5)


def test_frozen_parts_have_no_gradient_and_stay_in_evaluation_mode() -> None:
    network = build("fcn", 2, 3)
    network.freeze("features.0", "features.1.0")
    network.train()
    assert [name for name, module in network.named_modules() if not module.training] == [
        "features.0",
        "features.0.0",
        "features.0.1",
        "features.0.2",
        "features.1.0",
    ]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(torch.randn(4, 2, 6, 6)).logits_BK.square().sum().backward()
    grown = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert not [name for name in grown if name.startswith(("features.0.", "features.1.0."))]
    assert {"features.1.1.weight", "features.2.0.weight", "dense.weight"} <= grown
    changed = [name for name, value in network.state_dict().items() if not torch.equal(value, before[name])]
    assert changed
    assert not [name for name in changed if name.startswith("features.0.")], "running statistics of frozen batch norm"
    assert not network.eval().training


def test_a_prefix_ends_at_a_name() -> None:
    with pytest.raises(
        ConfigError, match=r"^--freeze feat: no parameter of the network has a name that begins so; its parts are features, dense$"
    ):
        build("fcn", 2, 3).freeze("feat")


def test_something_is_left_to_train() -> None:
    with pytest.raises(ConfigError, match=r"^--freeze features,dense: no parameter is left to train; freeze fewer parts$"):
        build("fcn", 2, 3).freeze("features", "dense")
