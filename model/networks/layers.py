"""Layers that several networks share, and their initialization."""

from __future__ import annotations

from torch import nn


def convolution(inputs: int, outputs: int, size: int, *, stride: int = 1, relu: bool = True) -> nn.Sequential:
    """A convolution without bias, padded by half its size, then batch norm and, where `relu`, ReLU.

    Parameters: size^2 x inputs x outputs weights, and two per output.
    """
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


def initialize(network: nn.Module) -> None:
    """He normal initialization of every convolution, also transposed; biases 0.

    Source: He et al. 2015, "Delving Deep into Rectifiers", arXiv 1502.01852.
    """
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
