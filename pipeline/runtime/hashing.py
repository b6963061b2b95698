"""Digests: SHA-256 of bytes, files and JSON values; BLAKE3 of input rasters, three times as fast."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from blake3 import blake3

from cropcam.pipeline.runtime.tasks import cores

_BUFFER_BYTES = 2**18  # stays in the processor's cache


def sha256(content: bytes) -> str:
    """SHA-256 of bytes: 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file: 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_sha256(value: object) -> str:
    """SHA-256 of a JSON value in canonical form (sorted keys, no spaces): 64 hex digits."""
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


def file_blake3(path: Path) -> str:
    """BLAKE3 of a file, as `b3sum` prints it: "blake3:" and 64 hex digits."""
    digest, buffer = blake3(), memoryview(bytearray(_BUFFER_BYTES))
    with path.open("rb", buffering=0) as file:  # not mapped: a file cut short meanwhile would kill the process
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return f"blake3:{digest.hexdigest()}"


def blake3_by_name(files: Mapping[str, Path]) -> dict[str, str]:
    """`file_blake3` of each file, under its name; in threads."""
    with ThreadPoolExecutor(cores()) as pool:
        return dict(zip(files, pool.map(file_blake3, files.values()), strict=True))
