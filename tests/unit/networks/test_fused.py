"""Batch norm inside the convolution before it: the same function, or the network itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cropcam.model.networks import NETWORKS, Network, build
from cropcam.model.networks.fcn_time import FCNTime
from cropcam.model.networks.fused import fused

BANDS, CLASSES, SIZE_PX = 4, 3, 14


def trained(network: Network) -> Network:
    """Batch norms as after a training: no statistic and no gain is that of the start."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low, high in ((module.running_var, 0.2, 3.0), (module.weight, 0.3, 2.0)):
                values.data.uniform_(low, high)
            for values in (module.running_mean, module.bias):
                values.data.uniform_(-1, 1)
    return network.eval()


def batch_norms(network: Network) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def same_maps(one: Network, other: Network) -> None:
    x_BCHW = torch.randn(2, BANDS, SIZE_PX + 6, SIZE_PX + 4, dtype=torch.float64)
    with torch.inference_mode():
        expected, found = one.double().maps(x_BCHW), other.double().maps(x_BCHW)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6 * float(expected.abs().max()))


@pytest.mark.parametrize("name", NETWORKS)
def test_built_in_networks_are_the_same_function(name: str) -> None:
    network = trained(build(name, BANDS, CLASSES))
    again = fused(network, BANDS, SIZE_PX)
    assert {tensor.dtype for tensor in again.state_dict().values() if tensor.is_floating_point()} == {torch.float32}
    if name in ("fcn", "unet", "resnet50", "fcn-time"):
        assert batch_norms(network) > 0
        assert batch_norms(again) == 0
    else:
        assert again is network
    same_maps(network, again)


@pytest.mark.parametrize("size", [1.0, 1e-4])  # of the part between convolution and batch norm: a small one counts as well
def test_a_network_with_something_between_convolution_and_batch_norm_stays_as_it_is(size: float) -> None:
    network = trained(FCNTime(BANDS, CLASSES, season_days="122/244"))
    network.place.weight.data.mul_(size)
    assert fused(network, BANDS, SIZE_PX) is network


class Own(Network):
    stride = 1

    def __init__(self, bands: int, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(bands, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU())
        self.dense = nn.Linear(5, classes)


class SinglePrecision(Own):
    def maps(self, x_BCHW: Tensor) -> Tensor:
        return super().maps(x_BCHW) @ torch.eye(x_BCHW.shape[3])


def test_a_network_that_cannot_be_compared_stays_as_it_is() -> None:
    network = trained(SinglePrecision(BANDS, CLASSES))
    assert fused(network, BANDS, SIZE_PX) is network
    same_maps(trained(Own(BANDS, CLASSES)), fused(trained(Own(BANDS, CLASSES)), BANDS, SIZE_PX))


@pytest.mark.parametrize("state", [{"track_running_stats": False}, {"affine": False}])
def test_batch_norms_of_other_kinds(state: dict[str, Any]) -> None:
    network = Own(BANDS, CLASSES)
    network.features[1] = nn.BatchNorm2d(5, **state)
    network = network.eval()
    again = fused(network, BANDS, SIZE_PX)
    assert batch_norms(again) == (0 if "affine" in state else 1)
    same_maps(network, again)


def test_the_network_itself_is_not_changed() -> None:
    network = trained(Own(BANDS, CLASSES))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert fused(network, BANDS, SIZE_PX) is not network
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
