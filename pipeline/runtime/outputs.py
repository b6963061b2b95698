"""One check, before work starts, that a command may write to the places given: no output replaces what cropcam did not make.

What a command made before is known by its content: the tags of a raster, the keys of a JSON, a mark in a page or a picture. Commands hand in
the function that looks; a file that it does not know is refused, never replaced, unless the user asked for that (`overwrite`). An input, and
any file that is read with one, is never replaced.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.runtime.terminal import is_plain
from cropcam.pipeline.text_files import read_json_object

HIDDEN = "..partial"  # what a hidden sibling's name has more than the name itself, beside the suffix
MOST_BYTES = 255  # of a name, on the usual file systems
STORE = ("zarr.json", ".build/spec.json")  # by one of these a patch store is known, finished or not
# What a kind of file is called ends in one of these; folders of the second table in none that a file has, a store in .zarr or in nothing known.
TIFF = (".tif", ".tiff")
ENDINGS: Mapping[str, tuple[str, ...]] = {
    "map": TIFF,
    "layer": TIFF,
    "polygons": (".parquet", ".geoparquet", ".gpkg"),
    "picture": (".png", ".svg"),
    "sample": (".csv",),
    "scores of a map": (".json",),
    "page": (".html",),
    "model": (".onnx", ".pt2"),
}
_ZARR = ".zarr"
STORES = ("patch store", "segmentation")  # folders that may end in .zarr
LOG = "log"  # may also end in something that no other kind has
_OF_LOGS = (".log", ".jsonl", ".json", ".txt")
_OF_FILES = frozenset(
    {ending for endings in ENDINGS.values() for ending in endings}
    | {".pdf", ".jpg", ".jpeg", ".txt", ".toml", ".geojson", ".shp", ".nc", ".h5", ".hdf", ".vrt", ".zip", ".gz", ".xlsx", ".safetensors"}
)
_MARKED_BYTES = 2**16  # a mark lies at the start of a file
_DRIVER = re.compile(r"[A-Za-z][A-Za-z0-9_+.-]+:")  # GDAL reads it as a driver's name, others as that of a protocol


PAGE_MARK = '<meta name="generator" content="cropcam">'  # in the head of every page


def is_page(path: Path) -> bool:
    """Whether a file is an HTML page of cropcam's."""
    return is_marked(path, PAGE_MARK.encode())


def always(_: Path) -> bool:
    """Of a place whose content another check looks at."""
    return True


def never(_: Path) -> bool:
    """Of files that are not replaced even where cropcam made them."""
    return False


@dataclass(frozen=True)
class Output:
    """A file or folder that a command is about to write.

    Attributes:
        path: as the user gave it, or as it follows from that.
        option: with which the user can choose another name; empty for a file beside one.
        what: the field's word for it; it sets the endings of the name (`ENDINGS`).
        is_own: whether a file or folder that is there was made by cropcam and may be replaced, or gone on with.
        is_folder: a folder.
    """

    path: Path
    option: str
    what: str
    is_own: Callable[[Path], bool] = never
    is_folder: bool = False

    @property
    def named(self) -> str:
        """For messages."""
        return f"{self.option} {self.path}" if self.option else str(self.path)


def check_outputs(outputs: Sequence[Output], inputs: Iterable[Path | None] = (), *, overwrite: bool | None = None) -> None:
    """Refuse, before any work, what cannot be written, and what would replace something else.

    Args:
        outputs: all of one command, files beside others too.
        inputs: files and folders that the command reads, and the files that are read with them.
        overwrite: replace files that cropcam did not make; never an input, a folder or a link. None where the command has no such option.

    Raises:
        ConfigError: a name that no file can have, or that the libraries read otherwise; an ending of another kind; two outputs of one place.
        DataError: something else lies there; names it, and what to do.
    """
    read = [path for path in inputs if path is not None]
    for number, output in enumerate(outputs):
        check_name(output)
        if other := next((path for path in read if is_same(output.path, path)), None):
            itself = "" if str(other) == str(output.path) else f" ({other})"
            raise DataError(f"{output.named}: is an input of this command{itself}; choose another name")
        _check_place(output, overwrite=overwrite)
        check_kind(output)
        if any(is_same(output.path, each.path) for each in outputs[:number]):
            raise ConfigError(f"{output.named}: is named for two outputs; give each its own file")


def check_name(output: Output) -> None:
    """Refuse a name that no file can have, that a library would read as something else than a file, or that does not fit the kind.

    Raises:
        ConfigError: names the option.
    """
    path, text = output.path, str(output.path)
    if not is_plain(text):  # control characters, line ends, bytes that are no UTF-8
        raise ConfigError(f"{output.option} {text!r}: holds characters that no name of a file should have; choose another name".lstrip())
    if text.startswith("/vsi") or (not path.is_absolute() and _DRIVER.match(path.parts[0] if path.parts else "")):
        raise ConfigError(f"{output.named}: is read as an address or as the name of a driver, not as that of a file; choose another name")
    if path.suffix.casefold() == ".gpkg" and "!" in str(path.absolute()):  # pyogrio takes what follows for a file in an archive
        raise ConfigError(f"{output.named}: the name of a GeoPackage, and of its folder, cannot hold '!'; choose another name")
    longest = len(os.fsencode(path.name)) + len(HIDDEN) + len(os.fsencode(path.suffix))
    if longest > MOST_BYTES:
        raise ConfigError(f"{output.named}: its name is too long by {longest - MOST_BYTES} bytes; choose a shorter one")


