"""Output that is complete or absent, and locks between processes.

A writer fills a hidden sibling of the final path and renames it. A failed writer removes the sibling, the next writer
removes the sibling of a killed one. No lock and no partial file follows a symbolic link, and none is truncated.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from cropcam.pipeline.errors import DataError

_PARTIAL = ".partial"
_BEING_WRITTEN = "another process is writing it; wait for that one, or choose another place"


def atomic_write(path: Path, content: str | bytes, *, sync: bool = True) -> None:
    """Write a file; `path` then holds the old content or the new, never a part. Writers of one path wait for each other.

    Args:
        path: the file; its folder is made where absent.
        content: text is encoded as UTF-8.
        sync: wait for the disk. False where a file lost in a power cut is made again.

    Raises:
        OSError: the disk refuses; the error names `path`, which keeps its old content.
    """
    temp_path = path.with_name(f".{path.name}{_PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _create(temp_path) as file:
            try:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
                temp_path.replace(path)
            except BaseException:
                temp_path.unlink(missing_ok=True)
                raise
    except OSError as error:  # a failing write names no file
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None


@contextmanager
def kept_if_filled(*folders: Path) -> Iterator[None]:
    """Folders for the block; a refused block leaves none behind that it made and put nothing into.

    Raises:
        OSError: a folder cannot be made.
    """
    made: list[Path] = []
    try:
        for folder in folders:
            made += [path for path in (folder, *folder.parents) if not path.exists()]
            folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for path in sorted(made, key=lambda path: len(path.parts), reverse=True):
            with suppress(OSError):  # not empty
                path.rmdir()
        raise


@contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """A hidden sibling of `final` to write to, as a file or a folder; `publish` moves it when the block succeeds.

    Raises:
        DataError: another process writes to the same place.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(final), temporary_path(final, final.suffix) as temp_path:
        yield temp_path
        publish(temp_path, final)


@contextmanager
def temporary_path(final: Path, suffix: str = "") -> Iterator[Path]:
    """A hidden sibling of `final`, absent at first and removed at the end. The caller holds a lock.

    Args:
        final: the path that the sibling is named after.
        suffix: added to the name, for libraries that choose a format by it.
    """
    temp_path = final.with_name(f".{final.name}{_PARTIAL}{suffix}")
    remove(temp_path)
    try:
        yield temp_path
    finally:
        remove(temp_path)


def publish(temp_path: Path, final: Path) -> None:
    """Rename `temp_path` to `final`. A file replaces a file, a folder replaces a folder.

    Raises:
        OSError: the disk refuses, or one is a file and the other a folder.
    """
    old = final.with_name(f".{final.name}.old")
    if temp_path.is_dir() and final.is_dir():  # no system call replaces a folder that holds files
        remove(old)
        final.rename(old)
    temp_path.replace(final)
    remove(old)


@contextmanager
def exclusive_lock(final: Path, message: str = _BEING_WRITTEN) -> Iterator[None]:
    """Hold the right to write to `final`. The system releases a killed process's lock.

    Args:
        final: the file or folder; the lock is a hidden sibling, so a refused command leaves no folder behind.
        message: follows the path in the error.

    Raises:
        DataError: another process holds the lock, or a symbolic link lies in its place.
        OSError: the folder of `final` is absent or cannot be written.
    """
    path = final.with_name(f".{final.name}.lock")
    while True:
        with _open_no_follow(path, os.O_CREAT) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DataError(f"{final}: {message}") from None
            if not _is_at(file, path):
                continue  # the holder removed the file after it was opened here: this lock excludes no one
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def clear_partial_files(folder: Path) -> None:
    """Remove what killed processes left of `atomic_write` in a folder. A file that is being written stays."""
    for temp_path in folder.glob(f".*{_PARTIAL}"):
        if not temp_path.is_dir():
            _clear(temp_path, wait=False)


def remove(path: Path) -> None:
    """Remove a file, a folder or a symbolic link, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _create(temp_path: Path) -> BinaryIO:
    """A new file whose lock is held until it is closed. Waits for a process that writes it now."""
    while True:
        try:
            file = temp_path.open("xb")  # O_EXCL: neither follows a link nor truncates
        except FileExistsError:
            _clear(temp_path, wait=True)
            continue
        fcntl.flock(file, fcntl.LOCK_EX)
        if _is_at(file, temp_path):
            return file
        file.close()  # another writer took it for a killed process's file


def _clear(temp_path: Path, *, wait: bool) -> None:
    """Remove a partial file that no process writes; a living writer removes or renames its own."""
    if temp_path.is_symlink() or temp_path.is_dir():
        remove(temp_path)
        return
    try:
        with _open_no_follow(temp_path) as file:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _is_at(file, temp_path):
                temp_path.unlink(missing_ok=True)
    except (FileNotFoundError, BlockingIOError):
        return


def _open_no_follow(path: Path, flags: int = 0) -> BinaryIO:
    try:
        return open(path, "r+b", buffering=0, opener=lambda name, mode: os.open(name, mode | flags | os.O_NOFOLLOW, 0o666))
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise DataError(f"{path}: is a symbolic link in the place of a lock; remove it") from None
        raise


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False
