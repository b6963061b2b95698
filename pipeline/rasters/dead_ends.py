"""Paths that are no raster that can be read: what they are instead, and the step that makes one of them."""

from __future__ import annotations

import os
import re
import shlex
import stat
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError

_ADDRESS = re.compile(r"(?:^|/)((?:https?|ftps?|file|s3|gs|az|abfss?|oss|swift):/.*)$", re.IGNORECASE)
_VIRTUAL = re.compile(r"^/vsi([a-z0-9_]+)/", re.IGNORECASE)
_PART = re.compile(r"(?:^|/)([A-Za-z][A-Za-z0-9_]{2,}:(?:\"[^\"]+\"|[^:\"]+):.+)$")  # GDAL's name of a part of a file
_NOT_READ = "addresses are not read: download it and name the file"
_ARCHIVES = ("zip", "tar", "gzip", "7z", "rar")
_PACKED = (  # first bytes, their place, what it is, how it is unpacked
    (b"PK\x03\x04", 0, "a zip archive", "unzip"),
    (b"\x1f\x8b", 0, "compressed by gzip", "gunzip -k"),
    (b"BZh", 0, "compressed by bzip2", "bunzip2 -k"),
    (b"\xfd7zXZ", 0, "compressed by xz", "unxz -k"),
    (b"7z\xbc\xaf\x27\x1c", 0, "a 7z archive", "7z x"),
    (b"ustar", 257, "a tar archive", "tar -xf"),
)
_TIFF, _HDF4 = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), b"\x0e\x03\x13\x01"
_TAR_NAME = re.compile(r"\.(?:tar\.\w+|tgz|tbz2?|txz)$", re.IGNORECASE)
_VECTORS = (".geojson", ".gpkg", ".shp", ".parquet", ".geoparquet", ".kml", ".fgb")
_RASTERS = (".tif", ".tiff", ".jp2", ".vrt", ".img")
_HEAD = 512  # bytes that tell a kind


def of_path(path: Path) -> str:
    """Why a path that is no file cannot be read, and the next step; empty where it is a file that can be."""
    if path.is_file():
        return "" if os.access(path, os.R_OK) else f"may not be read by you; allow it: chmod u+r {shlex.quote(str(path))}"
    text = str(path)
    if (found := _ADDRESS.search(text)) is not None:
        return f"is the address {re.sub(':/+', '://', found[1], count=1)}; {_NOT_READ}"
    if (found := _VIRTUAL.match(text)) is not None:
        return "is inside an archive; unpack it and name the file" if found[1].lower() in _ARCHIVES else f"is an address; {_NOT_READ}"
    return _of_folder(path) if path.is_dir() else _of_no_file(path)


def _of_no_file(path: Path) -> str:
    part, stub = _PART.search(str(path)), path.with_name(f".{path.name}.icloud")
    if path.is_symlink() and not path.exists():
        return f"is a link to {path.readlink()}, which is not there; name the file"
    if path.exists():
        return f"is {'a pipe' if stat.S_ISFIFO(path.stat().st_mode) else 'a device'}, no file; write it to a file first"
    if part is not None:
        return f"is a part of a file by GDAL's name for it; write it as GeoTIFF: gdal_translate {shlex.quote(part[1])} part.tif"
    return f"is in the cloud, only {stub.name} is on this disk; download it" if stub.exists() else "no such file"


def of_content(path: Path, why: str) -> str:
    """Why GDAL reads no raster in a file, and the next step; `why` is its own reason."""
    try:
        with path.open("rb") as file:
            head, size = file.read(_HEAD), os.fstat(file.fileno()).st_size
    except OSError as error:
        return f"cannot be read ({error.strerror}); copy it to a disk of this machine"
    text, name = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower(), shlex.quote(path.name)
    known = [
        (head[at:].startswith(magic), f"is {kind}; unpack it and name the rasters in it: {step} {name}")
        for magic, at, kind, step in _PACKED
    ]
    if _TAR_NAME.search(path.name):
        known = [(fits, f"is a packed tar archive; unpack it and name the rasters in it: tar -xf {name}") for fits, _ in known]
    known += [
        (not head, "is empty; fetch the file again"),
        (
            not any(head),
            f"begins with zeros: its {size:,} bytes were not all fetched, or it is a placeholder of a cloud folder; fetch it again",
        ),
        (
            head.startswith(b"version https://git-lfs"),
            f"is a pointer of Git LFS, not the file itself; fetch that: git lfs pull --include {name}",
        ),
        (text.startswith((b"<!doctype html", b"<html")), "is a web page, perhaps to log in, not a raster; fetch the file again"),
        (text.startswith((b"<?xml", b"<error")), f"is an XML text, no raster ({why}); fetch the file again"),
        (path.suffix.casefold() in _VECTORS, "holds vectors, not pixels; fields and areas go with --fields and --areas of 'cropcam train'"),
        (
            head.startswith(_TIFF),
            f"is cut short, damaged or still being written ({why}); wait until it is complete, or fetch the file again",
        ),
        (
            head.startswith(_HDF4),
            f"is HDF4, which is not read here; write what you need as GeoTIFF where GDAL reads it: gdalinfo {name} names its parts",
        ),
    ]
    return next((line for fits, line in known if fits), f"no readable raster ({why}); fetch the file again")


def of_parts(names: list[str]) -> str:
    """What to do with a file of several subdatasets, by GDAL's names of them."""
    some = ", ".join(name.rsplit(":", 1)[-1].strip("/") for name in names[:12]) + (" ..." if len(names) > 12 else "")
    part = names[0].rsplit(":", 1)[-1].strip("/").replace("/", "_")
    return f"holds {len(names)} subdatasets ({some}); write each you need as GeoTIFF: gdal_translate {shlex.quote(names[0])} {shlex.quote(part)}.tif"


def _of_folder(path: Path) -> str:
    try:
        with rasterio.open(path):
            return f"is a raster kept in a folder; write it as one file: gdal_translate {shlex.quote(str(path))} one.tif"
    except RasterioError:
        pass
    can_list = os.access(path, os.R_OK | os.X_OK)
    found = sorted(file.name for file in path.iterdir() if file.suffix.casefold() in _RASTERS) if can_list else []
    there = f": {', '.join(found[:3])}{' ...' if len(found) > 3 else ''}" if found else ""
    return f"is a folder; name the rasters in it{there}"
