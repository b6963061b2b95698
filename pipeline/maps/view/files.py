"""The files behind a page: whether they are as they were when it was opened. Another map of the same name may have other classes."""

from __future__ import annotations

from pathlib import Path

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps.view.layers import Scene

Stamp = tuple[int, int, int]


class Files:
    """The files of a scene, as they were at its opening."""

    def __init__(self, scene: Scene) -> None:
        paths = {path for layer in scene.layers for path in (layer.raster, layer.minus) if path} | {*scene.shares.values()}
        self._stamps = {path: _stamp(path) for path in paths}

    def check(self, *paths: Path) -> None:
        """Whether files are as they were; all of the scene's by default.

        Raises:
            DataError: one is gone or was written again.
        """
        for path in paths or self._stamps:
            if (now := _stamp(path)) != self._stamps[path]:
                what = "was written again" if now else "is gone"
                raise DataError(f"{path.name}: {what} since the page was opened; start cropcam view again")


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
