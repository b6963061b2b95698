"""One zarr shard as bytes: encoded chunks one after the other, their index at the end (zarr v3 sharding codec, version 1.0).

Written here and not through zarr-python, whose pipeline spends longer on a patch than the codec does: docs/decisions/0005.
zarr, xarray and tensorstore read the result.

Source: https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/v1.0.html
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial, reduce
from pathlib import Path

import google_crc32c
import numpy as np
import numpy.typing as npt

from cropcam.pipeline.errors import DataError

Bytes = bytes | npt.NDArray[np.uint8]
_ABSENT = np.iinfo(np.uint64).max
_BLOCK_BYTES = 2**24


class GrowingShard:
    """A zarr shard that chunks are appended to, under a hidden name; `finish` gives it its own: it is there whole or not at all."""

    def __init__(self, path: Path, room: int) -> None:
        """Begin; what a killed process left of it is overwritten.

        Args:
            path: where it goes.
            room: chunks a full shard holds.
        """
        self._path, self._aside = path, path.with_name(f".{path.name}.part")
        self._sizes: list[npt.NDArray[np.int64]] = []
        self._checksum = 0
        self.room = room
        self.count = 0

    def append(self, pieces: Sequence[Bytes], sizes: npt.NDArray[np.int64]) -> None:
        """Write chunks behind those there are.

        Args:
            pieces: the bytes of encoded chunks, in order, several of them in each.
            sizes: bytes of each chunk.

        Raises:
            OSError: the disk says no; nothing is left.
        """
        if not self._sizes:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._aside.unlink(missing_ok=True)
        self._write(pieces)
        self._sizes.append(sizes)
        self.count += len(sizes)

    def finish(self) -> str:
        """Write the index and name the file; its checksum.

        Raises:
            OSError: the disk says no; nothing is left.
        """
        sizes = np.concatenate(self._sizes)
        index = np.full((self.room, 2), _ABSENT, "<u8")
        index[: len(sizes), 0] = np.cumsum(sizes) - sizes
        index[: len(sizes), 1] = sizes
        table = index.tobytes()
        self._write([table, checksum(table).to_bytes(4, "little")])
        os.replace(self._aside, self._path)  # noqa: PTH105 - says what it does
        return f"{self._checksum:08x}"

    def _write(self, pieces: Sequence[Bytes]) -> None:
        try:
            with self._aside.open("ab") as file:
                file.writelines(pieces)  # type: ignore[arg-type] # arrays are buffers too
        except BaseException:
            self._aside.unlink(missing_ok=True)
            raise
        self._checksum = reduce(google_crc32c.extend, pieces, self._checksum)


def write_shard(path: Path, pieces: Sequence[Bytes], sizes: npt.NDArray[np.int64], room: int) -> str:
    """A zarr shard whose chunks are all there, as `GrowingShard` takes them; its checksum."""
    shard = GrowingShard(path, room)
    shard.append(pieces, sizes)
    return shard.finish()


def unpack(path: Path, room: int) -> Iterator[bytes]:
    """The encoded chunks of a zarr shard, one by one.

    Raises:
        DataError: shorter than its index, or the index is damaged.
    """
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - index_bytes(room)))
        for start, size in parse_index(file.read(), room, str(path)).tolist():
            if size:
                file.seek(start)
                yield file.read(size)


def index_bytes(room: int) -> int:
    """Bytes of the index at the end of a zarr shard with room for `room` chunks."""
    return 16 * room + 4


def parse_index(table: bytes, room: int, where: str) -> npt.NDArray[np.int64]:
    """Start and size in bytes of each chunk (room, 2); an absent one has size 0.

    Raises:
        DataError: too short or damaged.
    """
    if len(table) < index_bytes(room) or checksum(table[:-4]) != int.from_bytes(table[-4:], "little"):
        raise DataError(f"{where}: damaged zarr shard; cut the store again")
    index = np.frombuffer(table[:-4], "<u8").reshape(room, 2)
    return np.where(index == _ABSENT, 0, index).astype(np.int64)


def checksum(data: bytes) -> int:
    """CRC-32C of bytes."""
    return int(google_crc32c.value(data))


def file_checksum(path: Path) -> str:
    """CRC-32C of a file as eight hex digits; empty where there is no file."""
    try:
        with path.open("rb") as file:
            return f"{reduce(google_crc32c.extend, iter(partial(file.read, _BLOCK_BYTES), b''), 0):08x}"
    except FileNotFoundError:
        return ""
