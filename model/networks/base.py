"""The interface of every network: feature maps, global average pooling, a dense layer.

Axis suffixes used in all of `model`: B batch, C band, H/W rows and columns of the input, F feature, h/w rows and
columns of the last maps, K class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn


class NetworkOutput(NamedTuple):
    """Image-level logits (B, K), empty where not computed, and the feature maps (B, F, h, w)."""

    logits_BK: Tensor
    maps_BFhw: Tensor


class Network(nn.Module, ABC):
    """Feature maps, global average pooling, one dense layer: logit = dense(mean over h, w of the maps).

    Attributes:
        dense: weights (K, F), also those of the class activation maps.
        stride: input pixels per map cell; cell i covers input pixels [i * stride, (i + 1) * stride).
    """

    dense: nn.Linear
    stride: int

    @abstractmethod
    def maps(self, x_BCHW: Tensor) -> Tensor:
        """The last feature maps (B, F, h, w) of standardised input."""

    def forward(self, x_BCHW: Tensor, valid_BHW: Tensor | None = None, *, pooled: bool = True) -> NetworkOutput:
        """Logits (B, K) and maps (B, F, h, w) of standardised input; invalid pixels have no weight in the mean over the maps.

        Without `pooled` the logits are empty: predictions of pixels do not need them.
        """
        maps_BFhw = self.maps(x_BCHW)
        if not pooled:
            return NetworkOutput(maps_BFhw.new_empty(0), maps_BFhw)
        if valid_BHW is None or bool(valid_BHW.all()):
            return NetworkOutput(self.dense(maps_BFhw.mean(dim=(2, 3))), maps_BFhw)
        return NetworkOutput(self.dense(self.pooled(maps_BFhw, valid_BHW)), maps_BFhw)

    def pooled(self, maps_BFhw: Tensor, valid_BHW: Tensor) -> Tensor:
        """Mean over the maps (B, F), each cell weighted by its number of valid pixels."""
        height, width = maps_BFhw.shape[2:]
        weight_B1HW = valid_BHW[:, None, : height * self.stride, : width * self.stride].to(maps_BFhw.dtype)
        weight_B1hw = F.avg_pool2d(weight_B1HW, self.stride) if self.stride > 1 else weight_B1HW
        return (maps_BFhw * weight_B1hw).sum(dim=(2, 3)) / weight_B1hw.sum(dim=(2, 3)).clamp(min=1e-6)
