"""The poster's ResNet-50, with a last map of 12 x 12 instead of 2 x 2."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from cropcam.model.networks.base import Network
from cropcam.model.networks.layers import convolution, initialize

BLOCKS, WIDTHS, EXPANSION = (3, 4, 6, 3), (64, 128, 256, 512), 4


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions, added to a shortcut: the input (identity block) or a 1 x 1 convolution of it."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        outputs = EXPANSION * width
        last = convolution(width, outputs, 1, relu=False)
        self.branch = nn.Sequential(convolution(inputs, width, 1), convolution(width, width, 3), last)
        self.shortcut = nn.Identity() if inputs == outputs else convolution(inputs, outputs, 1, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, 4 x width, h, w) from maps (B, inputs, h, w)."""
        return F.relu(self.branch(x) + self.shortcut(x))


class ResNet50(Network):
    """Stem and four stages of 3, 4, 6 and 3 bottleneck blocks, the first of each a convolutional block; every stride after the stem is 1.

    The stem is a 7 x 7 convolution of stride 2 and a 3 x 3 max-pooling of stride 2 without padding: 50 px give maps of
    2048 x 12 x 12 (50 -> 25 -> 12). Patches below 5 px have a smaller pooling window. 3 bands: 23,508,032 parameters
    before the dense layer, as published for ResNet-50: strides have no parameters.

    Sources: He et al. 2015, "Deep Residual Learning for Image Recognition", arXiv 1512.03385; the strides: Chen, Guo,
    S. Wang, "Deep Learning for Semantic Segmentation of Remote Sensing Imagery" (poster, Stanford).
    """

    stride = 4
    lone_size_px = 9

    def __init__(self, bands: int, classes: int) -> None:
        super().__init__()
        self.stem = convolution(bands, WIDTHS[0], 7, stride=2)
        blocks: list[nn.Module] = []
        inputs = WIDTHS[0]
        for count, width in zip(BLOCKS, WIDTHS, strict=True):
            for _ in range(count):
                blocks.append(Bottleneck(inputs, width))
                inputs = EXPANSION * width
        self.stages = nn.Sequential(*blocks)
        self.dense = nn.Linear(inputs, classes)
        initialize(self)

    def maps(self, x_BCHW: Tensor) -> Tensor:
        """Feature maps (B, 2048, h, w); h = (ceil(H / 2) - 3) // 2 + 1 and w likewise."""
        x = self.stem(x_BCHW)
        x = F.max_pool2d(x, (min(3, x.shape[2]), min(3, x.shape[3])), stride=2)
        return self.stages(x)  # type: ignore[no-any-return]
