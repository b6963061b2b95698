"""Mosaics as one lazy xarray dataset, for inspection, plotting and dask.

image, labels = open_shards(folder, study)
dataset = lazy_dataset(image, labels)
"""

from __future__ import annotations

from typing import Any

import xarray as xr

from cropcam.pipeline.lazy import lazy_raster, placed
from cropcam.pipeline.rasters.label_mosaic import LabelMosaic
from cropcam.pipeline.rasters.mosaic import RasterMosaic
from cropcam.pipeline.rasters.own_image import DerivedImage


def lazy_dataset(source: RasterMosaic | DerivedImage, labels: LabelMosaic | None = None, chunk_px: int = 2048) -> xr.Dataset:
    """Image and labels as one lazy dataset on their grid; pixels are read when computed.

        image (band, y, x)           values as they are stored, of the files' type; attributes scale_factor, add_offset and _FillValue,
                                     or coordinates scale, offset and nodata along `band` where bands differ
        label (y, x)                 label codes, uint8 or uint16 by the legend; 0 = no label, or, where 0 is a class, the legend's own code for it
        x (x), y (y)         float64 pixel centres in the CRS of `.rio.crs` (rioxarray's `spatial_ref`)

    Args:
        source: the image.
        labels: its labels, on the same grid.
        chunk_px: side of a dask chunk.
    """
    grid, encoding = source.grid, source.encoding
    image = lazy_raster(source.read, grid, encoding.dtype, chunk_px, len(source.bands))
    arrays: dict[str, Any] = {"image": (("band", "y", "x"), image, encoding.cf_attrs())}
    if labels is not None:
        arrays["label"] = (("y", "x"), lazy_raster(labels.read, grid, labels.table.dtype, chunk_px))
    along = {name: ("band", values) for name, values in encoding.coordinates().items()}
    return placed(xr.Dataset(arrays, coords={"band": list(source.bands), **along}), grid)
