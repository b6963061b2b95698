"""The images of a split: in memory, or streamed from the store.

In memory they are decoded once and gathered by index, on the GPU where they fit. Streamed batches are decoded ahead of use by tensorstore's
threads, in memory that does not grow with the store.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.store.patch_store import PatchStore

BLOCK_BYTES = 36 * 2**20  # a zarr shard of the poster's patches
_MEMORY_SHARE = 0.5  # of the free memory: the rest is for the network and for other processes
_PREFETCH_BATCHES = 4
_AT_ONCE = 1024  # patches that are requested together: each is a request of its own to tensorstore
_BITS = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}  # torch has few operations on unsigned integers
Indices = npt.NDArray[np.int64]


class PatchImages(ABC):
    """The images of a split, as stored; unsigned values as the bits of signed ones (`as_bits`)."""

    dtype: str  # of the stored values

    @abstractmethod
    def __len__(self) -> int:
        """Patches."""

    @abstractmethod
    def batches(self, order: Sequence[Indices], device: torch.device) -> Iterator[Tensor]:
        """The images (B, C, H, W) of each batch of indices, in order.

        Raises:
            DataError: the store is damaged or incomplete.
        """


class ResidentImages(PatchImages):
    """Images in memory (N, C, H, W), on the CPU or the GPU."""

    def __init__(self, values_NCHW: Tensor) -> None:
        self.values_NCHW = values_NCHW
        self.dtype = str(values_NCHW.dtype).removeprefix("torch.")

    def __len__(self) -> int:
        return len(self.values_NCHW)

    def batches(self, order: Sequence[Indices], device: torch.device) -> Iterator[Tensor]:  # noqa: ARG002 - where they are is where they stay
        """As of `PatchImages`."""
        for index_B in order:
            yield gather(as_bits(self.values_NCHW), index_B)


class StreamedImages(PatchImages):
    """Images in the store, decoded batch by batch, ahead of use."""

    def __init__(self, store: PatchStore, index_N: Indices) -> None:
        """`index_N`: the split's patches in the store, ascending."""
        self.store, self.index_N, self.dtype = store, index_N, store.encoding.dtype

    def __len__(self) -> int:
        return len(self.index_N)

    def batches(self, order: Sequence[Indices], device: torch.device) -> Iterator[Tensor]:
        """As of `PatchImages`; `_PREFETCH_BATCHES` are requested before they are needed."""
        requested: deque[Callable[[], npt.NDArray[Any]]] = deque()
        for index_B in order:
            requested.append(self.store.request_images(self.index_N[index_B]))
            if len(requested) > _PREFETCH_BATCHES:
                yield _ready(requested.popleft()(), device)
        while requested:
            yield _ready(requested.popleft()(), device)

    @property
    def block_N(self) -> Indices:
        """The block of each patch: neighbours in one zarr shard, at most `BLOCK_BYTES` of them."""
        side = self.store.info.layout.block_patches
        while side > 1 and side**2 * patch_bytes(self.store) > BLOCK_BYTES:
            side //= 2
        return self.store.blocks(side, side)[self.index_N]


def _ready(values_BCHW: npt.NDArray[Any], device: torch.device) -> Tensor:
    bits_BCHW = as_bits(torch.from_numpy(values_BCHW))
    return bits_BCHW.pin_memory() if device.type == "cuda" else bits_BCHW


def as_bits(values: Tensor) -> Tensor:
    """A view of unsigned integers as signed ones of the same bits; other types as they are."""
    return values.view(_BITS.get(values.dtype, values.dtype))


def of_bits(bits: Tensor, dtype: str) -> Tensor:
    """The inverse of `as_bits`: values of the stored type."""
    return bits.view(getattr(torch, dtype))


def gather(values_N: Tensor, index_B: Indices) -> Tensor:
    """Entries along the first axis; on a CPU by numpy, which copies whole patches where torch copies numbers."""
    if values_N.device.type == "cpu":
        return torch.from_numpy(values_N.numpy()[index_B])
    return values_N[torch.from_numpy(index_B).to(values_N.device)]


def read_images(store: PatchStore, index_N: Indices) -> npt.NDArray[Any]:
    """Stored values (N, C, H, W) of patches.

    Raises:
        DataError: the store is damaged or incomplete.
    """
    values_NCHW = np.empty((len(index_N), *store.patch_shape), store.encoding.dtype)
    for first in range(0, len(index_N), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        store.request_images(index_N[part], values_NCHW[part])()
    return values_NCHW


def choose_loading(setting: str, store: PatchStore, patches: int, *, bagged: bool) -> str:
    """Memory or stream: the setting or, for auto, memory where the patches fit half of the free memory.

    Raises:
        ConfigError: streaming is set and impossible.
    """
    if setting == "stream" and bagged:
        raise ConfigError("data_loading 'stream' is not possible: bags need patches in any order; use 'memory'")
    if setting != "auto":
        return setting
    return "memory" if patches * patch_bytes(store) <= _MEMORY_SHARE * free_memory() or bagged else "stream"


def fits_gpu(store: PatchStore, patches: int, device: torch.device) -> bool:
    """Whether the patches fit half of the GPU's free memory; False on a CPU."""
    return device.type == "cuda" and patches * patch_bytes(store) <= _MEMORY_SHARE * torch.cuda.mem_get_info(device)[0]


def free_memory() -> int:
    """Free bytes: the machine's, or the rest of the control group's limit. 4 GiB where neither is known."""
    free = []
    with suppress(OSError, StopIteration):  # not Linux
        lines = Path("/proc/meminfo").read_text().splitlines()
        free.append(next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) * 1024)
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):  # no control group, or no limit
        free.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    return min(free, default=2**32)


def patch_bytes(store: PatchStore) -> int:
    """Bytes of one decoded patch."""
    return math.prod(store.patch_shape) * np.dtype(store.encoding.dtype).itemsize
