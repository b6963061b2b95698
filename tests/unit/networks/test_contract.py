"""The trial of a network before its first epoch: one line for each way to miss the contract, and nothing of the network changes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cropcam.model.networks import NETWORKS, Network, NetworkOutput, build
from cropcam.model.networks.contract import check_maps, check_parts, one_line
from cropcam.pipeline.errors import ConfigError

BANDS, CLASSES, SIZE_PX = 3, 4, 12


class Good(Network):
    stride = 2

    def __init__(self, bands: int = BANDS, classes: int = CLASSES) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(bands, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Dropout(0.5), nn.AvgPool2d(2))
        self.dense = nn.Linear(6, classes)


def check(network: Network, size_px: int = SIZE_PX) -> None:
    check_parts(network, "own", CLASSES)
    check_maps(network, "own", bands=BANDS, size_px=size_px)


def refuse(network: Network, message: str, size_px: int = SIZE_PX) -> None:
    with pytest.raises(ConfigError, match=rf"^network own: {message}.* \(docs/networks\.md has the contract\)$") as caught:
        check(network, size_px)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NETWORKS)
def test_built_in_networks_fulfil_the_contract(name: str) -> None:
    check(build(name, BANDS, CLASSES), 14)  # 12 px would be a cell less in the ResNet, whose stem is not padded


def test_the_trial_leaves_network_and_random_state_as_they_were() -> None:
    network = Good().eval()
    before, state = {name: value.clone() for name, value in network.state_dict().items()}, torch.random.get_rng_state()
    check(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not network.training
    assert all(parameter.grad is None for parameter in network.parameters())


def test_frozen_from_the_start_is_allowed() -> None:
    network = Good()
    network.features.requires_grad_(False)
    check(network)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"dense": nn.Linear(6, 5)},
            r"its `dense` is Linear\(in_features=6, out_features=5, bias=True\); it must be nn\.Linear\(features, 4\)",
        ),
        ({"dense": nn.Linear(6, 4, bias=False)}, r"its `dense` is Linear\(.*bias=False\)"),
        ({"dense": nn.Conv2d(6, 4, 1)}, r"its `dense` is Conv2d"),
        ({"stride": 0}, r"its `stride` is 0; it must be a whole number of input pixels per cell"),
        ({"stride": 2.0}, r"its `stride` is 2\.0"),
        ({"stride": (2, 2)}, r"its `stride` is \(2, 2\)"),
        ({"features": nn.LazyConv2d(6, 3)}, r"its state features\.weight is no tensor of known shape"),
    ],
)
def test_parts(parts: dict[str, Any], message: str) -> None:
    network = Good()
    for name, value in parts.items():
        setattr(network, name, value)
    refuse(network, message)


def test_tied_weights_cannot_be_written() -> None:
    network = Good()
    network.other = nn.Linear(6, 4)
    network.other.weight = network.dense.weight
    refuse(network, r"dense\.weight and other\.weight share memory, which a checkpoint cannot hold")


MAPS: dict[str, tuple[Any, str]] = {
    "size": (lambda self, x: self.features(x)[:, :, :-1], r"maps of patches \(2, 3, 12, 12\) in training mode are \(2, 6, 5, 6\) .*, expected \(2, 6, 6, 6\)"),
    "features": (lambda self, x: self.features(x)[:, :5], r"maps .* are \(2, 5, 6, 6\)"),
    "full": (lambda self, x: self.features[0](x), r"maps .* are \(2, 6, 12, 12\)"),
    "pooled": (lambda self, x: self.features(x).mean(dim=(2, 3)), r"maps .* are \(2, 6\)"),
    "one patch": (lambda self, x: self.features(x)[:1], r"maps .* are \(1, 6, 6, 6\)"),
    "whole numbers": (lambda self, x: self.features(x).long(), r"maps .* torch\.int64, expected"),
    "dict": (lambda self, x: {"out": self.features(x)}, r"maps .* are dict, expected"),
    "nan": (lambda self, x: self.features(x) * float("nan"), r"maps of random patches .* hold NaN or infinity"),
    "log": (lambda self, x: self.features(x).log(), r"maps of random patches .* hold NaN or infinity"),
    "detached": (lambda self, x: self.features(x).detach(), r"its maps have no gradient: something detaches them"),
    "numpy": (lambda self, x: torch.from_numpy(self.features(x).detach().numpy()), r"its maps have no gradient"),
    "zero": (lambda self, x: 0 * self.features(x), r"the gradient of its maps is 0 for every parameter"),
    "infinite gradient": (lambda self, x: (0 * self.features(x)).sqrt(), r"its gradients hold NaN or infinity"),
    "raises": (lambda self, x: self.features(x.flatten()), r"patches \(2, 3, 12, 12\) in training mode raised RuntimeError: "),
    "in evaluation": (lambda self, x: self.features(x) if self.training else None, r"maps of patches .* in evaluation mode are NoneType"),
}  # fmt: skip


@pytest.mark.parametrize(("maps", "message"), MAPS.values(), ids=MAPS.keys())
def test_maps(maps: Any, message: str) -> None:
    refuse(type("Other", (Good,), {"maps": maps})(), message)


def test_a_parameter_without_a_gradient_is_named() -> None:
    network = Good()
    network.head = nn.Linear(3, 2)
    refuse(network, r"its parameters head\.weight, head\.bias have no gradient: remove them, or set requires_grad = False")
    network.head.requires_grad_(False)
    check(network)


def test_logits_are_those_of_the_maps() -> None:
    class Other(Good):
        def forward(self, x_BCHW: Tensor, valid_BHW: Tensor | None = None, *, pooled: bool = True) -> NetworkOutput:
            output = super().forward(x_BCHW, valid_BHW, pooled=pooled)
            return output._replace(logits_BK=output.logits_BK + 1)

    refuse(Other(), r"its logits are not dense\(mean of the maps\); leave `forward` and `pooled` as they are")


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (
            {"min_size_px": 32},
            r"it needs patches of at least 32 px; those of the store have 12 px: build a store with another patches\.size_px",
        ),
        ({"size_multiple_px": 8}, r"it needs patches whose side is a multiple of 8 px; those of the store have 12 px"),
        ({"stride": 16}, r"it needs patches of at least its stride, 16 px"),
    ],
)
def test_patch_sizes(limits: dict[str, int], message: str) -> None:
    refuse(type("Other", (Good,), limits)(), message)


class Windowed(Good):
    """Its context and its alignment are declared, and right: one pixel beyond a cell, one cell for the way to its neighbours."""

    context_px, align_px = 4, 2


@pytest.mark.parametrize("limits", [{}, {"context_px": 6}, {"align_px": 4}, {"align_px": 6, "context_px": 5}])
def test_a_right_context_is_taken(limits: dict[str, int]) -> None:
    check(type("Other", (Windowed,), limits)())


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (
            {"context_px": 2},
            r"its maps depend on pixels beyond its `context_px` of 2; correct it, or leave it at None \(with `align_px` 2\)",
        ),
        ({"context_px": 0}, r"its maps depend on pixels beyond its `context_px` of 0"),
        ({"align_px": 1, "context_px": 8}, r"a window that begins `align_px` = 1 px later gives other maps; `align_px` must be a multiple"),
        ({"align_px": 3, "context_px": 8}, r"a window that begins `align_px` = 3 px later gives other maps"),
        ({"align_px": 0}, r"its `align_px` is 0 and its `context_px` 4; they must be whole numbers"),
        ({"context_px": -1}, r"its `align_px` is 2 and its `context_px` -1"),
        ({"context_px": 4.0}, r"its `align_px` is 2 and its `context_px` 4\.0"),
    ],
)
def test_a_wrong_context_or_alignment_is_refused(limits: dict[str, Any], message: str) -> None:
    refuse(type("Other", (Windowed,), limits)(), message)


def test_a_network_that_takes_patches_alone_declares_no_context() -> None:
    def maps(self: Good, x_BCHW: Tensor) -> Tensor:
        if x_BCHW.shape[2] != SIZE_PX:
            raise ValueError("patches of 12 px alone")
        return Good.maps(self, x_BCHW)

    check(type("Other", (Good,), {"maps": maps})())
    refuse(
        type("Other", (Windowed,), {"maps": maps})(),
        r"a window of 14 x 16 px, for its `context_px` of 4, raised ValueError: patches of 12 px alone; leave `context_px` at None",
    )


def test_one_line() -> None:
    assert one_line(ValueError("a\nb")) == "ValueError: a"
    assert one_line(ValueError()) == "ValueError: without a message"
