"""Which device a command runs on."""

from __future__ import annotations

import torch

from pipeline.errors import ConfigError


def choose(name: str) -> torch.device:
    """The device for `--device auto|cpu|cuda`; auto takes the GPU where there is one.

    Raises:
        ConfigError: cuda was asked for and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: this machine has no usable GPU (torch.cuda.is_available() is False); use --device cpu")
    return torch.device(name)
