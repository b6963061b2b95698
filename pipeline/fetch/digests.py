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


def digest_of(path: Path, kind: str) -> str:
    """The digest of a file, "KIND:HEX".

    Args:
        path: the file.
        kind: "md5", "sha256" or "crc32c".

    Raises:
        DataError: another kind.
    """
    if kind == "md5":
        made: _Hash = hashlib.md5(usedforsecurity=False)
    elif kind == "sha256":
        made = hashlib.sha256()
    elif kind == "crc32c":
        made = google_crc32c.Checksum()  # type: ignore[no-untyped-call]
    else:
        raise DataError(f"{path}: a digest of kind {kind!r} is not known; update cropcam")
    with path.open("rb", buffering=0) as file:
        while content := file.read(_BUFFER_BYTES):
            made.update(content)
    return f"{kind}:{made.digest().hex()}"


def is_whole(path: Path, size: int, digest: str) -> bool:
    """Whether a file has this size and this digest."""
    return path.is_file() and path.stat().st_size == size and digest_of(path, digest.partition(":")[0]) == digest
