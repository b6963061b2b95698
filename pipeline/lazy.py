"""Rasters as lazy xarray: dask arrays whose chunks are read when computed, placed on their grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import rioxarray  # noqa: F401 - adds .rio
import xarray as xr
from affine import Affine

from cropcam.pipeline.grid import PixelGrid, Window


def lazy_raster(
    read: Callable[[Window], npt.NDArray[Any]], grid: PixelGrid, dtype: npt.DTypeLike, chunk_px: int, bands: int = 0
) -> da.Array:
    """An array (band, y, x), or (y, x) without `bands`, of a whole grid; `read` gives the pixels of a window.

    Args:
        read: a window inside the grid to values of `dtype`. Called from several threads.
        grid: of the raster.
        dtype: of the values.
        chunk_px: side of a chunk; a chunk has all bands.
        bands: how many there are; 0 = no axis of bands.
    """

    def chunk(block_info: Any = None) -> npt.NDArray[Any]:  # noqa: ANN401 - dask's own
        (top, bottom), (left, right) = block_info[None]["array-location"][-2:]
        return read(Window(top, left, bottom - top, right - left))

    square = da.core.normalize_chunks((chunk_px, chunk_px), grid.shape_yx)  # type: ignore[no-untyped-call]
    return lazy_chunks(chunk, (*(((bands,),) if bands else ()), *square), dtype)


def lazy_chunks(read: Callable[..., npt.NDArray[Any]], chunks: tuple[tuple[int, ...], ...], dtype: npt.DTypeLike) -> da.Array:
    """An array of these chunks; `read` takes dask's `block_info`."""
    lazy: da.Array = da.map_blocks(read, chunks=chunks, dtype=dtype, meta=np.empty((0,) * len(chunks), dtype))  # type: ignore[no-untyped-call]
    return lazy


def placed(dataset: xr.Dataset, grid: PixelGrid) -> xr.Dataset:
    """The dataset with x and y (float64 pixel centres), and the grid's CRS and transform for `.rio`."""
    x, y = grid.centres()
    found: xr.Dataset = dataset.assign_coords(y=y, x=x).rio.write_crs(grid.crs).rio.write_transform(Affine(*grid.transform))
    return found
