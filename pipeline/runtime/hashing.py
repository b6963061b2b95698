"""BLAKE3 of files, in the background while other work goes on: three times as fast as sha256, and input files are many."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from blake3 import blake3

from cropcam.pipeline.parallel import ordered
from cropcam.pipeline.shardfile import write_whole

_AT_ONCE = 2**18  # bytes: they stay in the processor's cache


Each = Callable[[Callable[[Path], str], Iterable[Path]], Iterable[str]]


def of_files(files: Mapping[str, Path], each: Each | None = None) -> dict[str, str]:
    """Digest of each file, under the name it was given; from threads of this process, if not `each` finds them."""
    return dict(zip(files, (each or ordered)(of_file, files.values()), strict=True))


def of_file(path: Path) -> str:
    """BLAKE3 of one file's bytes, as `b3sum` prints it: "blake3:" and 64 hex digits."""
    digest, room = blake3(), memoryview(bytearray(_AT_ONCE))
    with path.open("rb", buffering=0) as file:  # not mapped: a file cut short meanwhile would kill the process
        while count := file.readinto(room):
            digest.update(room[:count])
    return f"blake3:{digest.hexdigest()}"


def in_background(files: Mapping[str, Path], then: Path, each: Each | None = None) -> Future[dict[str, str]]:
    """The same from a thread of its own, file after file; when all are known they are written to `then` as JSON."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="digests")
    found = pool.submit(_kept, dict(files), then, each or map)
    pool.shutdown(wait=False)
    return found


def _kept(files: dict[str, Path], then: Path, each: Each) -> dict[str, str]:
    digests = of_files(files, each)
    write_whole(then, json.dumps(digests, indent=1, sort_keys=True).encode())
    return digests
