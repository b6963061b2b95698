"""A small fully convolutional network without pooling."""

from __future__ import annotations

from torch import nn

from cropcam.model.networks.base import Network
from cropcam.model.networks.layers import convolution, initialize

FILTERS = (32, 48, 48)


class FCN(Network):
    """Three 3 x 3 convolutions with batch norm and ReLU (32, 48, 48 filters); receptive field 7 x 7 pixels, no pooling.

    7 bands and 5 classes: 37,077 parameters. On a real scene with weak labels it is more accurate than larger networks (docs/results.md).
    """

    stride = 1
    context_px = 3

    def __init__(self, bands: int, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(*(convolution(*pair, 3) for pair in zip((bands, *FILTERS), FILTERS, strict=False)))
        self.dense = nn.Linear(FILTERS[-1], classes)
        initialize(self)
