"""Networks: image-level logits, and the feature maps and weights that activation maps need."""

from __future__ import annotations

from cropcam.model.networks.base import FittedNetwork, Network, NetworkOutput
from cropcam.model.networks.registry import NETWORKS, build, network_class
from cropcam.model.networks.stem import BandStem

__all__ = ["NETWORKS", "BandStem", "FittedNetwork", "Network", "NetworkOutput", "build", "network_class"]
