"""The images of a split as a torch Dataset: in memory, or streamed from the store by the workers of a DataLoader.

In memory they are decoded once and gathered by index, on the GPU where they fit. Streamed batches are decoded ahead of use by spawned
workers, in memory that does not grow with the store.
"""

from __future__ import annotations

import math
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cropcam.pipeline.encoded import Encoded, open_encoded
from cropcam.pipeline.errors import ConfigError, DataError

MAX_WORKERS = 8
BATCHES_PER_WORKER = 8  # a worker takes seconds to start: an epoch of fewer batches per worker is decoded in this process
BLOCK_BYTES = 36 * 2**20  # a zarr shard of the poster's patches
_MEMORY_SHARE = 0.5  # of the free memory: the rest is for the network and for other processes
_PREFETCH_BATCHES = 4
Indices = npt.NDArray[np.int64]


class PatchImages(Dataset[Tensor], ABC):
    """The images of a split; an item is a batch (B, C, H, W), DN as int16 bits: torch has few operations on uint16."""

    workers = 0

    def __init__(self) -> None:
        self._loader: DataLoader[Tensor] | None = None
        self._order: list[Any] = []  # batches of indices of the epoch

    @abstractmethod
    def __getitems__(self, index_B: Indices) -> Tensor | DataError:
        """The images of a batch, or the error as an item: raised in a worker it would become a traceback."""

    def batches(self, order: Sequence[Indices], device: torch.device) -> Iterator[Tensor]:
        """The images of each batch of indices, in order.

        Raises:
            DataError: the store is damaged or incomplete.
        """
        self._order[:] = order
        if self._loader is None:
            workers = min(self.workers, len(order) // BATCHES_PER_WORKER)
            spawned: dict[str, Any] = {
                "num_workers": workers,
                "multiprocessing_context": "spawn",
                "worker_init_fn": _ignore_interrupt,
                "persistent_workers": True,
                "prefetch_factor": _PREFETCH_BATCHES,
                "pin_memory": device.type == "cuda",
            }
            own_random = torch.Generator()  # else the loader draws from the caller's random state
            self._loader = DataLoader(
                self, batch_sampler=self._order, collate_fn=_identity, generator=own_random, **(spawned if workers else {})
            )
        for images in self._loader:
            if isinstance(images, DataError):
                raise images
            yield images


class ResidentImages(PatchImages):
    """Images in memory: DN (N, C, H, W) uint16, on the CPU or the GPU."""

    def __init__(self, dn_NCHW: Tensor) -> None:
        super().__init__()
        self.dn_NCHW = dn_NCHW

    def __len__(self) -> int:
        return len(self.dn_NCHW)

    def __getitems__(self, index_B: Indices) -> Tensor:
        """The images of a batch."""
        return gather(self.dn_NCHW.view(torch.int16), index_B)


class StreamedImages(PatchImages):
    """Images in the store, decoded batch by batch, by spawned workers where an epoch is long enough."""

    workers = min(MAX_WORKERS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)

    def __init__(self, image: Encoded, index_N: Indices) -> None:
        """`index_N`: the split's patches in the store, ascending."""
        super().__init__()
        self.image, self.index_N = image, index_N

    def __len__(self) -> int:
        return len(self.index_N)

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_loader": None, "_order": []}  # for a worker

    def __getitems__(self, index_B: Indices) -> Tensor | DataError:
        """The images of a batch, decoded from the store."""
        out_BCHW = np.empty((len(index_B), *self.image.shape[1:]), self.image.dtype)
        try:
            self.image.decode_scattered(self.index_N[index_B], out_BCHW)
        except DataError as error:
            return error
        return torch.from_numpy(out_BCHW.view(np.int16))

    @property
    def block_N(self) -> Indices:
        """The block of each patch: at most a zarr shard, at most `BLOCK_BYTES`."""
        return self.index_N // max(1, min(self.image.room, BLOCK_BYTES // self.image.patch_bytes))


def gather(values_N: Tensor, index_B: Indices) -> Tensor:
    """Entries along the first axis; on a CPU by numpy, which copies whole patches where torch copies numbers."""
    if values_N.device.type == "cpu":
        return torch.from_numpy(values_N.numpy()[index_B])
    return values_N[torch.from_numpy(index_B).to(values_N.device)]


def read_images(dataset: xr.Dataset, index_N: Indices) -> npt.NDArray[np.uint16]:
    """DN (N, C, H, W) of patches in ascending order; by threads where the store's layout allows it.

    Raises:
        DataError: the store is damaged or incomplete.
    """
    image = encoded_image(dataset)
    if image is None:
        return np.asarray(dataset["image"][index_N].to_numpy())
    out_NCHW = np.empty((len(index_N), *image.shape[1:]), image.dtype)
    shards = np.split(np.arange(len(index_N)), np.flatnonzero(np.diff(index_N // image.room)) + 1) if len(index_N) else []
    with ThreadPoolExecutor(MAX_WORKERS) as pool:
        for future in [pool.submit(image.decode, index_N[shard], out_NCHW, shard) for shard in shards]:
            future.result()
    return out_NCHW


def encoded_image(dataset: xr.Dataset) -> Encoded | None:
    """The store's encoded images; None where their layout is not that of `cropcam patches`."""
    return open_encoded(Path(dataset.encoding["source"]), "image")


def choose_loading(setting: str, dataset: xr.Dataset, patches: int, *, bagged: bool) -> str:
    """Memory or stream: the setting or, for auto, memory where the patches fit half of the free memory.

    Raises:
        ConfigError: streaming is set and impossible.
    """
    streamable = encoded_image(dataset) is not None and not bagged
    if setting == "stream" and not streamable:
        why = "bags need patches in any order" if bagged else "the store's layout is not that of 'cropcam patches'"
        raise ConfigError(f"data_loading 'stream' is not possible: {why}; use 'memory'")
    if setting != "auto":
        return setting
    return "memory" if patches * _patch_bytes(dataset) <= _MEMORY_SHARE * free_memory() or not streamable else "stream"


def fits_gpu(dataset: xr.Dataset, patches: int, device: torch.device) -> bool:
    """Whether the patches fit half of the GPU's free memory; False on a CPU."""
    return device.type == "cuda" and patches * _patch_bytes(dataset) <= _MEMORY_SHARE * torch.cuda.mem_get_info(device)[0]


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


def _patch_bytes(dataset: xr.Dataset) -> int:
    return math.prod(dataset["image"].shape[1:]) * dataset["image"].dtype.itemsize


def _identity(images: Any) -> Any:  # noqa: ANN401 - the item of `__getitems__`
    return images


def _ignore_interrupt(_worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the main process saves and stops the workers
