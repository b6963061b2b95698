"""Files of an archive, which may come from anyone: names that stay within it, GeoTIFFs and nothing else, JSON of the right form.

GDAL opens what a file's content asks for: a VRT of any name reads other files and the network, and files beside a GeoTIFF are
opened with it. Here one driver opens one file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.text_files import read_json_object

SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")  # of an asset's id, and a band's name
BLOCK_BYTES = 64 * 2**20  # of one block of a GeoTIFF, which is read whole
_OPTIONS = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}  # no .aux.xml, .ovr or .msk


def damaged(asset_id: str, what: str) -> EngineError:
    """The refusal of an asset that cannot be read."""
    return EngineError(f"Asset '{asset_id}' of the archive is damaged: {what}.", "FAILED_PRECONDITION")


def is_within(path: Path, *folders: Path) -> bool:
    """Whether a path lies in one of the folders once links are followed."""
    real = os.path.realpath(path)
    return any(real == root or real.startswith(f"{root}{os.sep}") for root in map(os.path.realpath, folders))


def read_about(path: Path, asset_id: str, *folders: Path) -> dict[str, Any]:
    """The object in a JSON file of the archive.

    Args:
        path: of the file.
        asset_id: of the asset, for the message.
        *folders: that the file must lie in.

    Raises:
        EngineError: it lies elsewhere, cannot be read, or holds no object.
    """
    if not is_within(path, *folders):
        raise damaged(asset_id, f"{path.name} leads out of the archive")
    try:
        return read_json_object(path, "a description of an asset")
    except DataError as error:
        raise damaged(asset_id, f"{path.name}: {str(error).removeprefix(f'{path}: ').rstrip('.')}") from None


def band_names(about: Mapping[str, Any], asset_id: str) -> list[str]:
    """The names of an asset's bands: of entries that are names, or objects with an "id".

    Raises:
        EngineError: an entry is neither, or a name that is none of a file.
    """
    entries = about.get("bands")
    if not isinstance(entries, list):
        raise damaged(asset_id, "asset.json: bands is no list")
    names = [entry.get("id") if isinstance(entry, Mapping) else entry for entry in entries]
    for name in names:
        check_band_name(name, asset_id)
    return [str(name) for name in names]


def check_band_name(name: object, asset_id: str) -> None:
    """Refuse a name that cannot be a file's in the folder of an asset.

    Raises:
        EngineError: it cannot.
    """
    if not isinstance(name, str) or len(name) > 200 or not SEGMENT.fullmatch(name):
        raise damaged(asset_id, f"{name!r:.100} is no name of a band: letters, digits, '_', '-' and '.', not at its beginning")


@contextmanager
def open_band(path: Path) -> Iterator[DatasetReader]:
    """A GeoTIFF of the archive, opened alone: no other driver, no other file, no network.

    Raises:
        RasterioError: it is none, or holds blocks of over 64 MiB.
        OSError: it cannot be read.
    """
    with rasterio.Env(**_OPTIONS), rasterio.open(path, driver="GTiff", sharing=False) as file:
        height, width = file.block_shapes[0]
        if height * width * np.dtype(file.dtypes[0]).itemsize > BLOCK_BYTES:
            raise RasterioError(f"its blocks have {height} x {width} px; at most {BLOCK_BYTES // 2**20} MiB are read")
        yield file
