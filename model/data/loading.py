"""Where the images of a split come from while a network trains: from memory, or streamed from the store.

Resident: decoded once into memory (or the GPU's), gathered there. Streamed: decoded again each epoch, a window ahead, in
memory that does not grow with the store. Axis suffixes: N patch, B batch, C band, H/W rows and columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch import Tensor

from cropcam.model.data.prefetch import MOST_THREADS, Indices, Order, Rooms, batches_of, block_patches, rooms_for, stream, stream_order
from cropcam.pipeline.encoded import Encoded, open_encoded
from cropcam.pipeline.errors import ConfigError

FEEDS = ("auto", "resident", "streamed")
_MEMORY_SHARE = 0.5  # of what is free: the rest is for the network and for others


class Streamed:
    """The images of one split, read from the store's zarr shards whenever they are wanted."""

    def __init__(self, image: Encoded, index_N: Indices, threads: int | None = None) -> None:
        self._image, self._index, self._block, self._threads = image, index_N, block_patches(image), threads
        self._rooms: Rooms | None = None

    def order(self, seed: int | None, epoch: int = 0) -> Order:
        """Of one pass; None is the store's own."""
        return stream_order(self._index, self._block, seed, epoch)

    def batches(self, order: Order, parts: Sequence[slice]) -> Iterator[Tensor]:
        """DN (B, C, H, W) uint16 of each part of the order, ascending; good until the next is asked for.

        Raises:
            DataError: the store is damaged or incomplete.
        """
        starts = (0, *order.ends[:-1])
        most = max(end - start for start, end in zip(starts, order.ends, strict=True))
        if self._rooms is None or len(self._rooms[0][0]) < most:  # windows differ: a split need not fill its blocks
            self._rooms = rooms_for([self._image], most)
        wanted_N = np.zeros(len(order.position_N), np.bool_)
        for part in parts:
            wanted_N[part] = True
        windows = [order.position_N[start:end][wanted_N[start:end]] for start, end in zip(starts, order.ends, strict=True)]
        groups = [self._index[window] for window in windows]  # of a process with nothing to do all are empty
        sizes = [part.stop - part.start for part in parts]
        for arrays in batches_of(stream([self._image], groups, self._block, self._threads, self._rooms), sizes):
            yield torch.from_numpy(arrays[0])


def read_images(dataset: xr.Dataset, index_N: Indices) -> npt.NDArray[np.uint16]:
    """DN (N, C, H, W) of some patches, in the given ascending order; by threads where the store's layout allows it.

    Raises:
        DataError: the store is damaged or incomplete.
    """
    image = encoded_image(dataset)
    if image is None:
        return np.asarray(dataset["image"][index_N].to_numpy())
    out_NCHW = np.empty((len(index_N), *image.shape[1:]), image.dtype)
    blocks = np.split(np.arange(len(index_N)), np.flatnonzero(np.diff(index_N // block_patches(image))) + 1)
    with ThreadPoolExecutor(MOST_THREADS) as pool:
        for future in [pool.submit(image.decode, index_N[block], out_NCHW, block) for block in blocks]:
            future.result()
    return out_NCHW


def encoded_image(dataset: xr.Dataset) -> Encoded | None:
    """The store's encoded images; None where they are laid out otherwise than `cropcam patches` does it."""
    return open_encoded(Path(dataset.encoding["source"]), "image")


def choose_feed(told: str, dataset: xr.Dataset, patches: int, *, bagged: bool) -> str:
    """Resident or streamed: what was told, else by whether so many patches fit half of the free memory.

    Raises:
        ConfigError: streamed was told and cannot be.
    """
    streamable = encoded_image(dataset) is not None and not bagged
    if told == "streamed" and not streamable:
        why = "labels of groups need patches in any order" if bagged else "the store is laid out otherwise than 'cropcam patches' does it"
        raise ConfigError(f"--feed streamed is not possible: {why}; use --feed resident")
    if told != "auto":
        return told
    return "resident" if patches * _patch_bytes(dataset) <= _MEMORY_SHARE * free_memory() or not streamable else "streamed"


def fits_gpu(dataset: xr.Dataset, patches: int, device: torch.device) -> bool:
    """Whether so many patches fit half of the GPU's free memory; no on a CPU."""
    return device.type == "cuda" and patches * _patch_bytes(dataset) <= _MEMORY_SHARE * torch.cuda.mem_get_info(device)[0]


def free_memory() -> int:
    """Bytes this process may still take: the machine's, or what its control group leaves."""
    free = [_field(Path("/proc/meminfo"), "MemAvailable:") * 1024]
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):  # no control group, or one without a limit
        free.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    return min(free)


def _field(path: Path, name: str) -> int:
    try:
        return next(int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith(name))
    except (OSError, StopIteration):  # not Linux: 4 GiB is in most machines
        return 2**22


def _patch_bytes(dataset: xr.Dataset) -> int:
    image = dataset["image"]
    return int(np.prod(image.shape[1:])) * image.dtype.itemsize
