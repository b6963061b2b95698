"""Every file that GDAL reads for a raster: sidecars, masks, overviews, and the sources of a virtual raster with theirs."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import rasterio

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.raster_errors import UNREADABLE

# files beside a raster that GDAL names as its own and that are no rasters, by the end of their names
_TEXTS = (".xml", ".hdr", ".prj", ".tfw", ".tifw", ".tiffw", ".wld", ".aux", ".imd", ".rpb", ".txt", ".json", ".met")

Stamp = tuple[int, int, int]


def files_of(path: Path) -> tuple[Path, ...]:
    """The files from which GDAL reads a raster: the raster first, then its sidecars and sources, each once, in GDAL's order.

    Sources of sources count. A file inside an archive (/vsizip/) stands for its archive; what lies on a network is left out.

    Raises:
        DataError: a source of a virtual raster is missing.
    """
    found: dict[Path, None] = {path: None}
    known = {_number(path)} if path.exists() else set()
    waiting = [path]
    while waiting:
        raster = waiting.pop(0)
        for name in _listed(raster):
            file = _local(name)
            if file is None or file in found:
                continue
            if not file.exists():
                raise DataError(f"{file}: no such file, although {raster} reads it; put it back, or make {raster.name} again without it")
            if (number := _number(file)) in known:  # under another name
                continue
            known.add(number)
            found[file] = None
            if not file.name.lower().endswith(_TEXTS):
                waiting.append(file)
    return tuple(found)


def further_files(paths: Sequence[Path], stamps: Mapping[Path, Stamp] | None = None) -> list[Path]:
    """The files that are read with the rasters `paths` and are none of them, each once: of `stamps_of(paths)`, where it was asked before.

    Raises:
        DataError: as of `files_of`.
    """
    own = set(paths)
    return [file for file in (stamps_of(paths) if stamps is None else stamps) if file not in own]


def by_name(kind: str, paths: Sequence[Path]) -> dict[str, Path]:
    """Files under names for a record: KIND:NAME, numbered where several folders hold a file of one name.

    >>> list(by_name("image", [Path("a/b3.tif"), Path("b/b3.tif")]))
    ['image:b3.tif', 'image:b3.tif (2)']
    """
    seen: Counter[str] = Counter()
    found: dict[str, Path] = {}
    for path in paths:
        seen[path.name] += 1
        found[f"{kind}:{path.name}" + (f" ({seen[path.name]})" if seen[path.name] > 1 else "")] = path
    return found


def stamps_of(paths: Iterable[Path]) -> dict[Path, Stamp]:
    """Size in bytes, time of the last change in ns and number of each file of the rasters `paths`: another stamp is another content.

    Raises:
        DataError: as of `files_of`.
    """
    return {file: _stamp(file) for path in paths for file in files_of(path)}


def changed_since(before: Mapping[Path, Stamp], paths: Iterable[Path]) -> Path | None:
    """The first file of the rasters `paths` that changed, came or went since `before` (`stamps_of`); None where all is as it was.

    Raises:
        DataError: as of `files_of`.
    """
    now = stamps_of(paths)
    return next((file for file in (*before, *now) if before.get(file) != now.get(file)), None)


def _number(file: Path) -> tuple[int, int]:
    about = file.stat()
    return about.st_dev, about.st_ino


def _stamp(file: Path) -> Stamp:
    try:
        about = file.stat()
    except OSError:
        return (-1, 0, 0)  # gone
    return (about.st_size, about.st_mtime_ns, about.st_ino)


def _listed(path: Path) -> list[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a raster without a place
            with rasterio.open(path) as dataset:
                return list(dataset.files)
    except UNREADABLE:
        return []  # no raster of its own: a sidecar


def _local(name: str) -> Path | None:
    """A file of GDAL's list on the disk; None where it lies elsewhere."""
    if not name.startswith("/vsi"):
        return Path(name)
    parts = Path(name).parts
    for start in range(2, len(parts)):
        rest = Path(*parts[start:]) if parts[start].startswith("/") else Path("/", *parts[start:])
        for file in (rest, *rest.parents):
            if file.is_file():
                return file
    return None
