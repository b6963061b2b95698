"""sha256 of files, in the background while other work goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from pipeline.parallel import ordered
from pipeline.shardfile import write_whole


def of_files(files: Mapping[str, Path]) -> dict[str, str]:
    """sha256 (hex) of each file, under the name it was given."""
    return dict(zip(files, ordered(of_file, files.values()), strict=True))


def of_file(path: Path) -> str:
    """sha256 (hex) of one file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def in_background(files: Mapping[str, Path], then: Path) -> Future[dict[str, str]]:
    """The same from a thread of its own, file after file; when all are known they are written to `then` as JSON."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="digests")
    found = pool.submit(_kept, dict(files), then)
    pool.shutdown(wait=False)
    return found


def _kept(files: dict[str, Path], then: Path) -> dict[str, str]:
    digests = {name: of_file(path) for name, path in files.items()}
    write_whole(then, [json.dumps(digests, indent=1, sort_keys=True).encode()])
    return digests
