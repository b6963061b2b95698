"""Parts of a file as an HTTP `Range` header names them, sent from disk in pieces.

Source: RFC 9110, sections 14.1 to 14.4.
"""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from typing import BinaryIO, Literal

_PIECE = 2**20
_INVERT = bytes(255 - value for value in range(256))
Change = Literal["", "flipped", "inverted"]


class RangeNotSatisfiableError(Exception):
    """A range that begins behind the end of a file of so many bytes: 416."""


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """First byte and end (exclusive) of a `Range` header; None where the whole file is meant.

    A header that is malformed, or names several ranges, means the whole file.

    Args:
        header: for example "bytes=0-99", "bytes=100-" or "bytes=-10"; "" without one.
        size: of the file in bytes.

    Raises:
        RangeNotSatisfiableError: no byte of the range is in the file.
    """
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, stop = max(size - int(match[2]), 0), size
    else:
        start, stop = int(match[1]), min(int(match[2]) + 1, size) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
    if start >= stop:
        raise RangeNotSatisfiableError(size)
    return start, stop


@dataclass(frozen=True)
class FileSlice:
    """Bytes of an open file, as one part of a response.

    Attributes:
        file: open for reading; the caller closes it when the response is sent.
        start: the first byte.
        size: number of bytes.
        change: "" sends the bytes as they are; "flipped" sends the middle one wrong, "inverted" all of them.
    """

    file: BinaryIO
    start: int
    size: int
    change: Change = ""

    def __len__(self) -> int:
        return self.size

    def send(self, connection: socket.socket, most: int) -> None:
        """Send at most `most` bytes.

        Raises:
            OSError: the connection ended.
        """
        count = min(most, self.size)
        if count <= 0:
            return
        if self.change == "":
            connection.sendfile(self.file, self.start, count)
            return
        wrong = self.start + self.size // 2
        for place in range(self.start, self.start + count, _PIECE):
            piece = os.pread(self.file.fileno(), min(_PIECE, self.start + count - place), place)
            if self.change == "inverted":
                piece = piece.translate(_INVERT)
            elif place <= wrong < place + len(piece):
                at = wrong - place
                piece = piece[:at] + bytes([255 - piece[at]]) + piece[at + 1 :]
            connection.sendall(piece)
