"""Digests: SHA-256 of bytes, files and JSON values; BLAKE3 of input rasters, three times as fast."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from blake3 import blake3

from cropcam.pipeline.runtime.atomic import atomic_write

_BUFFER_BYTES = 2**18  # stays in the processor's cache

Map = Callable[[Callable[[Path], str], Iterable[Path]], Iterable[str]]


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


def blake3_by_name(files: Mapping[str, Path], map_files: Map | None = None) -> dict[str, str]:
    """`file_blake3` of each file, under its name; in threads of this process without a `map_files`."""
    if map_files is None:
        from cropcam.pipeline.parallel import ordered  # noqa: PLC0415 - dask, which most commands do without

        map_files = ordered
    return dict(zip(files, map_files(file_blake3, files.values()), strict=True))


def blake3_in_background(files: Mapping[str, Path], output: Path, map_files: Map | None = None) -> Future[dict[str, str]]:
    """`blake3_by_name` in a thread of its own, one file at a time; the result is also written to `output` as JSON."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="digests")
    digests = pool.submit(_write_digests, dict(files), output, map_files or map)
    pool.shutdown(wait=False)
    return digests


def _write_digests(files: dict[str, Path], output: Path, map_files: Map) -> dict[str, str]:
    digests = blake3_by_name(files, map_files)
    atomic_write(output, json.dumps(digests, indent=1, sort_keys=True), sync=False)
    return digests
