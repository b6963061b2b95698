"""Multinomial logistic regression of each pixel."""

from __future__ import annotations

from torch import nn

from cropcam.model.networks.base import Network
from cropcam.model.networks.neighbourhood import Neighbourhood


class Linear(Network):
    """The dense layer alone, on the values of each pixel or of its neighbourhood: a 1 x 1 or `neighbourhood` x `neighbourhood` convolution.

    7 bands and 5 classes: 40 parameters. With labels of pixels the loss is convex.
    """

    stride = 1

    def __init__(self, bands: int, classes: int, *, neighbourhood: int = 1) -> None:
        super().__init__()
        self.context_px = neighbourhood // 2
        self.features = Neighbourhood(neighbourhood)
        self.dense = nn.Linear(bands * neighbourhood**2, classes)
