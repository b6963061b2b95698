"""Class activation maps.

Source: Zhou et al. 2015, "Learning Deep Features for Discriminative Localization", arXiv 1512.04150, equation 1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cropcam.model.networks.base import Network


def activation_maps(maps_BFhw: Tensor, weight_KF: Tensor) -> Tensor:
    """CAM of each class: sum over features k of w_k^c f_k(x, y), shape (B, K, h, w), without the bias.

    Its mean over h and w plus the dense layer's bias is the class's logit.
    """
    return torch.einsum("bfhw,kf->bkhw", maps_BFhw, weight_KF)


def to_pixels(maps_BKhw: Tensor, stride: int, height: int, width: int) -> Tensor:
    """Maps at full resolution (B, K, height, width); cell i covers pixels [i * stride, (i + 1) * stride).

    Bilinear between cell centres. Pixels beyond the last whole cell (50 px are 12 cells of 4 and 2 px more) have the last
    cell's value: stretching 12 cells over 50 px would shift the map by up to a pixel.
    """
    if stride > 1:
        maps_BKhw = F.interpolate(maps_BKhw, scale_factor=float(stride), mode="bilinear", align_corners=False)
    bottom, right = height - maps_BKhw.shape[2], width - maps_BKhw.shape[3]
    return F.pad(maps_BKhw, (0, right, 0, bottom), mode="replicate") if bottom or right else maps_BKhw


def pixel_maps(network: Network, maps_BFhw: Tensor, height: int, width: int) -> Tensor:
    """Activation maps at full resolution (B, K, height, width), without the bias."""
    return to_pixels(activation_maps(maps_BFhw, network.dense.weight), network.stride, height, width)


def argmax_classes(logits_BKHW: Tensor) -> Tensor:
    """The class of the largest logit (B, H, W), int64, the first of equals. On a CPU `argmax` is several times slower here."""
    return logits_BKHW.max(dim=1).indices


@torch.inference_mode()
def pixel_scores(network: Network, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (B, K) and activation maps at full resolution (B, K, H, W) of standardised patches."""
    output = network(x_BCHW)
    return output.logits_BK, pixel_maps(network, output.maps_BFhw, x_BCHW.shape[2], x_BCHW.shape[3])
