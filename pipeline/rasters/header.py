"""The header of a raster file as GDAL reads it: place, types, tags and descriptions. No pixel is read."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.raster_errors import UNREADABLE, reason
from cropcam.pipeline.rasters import dead_ends
from cropcam.pipeline.rasters.place import grid_of

_SIDECARS = (".xml", ".ovr", ".msk")
_GDAL_TYPES = {"uint8": "Byte", "int16": "Int16", "uint16": "UInt16", "int32": "Int32", "uint32": "UInt32", "float32": "Float32"}


@dataclass(frozen=True)
class Header:
    """The metadata of a file; the tuples have one entry per band."""

    path: Path
    grid: PixelGrid
    dtype: np.dtype[Any]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    nodata: tuple[float | None, ...]
    descriptions: tuple[str | None, ...]
    mask_flags: tuple[tuple[MaskFlags, ...], ...]
    color_interpretations: tuple[ColorInterp, ...]
    band_tags: tuple[Mapping[str, str], ...]
    tile_shape_yx: tuple[int, int]  # of the tiles or strips
    tags: Mapping[str, str]  # of the file


def read_header(path: Path) -> Header:
    """The header of one raster.

    Raises:
        DataError: missing, damaged, without a place on a north-up grid, or with bands of several types; names the step that mends it.
    """
    if why := dead_ends.of_path(path):
        raise DataError(f"{path}: {why}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a raster without a place is refused
            opened = rasterio.open(path)
        with opened as file:
            if not file.count:
                raise DataError(
                    f"{path}: {dead_ends.of_parts(file.subdatasets) if file.subdatasets else 'has no band; fetch the file again'}"
                )
            if len(set(file.dtypes)) > 1:
                raise DataError(
                    f"{path}: its bands are of different types ({', '.join(sorted(set(file.dtypes)))}); "
                    f"give them one: gdal_translate -ot {_common(file.dtypes)} {shlex.quote(path.name)} one-type.tif"
                )
            return Header(
                path,
                grid_of(path, file),
                np.dtype(file.dtypes[0]),
                tuple(file.scales),
                tuple(file.offsets),
                tuple(file.nodatavals),
                _descriptions(file),
                tuple(tuple(flags) for flags in file.mask_flag_enums),
                tuple(file.colorinterp),
                tuple({**file.tags(number), **file.tags(number, ns="IMAGERY")} for number in file.indexes),
                file.block_shapes[0],
                file.tags(),
            )
    except UNREADABLE as error:
        raise DataError(f"{path}: {dead_ends.of_content(path, reason(error))}") from None


def _descriptions(file: rasterio.DatasetReader) -> tuple[str | None, ...]:
    """Of each band; in a stack of single-band files that has none (gdalbuildvrt -separate) the files' names, in the order of the bands."""
    own = tuple(file.descriptions)
    sources = [Path(name).stem for name in file.files[1:] if not name.lower().endswith(_SIDECARS)] if file.driver == "VRT" else []
    return tuple(sources) if not any(own) and len(own) > 1 and len(sources) == len(own) else own


def _common(dtypes: Sequence[str]) -> str:
    """GDAL's name of a type that holds the values of all."""
    return _GDAL_TYPES.get(np.result_type(*dtypes).name, "Float64")
