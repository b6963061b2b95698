"""A store as lazy xarray datasets in physical units: the region as a map, and its patches one by one."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.lazy import lazy_chunks, lazy_raster, placed
from cropcam.pipeline.store.patch_store import PatchStore

_CHUNK_PATCHES = 256


def cube(store: PatchStore) -> xr.Dataset:
    """The whole region, in chunks of a zarr shard.

    image (band, y, x)   float32 in the physical unit, NaN = nodata
    label (y, x)         uint8, uint16   raw codes, with labels
    weight (y, x)        uint8           per cent, with weights
    valid, split, reason (patch_row, patch_col), share (patch_row, patch_col, class): the tables
    x, y                 float64 pixel centres in the CRS of `.rio.crs`; band, season (band)
    """
    info, grid, side = store.info, store.grid, store.info.layout.block_px
    image = lazy_raster(lambda window: store.encoding.physical(store.read(window)), grid, np.float32, side, len(info.bands))
    arrays: dict[str, Any] = {"image": (("band", "y", "x"), image, {"long_name": "image"})}
    if info.has_labels:
        arrays["label"] = (("y", "x"), lazy_raster(store.read_labels, grid, info.classes.table.dtype, side), {"long_name": "label code"})
    if info.has_weight:
        arrays["weight"] = (
            ("y", "x"),
            lazy_raster(store.read_weights, grid, np.uint8, side),
            {"long_name": "weight of the label", "units": "percent"},
        )
    table = ("patch_row", "patch_col")
    arrays |= {name: (table, store.table(name)) for name in ("valid", "split", "reason")}
    coords: dict[str, Any] = {"band": list(info.bands), "season": ("band", info.seasons)}
    if info.has_labels:
        arrays["share"] = ((*table, "class"), store.table("share"))
        coords["class"] = list(info.classes.names)
    return placed(xr.Dataset(arrays, coords=coords, attrs=info.attrs()), grid)


def patches(store: PatchStore, split: str | None = None) -> xr.Dataset:
    """The kept patches, row by row.

        image (patch, band, y, x)   float32 in the physical unit, NaN = nodata
        label (patch, y, x)         uint8, uint16   raw codes, with labels; share (patch, class)
        valid, split (patch)
        row, col (patch)            place in the tables; lon, lat (patch): degrees of the centre, WGS 84

    Args:
        store: the store.
        split: train, validation or test; every kept patch without one.

    Raises:
        DataError: no patch lies in that split.
    """
    info = store.info
    index_N = np.arange(len(store)) if split is None else store.split_indices(split)
    along = da.core.normalize_chunks((_CHUNK_PATCHES,), (len(index_N),))[0]  # type: ignore[no-untyped-call]

    def some(block_info: Any) -> npt.NDArray[np.int64]:  # noqa: ANN401
        start, stop = block_info[None]["array-location"][0]
        return index_N[start:stop]

    def image(block_info: Any = None) -> npt.NDArray[Any]:  # noqa: ANN401
        return store.encoding.physical(store.images(some(block_info)))

    def label(block_info: Any = None) -> npt.NDArray[Any]:  # noqa: ANN401
        return store.labels(some(block_info))

    bands, size, _ = store.patch_shape
    arrays: dict[str, Any] = {
        "image": (("patch", "band", "y", "x"), lazy_chunks(image, (along, (bands,), (size,), (size,)), np.float32), {"long_name": "image"}),
        "valid": ("patch", store.valid_N[index_N]),
        "split": ("patch", store.split_N[index_N]),
    }
    row_N, col_N = store.row_N[index_N], store.col_N[index_N]
    a, _, c, _, e, f = info.transform
    lon, lat = transform_points(info.crs, "EPSG:4326", c + a * size * (col_N + 0.5), f + e * size * (row_N + 0.5))
    coords: dict[str, Any] = {"band": list(info.bands), "season": ("band", info.seasons)}
    coords |= {name: ("patch", values) for name, values in (("row", row_N), ("col", col_N), ("lon", lon), ("lat", lat))}
    if info.has_labels:
        arrays["label"] = (
            ("patch", "y", "x"),
            lazy_chunks(label, (along, (size,), (size,)), info.classes.table.dtype),
            {"long_name": "label code"},
        )
        arrays["share"] = (("patch", "class"), store.share_NK[index_N])
        coords["class"] = list(info.classes.names)
    return xr.Dataset(arrays, coords=coords, attrs=info.attrs())
