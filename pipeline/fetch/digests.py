"""Digests of whole files as Drive and Cloud Storage give them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

import google_crc32c

from cropcam.pipeline.errors import DataError

_BUFFER_BYTES = 2**20


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class Running:
    """A digest that takes bytes as they arrive, and at the end from the file those that it missed.

    Args:
        kind: "md5", "sha256" or "crc32c".

    Raises:
        DataError: another kind.
    """

    def __init__(self, kind: str) -> None:
        self._kind, self._at = kind, 0
        if kind == "md5":
            self._made: _Hash = hashlib.md5(usedforsecurity=False)
        elif kind == "sha256":
            self._made = hashlib.sha256()
        elif kind == "crc32c":
            self._made = google_crc32c.Checksum()  # type: ignore[no-untyped-call]
        else:
            raise DataError(f"a digest of kind {kind!r} is not known; update cropcam")

    def add(self, content: bytes, offset: int) -> None:
        """Take bytes of the file if they follow the last ones; of several threads that write, one at most is at that place."""
        if offset == self._at:
            self._made.update(content)
            self._at += len(content)

    def finish(self, path: Path) -> str:
        """The digest of the file, "KIND:HEX"; what was not taken yet is read."""
        with path.open("rb", buffering=0) as file:
            file.seek(self._at)
            while content := file.read(_BUFFER_BYTES):
                self.add(content, self._at)
        return f"{self._kind}:{self._made.digest().hex()}"


def is_whole(path: Path, size: int, digest: str, running: Running | None = None) -> bool:
    """Whether a file has this size and this digest; `running` has taken a part of it."""
    if not path.is_file() or path.stat().st_size != size:
        return False
    return (running or Running(digest.partition(":")[0])).finish(path) == digest
