"""What leaves a command is complete or absent: write aside, then rename. One writer at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cropcam.pipeline.errors import DataError


@contextmanager
def written_aside(final: Path) -> Iterator[Path]:
    """A hidden sibling of `final` to write to, as file or folder; renamed to `final` when the block ends well.

    When the block fails or is interrupted nothing is left; what a killed process left is removed by the next one.
    An existing file at `final` is replaced, an existing folder must have been dealt with by the caller.

    Raises:
        DataError: another process is writing to the same place.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    aside = final.with_name(f".{final.name}.partial{''.join(final.suffixes[-1:])}")
    with locked(final):
        remove(aside)
        try:
            yield aside
            os.replace(aside, final)  # noqa: PTH105 - folders too
        finally:
            remove(aside)


@contextmanager
def locked(final: Path) -> Iterator[None]:
    """Hold the right to write to `final`; a killed process's lock does not count.

    Raises:
        DataError: another process holds it.
    """
    lock = final.with_name(f".{final.name}.lock")
    while True:
        with lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DataError(f"{final}: another process is writing it; wait for that one, or choose another place") from None
            if not _is_at(file, lock):
                continue  # the one who held it removed it after it was opened here: this one keeps nobody out
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
            return


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
