"""A file on its way: its bytes so far, and a record of which they are, so that a killed run goes on where it stopped.

`DIR/.fetching/NAME.part` holds the bytes at their places, `NAME.state` a line of JSON with the file's identity and behind it, for
each piece of the file, the number of its bytes that are there: eight bytes each, written after the bytes they count.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.errors import WorkStoppedError
from cropcam.pipeline.fetch.remote import RemoteFile
from cropcam.pipeline.runtime.atomic import atomic_write, publish, remove

FOLDER = ".fetching"
PIECE_BYTES = 2**26
_COUNT = np.dtype("<u8")


@dataclass(frozen=True)
class Piece:
    """Bytes [start, end) of a file, of which those before `have` are there."""

    number: int
    start: int
    have: int
    end: int


class Partial:
    """One file on its way into a folder. Between `open` and `close` its pieces may be written, several at once, each by one thread."""

    def __init__(self, out: Path, file: RemoteFile, piece_bytes: int = PIECE_BYTES) -> None:
        self.file = file
        self.final = out / file.name
        self._part = out / FOLDER / f"{file.name}.part"
        self._state = out / FOLDER / f"{file.name}.state"
        self._about = {"key": file.key, "version": file.version, "size": file.size, "digest": file.digest, "piece_bytes": piece_bytes}
        self._piece_bytes = piece_bytes
        self._fds: tuple[int, ...] = ()
        self.is_anew = self._prepare()

    def _prepare(self) -> bool:
        """Keep the bytes that an earlier run left of this very file; whether it left those of another one."""
        head, counts = self._read_state()
        self._header_bytes = len(self._header())
        if head == self._about and len(counts) == self._piece_count and self._part.is_file():
            self._have = counts
            return False
        self.discard()
        self._have = np.zeros(self._piece_count, _COUNT)
        atomic_write(self._state, self._header() + self._have.tobytes(), sync=False)
        return head is not None and head != self._about

    def _header(self) -> bytes:
        return json.dumps(self._about).encode() + b"\n"

    @property
    def _piece_count(self) -> int:
        return -(-self.file.size // self._piece_bytes)

    def _read_state(self) -> tuple[object, npt.NDArray[Any]]:
        try:
            header, _, counts = self._state.read_bytes().partition(b"\n")
            return json.loads(header), np.frombuffer(counts, _COUNT).copy()
        except (OSError, ValueError, RecursionError):
            return None, np.zeros(0, _COUNT)

    def open(self) -> None:
        """Make ready for `write`; once more does nothing."""
        if self._fds:
            return
        part = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        self._fds = (part, os.open(self._state, os.O_WRONLY | os.O_NOFOLLOW))

    def close(self) -> None:
        """Close the files; they stay where they are."""
        for fd in self._fds:
            os.close(fd)
        self._fds = ()

    @property
    def have_bytes(self) -> int:
        """Bytes that are there."""
        return int(self._have.sum())

    def pieces(self) -> list[Piece]:
        """Pieces with bytes missing."""
        bounds = [(n, n * self._piece_bytes, min((n + 1) * self._piece_bytes, self.file.size)) for n in range(self._piece_count)]
        made = [Piece(number, start, min(start + int(self._have[number]), end), end) for number, start, end in bounds]
        return [piece for piece in made if piece.have < piece.end]

    def write(self, piece: Piece, content: bytes, offset: int) -> None:
        """Add bytes to a piece, right behind those that are there.

        Raises:
            WorkStoppedError: the disk refuses.
        """
        try:
            view, at = memoryview(content), offset
            while view:
                count = os.pwrite(self._fds[0], view, at)
                view, at = view[count:], at + count
            self._have[piece.number] = at - piece.start
            os.pwrite(self._fds[1], self._have[piece.number].tobytes(), self._header_bytes + _COUNT.itemsize * piece.number)
        except OSError as error:
            raise WorkStoppedError(
                f"{self.final}: {error.strerror}; what is there stays: free space and run the same command again"
            ) from None

    @property
    def path(self) -> Path:
        """Where the bytes are."""
        return self._part

    def publish(self) -> None:
        """Put the whole file in its place, at once."""
        self.close()
        publish(self._part, self.final)
        remove(self._state)

    def discard(self) -> None:
        """Forget what is there."""
        self.close()
        remove(self._state)
        remove(self._part)
