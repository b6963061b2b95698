"""Networks: image-level logits, and the feature maps and weights that activation maps need."""

from __future__ import annotations

from collections.abc import Callable

from cropcam.model.networks.base import Network, NetworkOutput
from cropcam.model.networks.baseline import Baseline
from cropcam.model.networks.fcn import FCN
from cropcam.model.networks.resnet50 import ResNet50
from cropcam.model.networks.unet import UNet
from cropcam.pipeline.errors import ConfigError

__all__ = ["LONE_SIZE_PX", "NETWORKS", "Network", "NetworkOutput", "build"]
NETWORKS: dict[str, Callable[[int, int], Network]] = {"baseline": Baseline, "resnet50": ResNet50, "unet": UNet, "fcn": FCN}
LONE_SIZE_PX = {"resnet50": 9, "unet": 9}  # a smaller patch becomes one cell inside: batch norm cannot train on one value


def build(name: str, bands: int, classes: int) -> Network:
    """A new network by name.

    Raises:
        ConfigError: no such network.
    """
    if name not in NETWORKS:
        raise ConfigError(f"no network {name!r}; known: {', '.join(NETWORKS)}")
    return NETWORKS[name](bands, classes)
