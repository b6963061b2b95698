"""One process at a time trains into a run folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cropcam.pipeline.errors import DataError


@contextmanager
def run_lock(run: Path) -> Iterator[None]:
    """Hold the right to write to the run folder. The system lets go of a killed process's lock: only a living one counts.

    The file is a hidden sibling of the folder, so that a run refused for another reason leaves no folder behind.

    Raises:
        DataError: another process holds it.
        OSError: the folder above cannot be written.
    """
    run.parent.mkdir(parents=True, exist_ok=True)
    path = run.with_name(f".{run.name}.lock")
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"{run}: another process is training it; wait for that one, or name another folder") from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
