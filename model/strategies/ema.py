"""The running mean of a network's weights: steadier than the network, so it can label what the network learns from.

Axis suffixes: B batch, C band, H/W rows and columns, K class.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from cropcam.model.networks import Network
from cropcam.model.networks.cam import pixel_maps

DECAY = 0.99  # of the mean, per step: about the last hundred steps
_FLIPS = ((2,), (3,), (2, 3))


class Average:
    """A network whose weights are the running mean of another's.

    Source: Tarvainen, Valpola 2017, "Mean teachers are better role models", arXiv 1703.01780.

    Attributes:
        network: never trained itself; batch norm takes its running figures.
    """

    def __init__(self, network: Network) -> None:
        """As `network` is now; make it before that is compiled or spread over processes."""
        self.network = copy.deepcopy(network).requires_grad_(False).eval()

    @torch.no_grad()
    def follow(self, network: Network, step: int) -> None:
        """Take in the weights after step `step` (from 0) of the run; the first steps count more, lest the beginning stays in the mean."""
        keep = min(DECAY, (1 + step) / (10 + step))
        ours, theirs = self.network.state_dict(), network.state_dict()
        for name, value in ours.items():
            if value.is_floating_point():
                value.lerp_(theirs[name], 1 - keep)
            else:
                value.copy_(theirs[name])

    @torch.no_grad()
    def scores(self, x_BCHW: Tensor, step: int) -> Tensor:
        """Class scores (B, K, H, W), float32, found on the patches flipped (by rows, by columns, by both: in turn, by `step`), and flipped back."""
        dims = _FLIPS[step % len(_FLIPS)]
        cams_BKHW = pixel_maps(self.network, self.network.maps(x_BCHW.flip(dims)), *x_BCHW.shape[2:]).float()
        return cams_BKHW.flip(dims) + self.network.dense.bias[:, None, None]
