"""A file of labels that the user brings: where it lies, and that it is still the one a run began with."""

from __future__ import annotations

from pathlib import Path

from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.runtime.hashing import sha256


def content(path: str, digest: str) -> bytes:
    """The bytes of a run's own file, read once.

    Args:
        path: where it lies.
        digest: sha256 (hex) of the file the run began with; empty = any.

    Raises:
        DataError: it is gone, or is another one than the run's.
    """
    try:
        found = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; the run's labels come from it: put it back, or train into another folder") from None
    if digest and (theirs := sha256(found)) != digest:
        raise DataError(
            f"{path}: changed since the run began (sha256 {digest[:12]} then, {theirs[:12]} now); put that file back, or train into another folder"
        )
    return found


def settled(path: str, option: str) -> tuple[str, str]:
    """The full path of a file that was given, and its sha256 (hex).

    Raises:
        ConfigError: it cannot be read; names the option.
    """
    where = Path(path).resolve()
    try:
        return str(where), sha256(where.read_bytes())
    except OSError as error:
        raise ConfigError(f"{option} {path}: {error.strerror}; name a file that can be read") from None
