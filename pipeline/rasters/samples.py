"""A few small windows of a raster, spread over it: always the same ones, at full resolution, for overviews may be made by any rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import Window
from cropcam.pipeline.raster_errors import UNREADABLE
from cropcam.pipeline.rasters.files import files_of
from cropcam.pipeline.rasters.masks import read_valid
from cropcam.pipeline.rasters.raster import Raster

WINDOWS = 24
_HEIGHT, _WIDTH = 16, 64  # few rows: a file in strips is read in whole rows
_STEP_YX = (0.7548776662466927, 0.5698402909980532)  # 1/p and 1/p^2, p^3 = p + 1: the points fill the plane evenly (Roberts 2018)


def spread(height: int, width: int, count: int) -> list[Window]:
    """Windows inside a raster of that size, evenly spread; in a small one fewer.

    >>> spread(16, 64, 24)
    [Window(row=0, col=0, height=16, width=64)]
    """
    rows, cols = max(height - _HEIGHT, 0), max(width - _WIDTH, 0)
    places = {
        tuple(int((0.5 + number * step) % 1 * (most + 1)) for step, most in zip(_STEP_YX, (rows, cols), strict=True))
        for number in range(count)
    }
    return [Window(row, col, min(height, _HEIGHT), min(width, _WIDTH)) for row, col in sorted(places)]


def sample(raster: Raster, count: int = WINDOWS) -> npt.NDArray[Any]:
    """Stored values (band, n) of `spread` windows, missing ones with the nodata of the raster's encoding; the file is opened once.

    Raises:
        DataError: the file is damaged there.
    """
    windows = spread(*raster.grid.shape_yx, count)
    try:
        with rasterio.open(raster.path) as file:
            numbers = list(raster.numbers or file.indexes)
            parts = []
            for window in windows:
                place = ((window.row, window.row + window.height), (window.col, window.col + window.width))
                values = file.read(numbers, window=place)
                raster.hide_missing(values, read_valid(file, numbers, raster.masked, place) if raster.masked else None)
                parts.append(values.reshape(len(numbers), -1))
    except UNREADABLE:
        files_of(raster.path)  # names a source of a virtual raster that is missing
        for window in windows:  # names the rows; a second reading may also succeed
            raster.read(window)
        raise DataError(f"{raster.path}: cannot be read; fetch the file again") from None
    return np.concatenate(parts, axis=1)
