"""What a network is to the rest of the house.

Axis suffixes used in all of `model`: B batch, C band, H/W rows and columns of the input, F feature, h/w rows and
columns of the last maps, K class.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn


class Output(NamedTuple):
    """Image-level logits and the feature maps that were pooled into them."""

    logits_BK: Tensor
    maps_BFhw: Tensor


class Network(nn.Module):
    """Feature maps, global average pooling, one dense layer: logit = dense(mean over h, w of the maps).

    Attributes:
        dense: its weights (K, F) are the weights of the class activation maps.
        stride: input pixels per map cell; cell i covers input pixels [i * stride, (i + 1) * stride).
    """

    dense: nn.Linear
    stride: int

    def maps(self, x_BCHW: Tensor) -> Tensor:
        """The last feature maps (B, F, h, w) of standardised input."""
        raise NotImplementedError

    def forward(self, x_BCHW: Tensor) -> Output:
        """Logits (B, K) and maps (B, F, h, w)."""
        maps_BFhw = self.maps(x_BCHW)
        return Output(self.dense(maps_BFhw.mean(dim=(2, 3))), maps_BFhw)
