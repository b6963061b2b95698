"""The device of a command, its precision, and deterministic algorithms."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from cropcam.pipeline import __version__
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.runtime.memory import keep_freed_memory


def choose(name: str) -> torch.device:
    """The device for `--device auto|cpu|cuda`; auto is the GPU where there is one.

    Raises:
        ConfigError: cuda on a machine without a GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: this machine has no usable GPU (torch.cuda.is_available() is False); use --device cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cpu":
        # by default glibc returns freed buffers to the system, and clearing new pages took a sixth of a small network's training time
        keep_freed_memory(1 << 28, 1 << 25, heap_bytes=1 << 30)  # an older glibc takes at most 32 MiB
    return device


def environment(device: torch.device) -> dict[str, str | int]:
    """Versions, platform, device and threads, on which the last digits of a result depend; neither host nor user."""
    return {
        "cropcam": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
    }


def resolve_precision(setting: str, device: torch.device) -> str:
    """fp32 or bf16: the setting; auto is bf16 where the processor multiplies it (GPUs that do, CPUs with AMX or AVX-512 BF16)."""
    if setting != "auto":
        return setting
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    units = (getattr(torch.cpu, name, lambda: False) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))
    return "bf16" if any(supported() for supported in units) else "fp32"


@contextmanager
def deterministic(device: torch.device, wanted: bool) -> Iterator[None]:
    """Algorithms that repeat the same bits, an error where torch has none; without `wanted`, on a GPU, the fastest in a benchmark."""
    before, warned = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    fill, benchmark = memory.fill_uninitialized_memory, torch.backends.cudnn.benchmark
    if wanted and device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(wanted or before, warn_only=warned)
    memory.fill_uninitialized_memory = False  # it costs a pass over every new tensor
    torch.backends.cudnn.benchmark = device.type == "cuda" and not wanted
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warned)
        memory.fill_uninitialized_memory, torch.backends.cudnn.benchmark = fill, benchmark
