"""Which device a command runs on, and what else there decides the last digits."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from pipeline import __version__
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


def environment(device: torch.device) -> dict[str, str | int]:
    """Versions, platform, device and threads: what the last digits of a result depend on. Names no host and no user."""
    return {
        "cropcam": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
    }


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """On the CPU: only algorithms that give the same bits each time, an error where torch has none. On a GPU: no promise."""
    before, warned = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(device.type == "cpu" or before, warn_only=warned)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warned)
