"""Encoded patches in large buffers: thousands of bytes objects, made and freed by several threads, would leave memory in pieces.

The buffers come straight from the system and go straight back to it, so that memory does not grow with the work.
"""

from __future__ import annotations

import math
import mmap
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from cropcam.pipeline import kernels
from cropcam.pipeline.store.schema import blosc_codec


class Patches(Protocol):
    """Encoded patches, one behind the other, wherever their bytes are."""

    @property
    def data(self) -> Any:  # noqa: ANN401 - what a zarr shard is made of
        """Their bytes, or where they are."""

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Bytes of each."""

    def __len__(self) -> int: ...

    def part(self, start: int, stop: int) -> Self:
        """Some of them, not copied."""


Some = TypeVar("Some", bound=Patches)


@dataclass(frozen=True)
class Chunks:
    """Encoded patches, one behind the other.

    Attributes:
        data: their bytes (uint8).
        sizes: bytes of each (int64).
    """

    data: npt.NDArray[np.uint8]
    sizes: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sizes)

    def part(self, start: int, stop: int) -> Chunks:
        """Some of them, not copied."""
        first, last = int(self.sizes[:start].sum()), int(self.sizes[:stop].sum())
        return Chunks(self.data[first:last], self.sizes[start:stop])


class Encoder:
    """Encodes patch after patch of `image` or `label` into one buffer."""

    def __init__(self, name: str, count: int, patches_NX: npt.NDArray[Any]) -> None:
        """Make room.

        Args:
            name: image or label.
            count: patches to come, at most.
            patches_NX: where each call of `add` finds them, C-contiguous.
        """
        self._codec = blosc_codec(name)
        self._from = patches_NX.reshape(len(patches_NX), math.prod(patches_NX.shape[1:])).view(np.uint8)
        self._data = memory((count * (self._from.shape[1] + kernels.ROOM),), np.uint8)
        self._sizes = np.empty(count, np.int64)
        self._count = self._end = 0

    def add(self, count: int) -> None:
        """Encode the first `count` patches."""
        self._end = kernels.compress(self._from[:count], self._codec, self._data, self._end, self._sizes[self._count :])
        self._count += count

    def chunks(self) -> Chunks:
        """All of them."""
        return Chunks(self._data[: self._end], self._sizes[: self._count])


def of_bytes(chunks: Sequence[bytes]) -> Chunks:
    """Chunks that are bytes so far."""
    return Chunks(np.frombuffer(b"".join(chunks), np.uint8), np.fromiter(map(len, chunks), np.int64, len(chunks)))


def split(chunks: Sequence[Some], count: int) -> tuple[list[Some], list[Some]]:
    """The first `count` patches, or all where there are fewer, and the rest."""
    first: list[Some] = []
    for number, one in enumerate(chunks):
        if len(one) >= count:
            rest = [one.part(count, len(one))] if len(one) > count else []
            return [*first, *([one.part(0, count)] if count else [])], [*rest, *chunks[number + 1 :]]
        first.append(one)
        count -= len(one)
    return first, []


def sizes(chunks: Sequence[Patches]) -> npt.NDArray[np.int64]:
    """Bytes of each patch."""
    return np.concatenate([np.empty(0, np.int64), *(one.sizes for one in chunks)])


def memory(shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]:
    """An array that holds anything, in a buffer that is used again once nothing looks at it: fresh pages cost as much as cutting does.

    Buffers come from the system, not from malloc: thousands of pieces that several threads make and free would leave it in
    pieces, and memory would grow with the work. `give_back` ends it. Thread-safe.
    """
    nbytes = math.prod(shape) * np.dtype(dtype).itemsize
    with _LOCK:
        fitting = [place for place, held in enumerate(_FREE) if len(held) >= nbytes]
        # the smallest, of equal ones the last used: others may have fewer pages
        found = min(reversed(fitting), key=lambda place: len(_FREE[place]), default=None)
        buffer = None if found is None else _FREE.pop(found)
        while sum(map(len, _FREE)) > _KEEP_BYTES:
            del _FREE[0]  # the one free for longest
    if buffer is None:
        # few different sizes, else one hardly ever fits where another was; pages that are never touched cost nothing
        buffer = mmap.mmap(-1, max(_LEAST_BYTES, 1 << max(nbytes - 1, 0).bit_length()), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    array = np.frombuffer(buffer, dtype, math.prod(shape))
    weakref.finalize(array, _FREE.append, buffer).atexit = False  # views keep it alive
    return array.reshape(shape)


def give_back() -> None:
    """Return to the system what nothing looks at."""
    with _LOCK:
        _FREE.clear()


_LEAST_BYTES = 2**21
_KEEP_BYTES = 2**28  # of free buffers at most: more than a run at its widest lets go of at once
_LOCK = threading.Lock()
_FREE: list[mmap.mmap] = []