def check_kind(output: Output) -> None:
    """Refuse a name that a user chose whose ending is that of another kind of file.

    Raises:
        ConfigError: names the option and the endings that fit.
    """
    ending, kind = output.path.suffix.casefold(), output.what
    if not output.option:
        return
    if not output.is_folder and kind in ENDINGS and ending not in ENDINGS[kind]:
        raise ConfigError(f"{output.named}: does not fit the kind of the file ({kind}); end the name in {_listed(ENDINGS[kind])}")
    if kind == LOG and ending in _OF_FILES | {_ZARR} and ending not in _OF_LOGS:
        raise ConfigError(f"{output.named}: does not fit the kind of the file ({kind}); end the name in {_listed(_OF_LOGS[:2])}")
    if output.is_folder and (ending in _OF_FILES or (ending == _ZARR and kind not in STORES)):
        fitting = f"end the name in {_ZARR}, or leave the ending out" if kind in STORES else "leave the ending out"
        raise ConfigError(f"{output.named}: does not fit the kind of the folder ({kind}); {fitting}")


def _listed(endings: Sequence[str]) -> str:
    return " or ".join(filter(None, [", ".join(endings[:-1]), endings[-1]]))


def is_same(one: Path, other: Path) -> bool:
    """Whether two paths are one place: by links, by "..", or on a disk that takes capitals and small letters for one."""
    try:
        return one.samefile(other)
    except OSError:  # at least one is not there yet
        pass
    first, second = one.resolve(), other.resolve()
    if first == second:
        return True
    return str(first).casefold() == str(second).casefold() and _is_case_blind(first.parent)


def is_marked(path: Path, mark: bytes) -> bool:
    """Whether a file holds a mark within its first 64 KiB."""
    try:
        with path.open("rb") as file:
            return mark in file.read(_MARKED_BYTES)
    except OSError:
        return False


def json_object(path: Path, *keys: str) -> Mapping[str, Any]:
    """The object in a JSON file, or the one within it under `keys`; an empty one where there is none, or no such file."""
    try:
        found: Any = read_json_object(path, "a file of cropcam's")
    except DataError:
        return {}
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _check_place(output: Output, *, overwrite: bool | None) -> None:
    path = output.path
    try:
        here = os.lstat(path)
    except FileNotFoundError:
        here = None
    except NotADirectoryError:
        here = None  # the parents are checked below
    except OSError as error:
        raise DataError(f"{output.named}: {error.strerror}; choose another place") from None
    for folder in path.absolute().parents:
        if folder.is_dir():
            break
        if os.path.lexists(folder):
            kind = "a link to a place that does not exist" if folder.is_symlink() else "a file"
            raise DataError(f"{output.named}: cannot lie there, since {folder} is {kind}; choose another place")
    if store := next((folder for folder in path.resolve().parents if any((folder / name).exists() for name in STORE)), None):
        raise DataError(f"{output.named}: lies inside the store {store}; choose a place outside it")
    if here is not None:
        _check_there(output, here, overwrite=overwrite)


def _check_there(output: Output, here: os.stat_result, *, overwrite: bool | None) -> None:
    """Refuse what lies there already, unless cropcam made it."""
    path = output.path
    if stat.S_ISLNK(here.st_mode):
        target = Path(os.path.realpath(path))
        if not path.exists():
            raise DataError(f"{output.named}: is a link to {target}, which does not exist; mount or make it, or choose another name")
        if not output.is_folder:
            raise DataError(f"{output.named}: is a link to {target}; name that, or choose another name")
    if path.is_dir() != output.is_folder:
        if output.is_folder:
            raise DataError(f"{output.named}: is a file; name a folder")
        example = path / f"{output.what.replace(' ', '-')}{ENDINGS.get(output.what, ('',))[0]}"
        raise DataError(f"{output.named}: is a folder; give the file name of the {output.what}, for example {example}")
    if not output.is_folder and not path.is_file():
        raise DataError(f"{output.named}: is no ordinary file; choose another name")
    if output.is_own(path) or (overwrite and not output.is_folder):
        return
    steps = ["choose another name"] if output.option else []  # a file without an option has its name from another
    steps += ["move that away", *(["give --overwrite"] if overwrite is not None and not output.is_folder else [])]
    step = ", or ".join([", ".join(steps[:-1]), steps[-1]]) if len(steps) > 1 else steps[0]
    raise DataError(f"{output.named}: is there already and holds no {output.what} that cropcam wrote; {step}")


def _is_case_blind(folder: Path) -> bool:
    """Whether the disk of a folder takes capitals and small letters for one, tried with names that are there."""
    for each in (folder, *folder.parents):
        other = each.with_name(each.name.swapcase()) if each.name else each
        if other != each and each.exists():
            return other.exists() and other.samefile(each)
    return False
