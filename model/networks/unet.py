"""The U-Net of the paper that followed the poster: features at full resolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cropcam.model.networks.base import Network
from cropcam.model.networks.layers import convolution, initialize

FILTERS = (32, 64, 128, 256)


class UNet(Network):
    """Four levels of two 3 x 3 convolutions (32, 64, 128, 256 filters), 2 x 2 max-pooling down, transposed convolutions up.

    Maps have the size of the input: an odd side is pooled to the larger half, and the upsampled map is cropped. So the dense
    layer is both the classifier of the pooled maps (U-CAM) and a 1 x 1 convolution per pixel. 7 bands and 5 classes: 1,928,293 parameters. The paper's 48 px of 50 px are not reproduced.

    Sources: Ronneberger et al. 2015, arXiv 1505.04597; Wang et al. 2020, Remote Sensing 12(2) 207 (filters, levels).
    """

    stride = 1
    context_px = 46
    align_px = 8
    lone_size_px = 9

    def __init__(self, bands: int, classes: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(_level(inputs, outputs) for inputs, outputs in zip((bands, *FILTERS), FILTERS, strict=False))
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        narrower = list(zip(FILTERS[:0:-1], FILTERS[-2::-1], strict=True))
        self.raised = nn.ModuleList(nn.ConvTranspose2d(inputs, outputs, 2, stride=2) for inputs, outputs in narrower)
        self.up = nn.ModuleList(_level(inputs, outputs) for inputs, outputs in narrower)
        self.dense = nn.Linear(FILTERS[0], classes)
        initialize(self)

    def maps(self, x_BCHW: Tensor) -> Tensor:
        """Feature maps (B, 32, H, W)."""
        x, kept = self.down[0](x_BCHW), []
        for level in list(self.down)[1:]:
            kept.append(x)
            x = level(self.pool(x))
        for raised, level in zip(self.raised, self.up, strict=True):
            skip = kept.pop()
            x = torch.cat([skip, raised(x)[:, :, : skip.shape[2], : skip.shape[3]]], dim=1)
            del skip  # large windows: in inference its memory is free from here on
            x = level(x)
        return x  # type: ignore[no-any-return]


def _level(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(convolution(inputs, outputs, 3), convolution(outputs, outputs, 3))
