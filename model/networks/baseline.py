"""The poster's baseline: four convolutions of increasing filters, global average pooling, a dense layer."""

from __future__ import annotations

from torch import nn

from cropcam.model.networks.base import Network
from cropcam.model.networks.layers import initialize

FILTERS = (32, 64, 128, 256)


class Baseline(Network):
    """Four 3 x 3 convolutions with ReLU (32, 64, 128, 256 filters), 2 x 2 max-pooling after the first two.

    Patches of 50 px give maps of 12 x 12 (50 -> 25 -> 12). 7 bands and 5 classes: 390,853 parameters. The poster does not
    state kernel sizes or pooling; these give its 12 x 12 maps.

    Source: Chen, Guo, S. Wang, "Deep Learning for Semantic Segmentation of Remote Sensing Imagery" (poster, Stanford).
    """

    stride = 4
    context_px = 15
    align_px = 4

    def __init__(self, bands: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index, (inputs, outputs) in enumerate(zip((bands, *FILTERS), FILTERS, strict=False)):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
            if index < 2:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.dense = nn.Linear(FILTERS[-1], classes)
        initialize(self)
