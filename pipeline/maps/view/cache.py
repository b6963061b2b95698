"""Where files that the page needs and no artefact has are kept from one call to the next: quick looks, a run's own maps."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cropcam.pipeline.errors import DataError


def default_cache() -> Path:
    """The user's cache of the page: `$XDG_CACHE_HOME/cropcam/view`, by default in `~/.cache`."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - Path.home() raises without a home
    return Path(root) / "cropcam" / "view"


@contextmanager
def cache_folder(wanted: Path | None, log: Callable[[str], object]) -> Iterator[Path]:
    """A folder that can be written to. Where the user's cache cannot, a temporary folder that goes with the block.

    Args:
        wanted: the user's choice; `default_cache` by default.
        log: called with one line where a temporary folder is used.

    Raises:
        DataError: `wanted` cannot be written.
    """
    folder = wanted or default_cache()
    try:
        _try(folder)
    except OSError as error:
        if wanted is not None:
            raise DataError(f"{folder}: cannot be written ({error.strerror}); choose another folder with --cache") from None
        log(f"note: {folder} cannot be written ({error.strerror}); pictures are made in a temporary folder, and again next time")
        with tempfile.TemporaryDirectory(prefix="cropcam-view-") as temporary:
            yield Path(temporary)
        return
    yield folder


def _try(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
