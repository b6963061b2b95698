"""Streamed feeding: patches decoded ahead by threads, in an order that mixes the whole store, in bounded memory.

A store is blocks of neighbouring patches, at most one zarr shard each. An epoch deals the blocks out in random order,
`WINDOW_BLOCKS` to a window, and shuffles the patches of each window. While one window is used, threads decode the next,
each patch straight to its place; so two windows are in memory, however large the store. The order is a function of seed
and epoch alone: the number of threads decides nothing. Axis suffixes: N patch, B batch, C band, H/W rows and columns.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.encoded import Encoded

BLOCK_BYTES = 36 * 2**20  # a zarr shard of the poster's patches
WINDOW_BLOCKS = 8
MOST_THREADS = 8
Indices = npt.NDArray[np.int64]


class Order(NamedTuple):
    """Positions (N,) within a split, in the order they come, and where windows end in it, the last one at N."""

    position_N: Indices
    ends: tuple[int, ...]


def block_patches(image: Encoded) -> int:
    """Patches in a block: as many as `BLOCK_BYTES` hold, at least one, at most a zarr shard, and shards hold whole blocks."""
    fitting = max(1, min(image.room, BLOCK_BYTES // image.patch_bytes))
    return next(size for size in range(fitting, 0, -1) if image.room % size == 0)


def stream_order(index_N: Indices, block: int, seed: int | None, epoch: int = 0, window_blocks: int = WINDOW_BLOCKS) -> Order:
    """The order of one pass over a split.

    Args:
        index_N: the split's patches in the store, ascending.
        block: patches per block.
        seed: of the shuffle; None keeps the store's order.
        epoch: number of the pass.
        window_blocks: blocks mixed with each other.
    """
    starts = np.flatnonzero(np.diff(index_N // block, prepend=-1))
    blocks = np.split(np.arange(len(index_N)), starts[1:])
    random = None if seed is None else np.random.default_rng([seed, epoch])
    order = range(len(blocks)) if random is None else random.permutation(len(blocks))
    windows = [
        np.concatenate([blocks[at] for at in order[first : first + window_blocks]]) for first in range(0, len(blocks), window_blocks)
    ]
    if random is not None:
        windows = [random.permutation(window) for window in windows]
    return Order(np.concatenate(windows), tuple(np.cumsum([len(window) for window in windows]).tolist()))


Rooms = list[list[npt.NDArray[Any]]]


def rooms_for(arrays: Sequence[Encoded], most: int) -> Rooms:
    """Memory for groups of at most `most` patches: one to use, one to decode to."""
    return [[np.empty((most, *array.shape[1:]), array.dtype) for array in arrays] for _ in range(2)]


def stream(
    arrays: Sequence[Encoded], groups: Sequence[Indices], block: int, threads: int | None = None, rooms: Rooms | None = None
) -> Iterator[list[npt.NDArray[Any]]]:
    """For each group of patches one array (n, ...) per entry of `arrays`, in the group's order; the next group is decoded meanwhile.

    What was given is written over once the next group is asked for.

    Args:
        arrays: of one store.
        groups: patches of the store; each block lies in one group.
        block: patches per block, read at once.
        threads: that decode; by default as many as cores, at most `MOST_THREADS`.
        rooms: memory used before, to be used again; by default new.

    Raises:
        DataError: the store is damaged or incomplete.
    """
    most = max((len(group) for group in groups), default=0)
    rooms = rooms_for(arrays, most) if rooms is None else rooms
    with ThreadPoolExecutor(threads or min(MOST_THREADS, len(os.sched_getaffinity(0)))) as pool:

        def begin(number: int) -> list[Future[None]]:
            index_N, room = groups[number], rooms[number % 2]
            by_block = np.argsort(index_N // block, kind="stable")
            parts = np.split(by_block, np.flatnonzero(np.diff(index_N[by_block] // block)) + 1) if len(index_N) else []
            jobs = [(array, out, part) for part in parts for array, out in zip(arrays, room, strict=True)]
            return [pool.submit(_decode, array, index_N[part], out, part) for array, out, part in jobs]

        pending = {0: begin(0)} if groups else {}
        try:
            for number, group in enumerate(groups):
                if number + 1 < len(groups):  # before waiting, so that no thread idles
                    pending[number + 1] = begin(number + 1)
                for future in pending.pop(number):
                    future.result()
                yield [out[: len(group)] for out in rooms[number % 2]]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def batches_of(windows: Iterator[list[npt.NDArray[Any]]], sizes: Sequence[int]) -> Iterator[list[npt.NDArray[Any]]]:
    """The same patches in the same order, `sizes[i]` in batch i; a batch is good until the next is asked for."""
    held = next(windows, [])
    for size in sizes:
        parts = []
        while size > len(held[0]):
            parts.append([array.copy() for array in held])
            size -= len(held[0])  # noqa: PLW2901 - what is still wanted
            held = next(windows)
        batch, held = [array[:size] for array in held], [array[size:] for array in held]
        parts = [part for part in [*parts, batch] if len(part[0])] or [batch]
        yield parts[0] if len(parts) == 1 else [np.concatenate(together) for together in zip(*parts, strict=True)]


def _decode(array: Encoded, index_N: Indices, out_NX: npt.NDArray[Any], place_N: Indices) -> None:
    # ascending within the shard: chunks lie in that order
    ascending = np.argsort(index_N)
    array.decode(index_N[ascending], out_NX, place_N[ascending])
