"""The encoded patches of a store, read shard by shard without zarr: what streamed training decodes in its own threads.

One patch is one zarr chunk, so any patch is decoded alone, straight to where it is wanted, and Blosc lets go of
Python's lock meanwhile.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import zarr
from numcodecs import Blosc
from zarr.codecs import BloscCodec

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.shardfile import index_bytes, parse_index
from cropcam.pipeline.store.schema import shard_path

_SIZES = slice(4, 8)  # where a Blosc frame says how many bytes it decodes to
_BLOSC = Blosc()  # a frame says itself how it was encoded


@dataclass(frozen=True)
class Encoded:
    """`image` or `label` of a store.

    Attributes:
        store: the store's folder.
        name: image or label.
        shape: patches first.
        dtype: of the decoded values, little-endian.
        room: patches per zarr shard.
    """

    store: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    room: int

    @property
    def patch_bytes(self) -> int:
        """Bytes of one decoded patch."""
        return int(np.prod(self.shape[1:])) * self.dtype.itemsize

    def decode(self, index_N: npt.NDArray[np.int64], out_NX: npt.NDArray[np.generic], place_N: npt.NDArray[np.int64]) -> None:
        """Patch `index_N[i]` to `out_NX[place_N[i]]`. All lie in one zarr shard, whose bytes from the first to the last are read at once.

        A label that was never written is nodata, an image that was never written is a lost one.

        Raises:
            DataError: the zarr shard or a patch in it is damaged or missing.
        """
        number = int(index_N[0]) // self.room
        path = shard_path(self.store, self.name, number)
        try:
            with path.open("rb") as file:
                file.seek(-index_bytes(self.room), os.SEEK_END)
                span_N2 = parse_index(file.read(), self.room, str(path))[index_N - number * self.room]
                there = span_N2[:, 1] > 0
                first, last = (span_N2[there, 0].min(), span_N2[there].sum(axis=1).max()) if there.any() else (0, 0)
                file.seek(int(first))
                data = memoryview(file.read(int(last - first)))
        except FileNotFoundError:
            raise DataError(f"{path}: missing; cut the store again with 'cropcam patches'") from None
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: damaged zarr shard ({error}); cut the store again with 'cropcam patches'") from None
        starts = (span_N2[:, 0] - first).tolist()
        for index, place, start, size in zip(index_N.tolist(), place_N.tolist(), starts, span_N2[:, 1].tolist(), strict=True):
            if size:
                self._decode_one(data[start : start + size], out_NX[place], f"{path}: patch {index}")
            elif self.name == "label":
                out_NX[place] = 0
            else:
                raise DataError(f"{path}: patch {index} is missing; cut the store again with 'cropcam patches'")

    def decode_scattered(self, index_N: npt.NDArray[np.int64], out_NX: npt.NDArray[np.generic]) -> None:
        """Patch `index_N[i]` to `out_NX[i]`, each read alone: for batches drawn from many zarr shards.

        Raises:
            DataError: a zarr shard or a patch in it is damaged or missing.
        """
        for number in np.unique(index_N // self.room).tolist():
            path = shard_path(self.store, self.name, number)
            try:
                span_N2 = _spans(path, self.room)
                with path.open("rb", buffering=0) as file:
                    for place in np.flatnonzero(index_N // self.room == number).tolist():
                        start, size = span_N2[index_N[place] - number * self.room].tolist()
                        where = f"{path}: patch {index_N[place]}"
                        if not size:
                            raise DataError(f"{where} is missing; cut the store again with 'cropcam patches'")
                        self._decode_one(memoryview(os.pread(file.fileno(), size, start)), out_NX[place], where)
            except FileNotFoundError:
                raise DataError(f"{path}: missing; cut the store again with 'cropcam patches'") from None
            except (OSError, ValueError) as error:
                raise DataError(f"{path}: damaged zarr shard ({error}); cut the store again with 'cropcam patches'") from None

    def _decode_one(self, frame: memoryview, out_X: npt.NDArray[np.generic], where: str) -> None:
        try:
            if int.from_bytes(frame[_SIZES], "little") != self.patch_bytes:
                raise ValueError("of another size")
            _BLOSC.decode(frame, out_X)
        except (RuntimeError, ValueError) as error:
            raise DataError(f"{where} is damaged ({error}); cut the store again with 'cropcam patches'") from None


@lru_cache(maxsize=4096)
def _spans(path: Path, room: int) -> npt.NDArray[np.int64]:
    """Offset and size of each patch in a zarr shard (room, 2)."""
    with path.open("rb") as file:
        file.seek(-index_bytes(room), os.SEEK_END)
        return np.asarray(parse_index(file.read(), room, str(path)), np.int64)


def open_encoded(store: Path, name: str) -> Encoded | None:
    """`image` or `label` of a finished store; None where it is laid out otherwise than `cropcam patches` does it."""
    array = zarr.open_array(store / name, mode="r")
    inner, outer = array.chunks, array.shards
    dtype = np.dtype(array.dtype).newbyteorder("<")
    plain = len(array.compressors) == 1 and isinstance(array.compressors[0], BloscCodec) and not array.filters
    if outer is None or inner != (1, *array.shape[1:]) or outer[1:] != inner[1:] or not plain:
        return None
    return Encoded(store, name, tuple(array.shape), dtype, int(outer[0]))
