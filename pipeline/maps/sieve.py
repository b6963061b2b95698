"""A class map without its smallest patches."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import rasterio
from rasterio.features import sieve

from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.maps.pixel_areas import pixel_hectares
from cropcam.pipeline.maps.windows import NODATA_CLASS


def least_pixels(grid: PixelGrid, hectares: float) -> int:
    """Pixels of the smallest patch that stays, by the geodesic area of the pixel in the middle of the grid.

    Raises:
        DataError: the CRS does not reach that pixel.
    """
    middle = pixel_hectares(grid, Window(grid.height // 2, grid.width // 2, 1, 1))
    return math.ceil(hectares / float(middle[0, 0]) - 1e-9)


def sieved(classes: Path, least: int, out: Path) -> None:
    """Write the first band of `classes` to the GeoTIFF `out`, with patches below `least` pixels given the class of their largest neighbour.

    Patches are connected by the sides of pixels. Nodata stays, and no patch becomes nodata. Memory: three bytes a pixel, and more for many patches.

    Source: GDAL's sieve filter, https://gdal.org/en/stable/programs/gdal_sieve.html.

    Raises:
        RasterioError: GDAL refuses.
    """
    with rasterio.open(classes) as dataset:
        classes_YX, profile = dataset.read(1), dataset.profile
    kept_YX = sieve(classes_YX, least, mask=classes_YX != NODATA_CLASS) if least > 1 else classes_YX
    profile = {key: profile[key] for key in ("crs", "transform", "width", "height", "dtype", "nodata")}
    with rasterio.open(out, "w", driver="GTiff", count=1, compress="zstd", bigtiff="if_safer", **profile) as written:
        written.write(np.where(classes_YX == NODATA_CLASS, classes_YX, kept_YX), 1)
