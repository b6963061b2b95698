"""The user's own label files, identified by their sha256: a run goes on only with the file it began with.

A GeoPackage may have its last changes in a second file (-wal): the sha256 is then of both.
"""

from __future__ import annotations

import errno
from pathlib import Path

from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.runtime.hashing import file_sha256, json_sha256


def check_label_file(path: str, digest: str) -> str:
    """The sha256 (hex) of a label file, which is `digest`; an empty digest is not checked.

    Raises:
        DataError: the file is missing or has changed.
    """
    try:
        now = label_file_sha256(Path(path))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; the run's labels come from it: put it back, or train into another folder") from None
    if digest and now != digest:
        raise DataError(
            f"{path}: changed since the run began (sha256 {digest[:12]} then, {now[:12]} now); put that file back, or train into another folder"
        )
    return now


def resolve_label_file(path: str, option: str) -> tuple[str, str]:
    """The absolute path of a label file and its sha256 (hex).

    Raises:
        ConfigError: it cannot be read; names the option.
    """
    absolute = Path(path).resolve()
    try:
        return str(absolute), label_file_sha256(absolute)
    except OSError as error:
        raise ConfigError(f"{option} {path}: {error.strerror}; name a file that can be read") from None


def label_file_sha256(path: Path) -> str:
    """The sha256 (hex) of a label file; with those of a GeoPackage's second file, where there is one.

    Raises:
        OSError: it cannot be read.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for, for ever
        raise OSError(errno.EINVAL, "is a folder, a pipe or a device")
    whole = file_sha256(path)
    changes = path.with_name(f"{path.name}-wal")
    return json_sha256([whole, file_sha256(changes)]) if changes.is_file() else whole
