"""What several networks are made of."""

from __future__ import annotations

from torch import nn


def convolution(inputs: int, outputs: int, size: int, *, stride: int = 1, relu: bool = True) -> nn.Sequential:
    """A convolution without bias, padded by half its size, batch norm and, where `relu`, ReLU.

    As many parameters as weights, size^2 x inputs x outputs, and two per output.
    """
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False), nn.BatchNorm2d(outputs)]
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
