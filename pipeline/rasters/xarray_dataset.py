"""Mosaics as one lazy xarray dataset, for inspection, plotting and dask.

image, labels = open_shards(folder, study)
dataset = lazy_dataset(image, labels)
"""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import rioxarray  # noqa: F401 - adds .rio
import xarray as xr
from affine import Affine

from cropcam.pipeline.grid import Window
from cropcam.pipeline.rasters.mosaic import LabelMosaic, RasterMosaic


def lazy_dataset(source: RasterMosaic, labels: LabelMosaic | None = None, chunk_px: int = 2048) -> xr.Dataset:
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
    grid = source.grid
    x, y = grid.centres()
    arrays: dict[str, Any] = {
        "image": (("band", "y", "x"), _lazy(source, source.encoding.dtype, chunk_px, len(source.bands)), source.encoding.cf_attrs())
    }
    if labels is not None:
        arrays["label"] = (("y", "x"), _lazy(labels, labels.table.dtype, chunk_px))
    dataset = xr.Dataset(arrays, coords={"band": list(source.bands), "y": y, "x": x})
    if not source.encoding.is_uniform:
        along = {name: ("band", list(getattr(source.encoding, name))) for name in ("scale", "offset", "nodata")}
        dataset = dataset.assign_coords(along)
    placed: xr.Dataset = dataset.rio.write_crs(grid.crs).rio.write_transform(Affine(*grid.transform))
    return placed


def _lazy(source: RasterMosaic | LabelMosaic, dtype: npt.DTypeLike, chunk_px: int, bands: int = 0) -> da.Array:
    height, width = source.grid.shape_yx

    def read(block_info: Any = None) -> npt.NDArray[Any]:  # noqa: ANN401 - dask's own
        (top, bottom), (left, right) = block_info[None]["array-location"][-2:]
        return source.read(Window(top, left, bottom - top, right - left))

    chunks = (*(((bands,),) if bands else ()), *da.core.normalize_chunks((chunk_px, chunk_px), (height, width)))  # type: ignore[no-untyped-call]
    lazy: da.Array = da.map_blocks(read, chunks=chunks, dtype=dtype, meta=np.empty((0,) * len(chunks), dtype))  # type: ignore[no-untyped-call]
    return lazy
