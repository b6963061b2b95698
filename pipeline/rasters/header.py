"""The header of a raster file as GDAL reads it: place, types, tags and descriptions. No pixel is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid


@dataclass(frozen=True)
class Header:
    """What a file tells of itself; the tuples have one entry per band."""

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
        DataError: missing, damaged, without CRS, rotated, or with bands of several types.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        with rasterio.open(path) as file:
            if file.subdatasets and not file.count:
                raise DataError(f"{path}: holds several subdatasets; give one of them")
            if len(set(file.dtypes)) > 1:
                raise DataError(
                    f"{path}: its bands are of different types ({', '.join(sorted(set(file.dtypes)))}); give them one, for example with gdal_translate -ot"
                )
            return Header(
                path,
                _grid(path, file),
                np.dtype(file.dtypes[0]),
                tuple(file.scales),
                tuple(file.offsets),
                tuple(file.nodatavals),
                tuple(file.descriptions),
                tuple(tuple(flags) for flags in file.mask_flag_enums),
                tuple(file.colorinterp),
                tuple({**file.tags(number), **file.tags(number, ns="IMAGERY")} for number in file.indexes),
                file.block_shapes[0],
                file.tags(),
            )
    except (RasterioError, OSError) as error:
        raise DataError(f"{path}: no readable raster ({reason(error)}); fetch the file again") from None


def _grid(path: Path, file: rasterio.DatasetReader) -> PixelGrid:
    crs, transform = file.crs, file.transform
    if crs is None:
        raise DataError(
            f"{path}: has no CRS; fetch the file again if it was cut short, else assign the CRS, for example with gdal_edit.py -a_srs EPSG:n"
        )
    if transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
        raise DataError(f"{path}: is rotated or not north-up (transform {tuple(transform)[:6]}); warp it first, for example with gdalwarp")
    return PixelGrid(crs.to_string(), tuple(transform)[:6], file.width, file.height)


def reason(error: Exception) -> str:
    """The first line of the deepest cause of an error."""
    deepest: BaseException = error
    while deepest.__cause__ is not None:
        deepest = deepest.__cause__
    return str(deepest).splitlines()[0].rstrip(".")
