"""What several networks are made of."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class SymmetricConv2d(nn.Conv2d):
    """A convolution whose filters look the same from left and right, from above and below: a flipped image gives the flipped answer.

    The filter is the mean of the four flips of the weight, doubled: at random, that of four independent weights spreads as one does.
    """

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The convolution, of the same shape as `nn.Conv2d` gives."""
        half = self.weight + self.weight.flip(2)
        return F.conv2d(x_BCHW, (half + half.flip(3)) / 2, self.bias, self.stride, self.padding, self.dilation, self.groups)


def convolution(inputs: int, outputs: int, size: int, *, stride: int = 1, relu: bool = True, symmetric: bool = False) -> nn.Sequential:
    """A convolution without bias, padded by half its size, batch norm and, where `relu`, ReLU; `symmetric`: its filters equal their flips.

    As many parameters as weights, size^2 x inputs x outputs, and two per output.
    """
    kind = SymmetricConv2d if symmetric else nn.Conv2d
    layers: list[nn.Module] = [kind(inputs, outputs, size, stride=stride, padding=size // 2, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


def initialise(network: nn.Module) -> None:
    """He's normal initialisation of every convolution, transposed ones among them; biases 0.

    Source: He et al. 2015, "Delving Deep into Rectifiers", arXiv 1502.01852.
    """
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
