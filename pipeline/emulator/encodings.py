"""Pixels as the bytes of a file: NumPy, GeoTIFF, PNG, JPEG."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from PIL import Image as Picture
from rasterio.io import MemoryFile

from cropcam.pipeline.emulator.block_reader import Block
from cropcam.pipeline.emulator.images import Band
from cropcam.pipeline.grid import PixelGrid

ENGINE_TAG = {"CROPCAM_ENGINE": "embedded"}
_ALPHA = 3


def npy(blocks: Iterable[Block], grid: PixelGrid, bands: Sequence[Band]) -> tuple[bytes, memoryview]:
    """Header and data of a .npy file: a structured array (y, x), one field per band in the band's type; masked = 0.

    That masked pixels are 0 in every type is how the clients at hand read it (xee unmasks first for that reason); it
    was not checked against the service.

    Source: Earth Engine REST reference, ImageFileFormat, NPY.
    """
    record = np.empty(grid.shape_yx, np.dtype([(band.name, band.type.dtype) for band in bands]))
    kinds = {band.type.dtype for band in bands}
    flat = record.view(kinds.pop()).reshape(*grid.shape_yx, len(bands)) if len(kinds) == 1 else None
    for block in blocks:
        slices = block.window.slices
        if flat is not None:
            flat[slices] = np.moveaxis(block.values, 0, -1)
            continue
        for band, values in zip(bands, block.values, strict=True):
            record[band.name][slices] = values
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(record))
    return head.getvalue(), record.reshape(-1).view(np.uint8).data


def geotiff(blocks: Iterable[Block], grid: PixelGrid, bands: Sequence[Band]) -> bytes:
    """A GeoTIFF in the smallest type that holds every band; masked pixels are 0, in floating point NaN."""
    dtype = common_type(bands)
    profile = geotiff_profile(grid, len(bands), dtype) | {"compress": "none"}
    with MemoryFile() as memory:
        with memory.open(**profile) as file:
            describe(file, bands)
            for block in blocks:
                write_block(file, block, dtype, None)
        return bytes(memory.getbuffer())


def common_type(bands: Sequence[Band]) -> np.dtype[Any]:
    """The smallest type that holds every band."""
    return np.result_type(*(band.type.dtype for band in bands))


def geotiff_profile(grid: PixelGrid, count: int, dtype: np.dtype[Any], tile_px: int = 256) -> dict[str, Any]:
    """How the service lays out a GeoTIFF: tiles of 256 px, bands interleaved by pixel, LZW."""
    return {
        "driver": "GTiff", "dtype": dtype.name, "count": count, "width": grid.width, "height": grid.height, "crs": grid.crs,
        "transform": rasterio.Affine(*grid.transform), "tiled": True, "blockxsize": tile_px, "blockysize": tile_px,
        "interleave": "pixel", "compress": "lzw", "BIGTIFF": "IF_SAFER",
    }  # fmt: skip


def describe(file: Any, bands: Sequence[Band]) -> None:  # noqa: ANN401 - rasterio's writer is not typed
    """Write band names and the engine tag."""
    for number, band in enumerate(bands, 1):
        file.set_band_description(number, band.name)
    file.update_tags(**ENGINE_TAG)


def write_block(file: Any, block: Block, dtype: np.dtype[Any], no_data: float | None) -> None:  # noqa: ANN401 - as above
    """Write a block; masked pixels become `no_data`, by default NaN in floating point and 0 otherwise."""
    fill = no_data if no_data is not None else np.nan if dtype.kind == "f" else 0
    values = block.values.astype(dtype, copy=False)
    if fill != 0:
        values = np.where(block.mask, values, dtype.type(fill))
    row, col, height, width = block.window
    file.write(values, window=rasterio.windows.Window(col, row, width, height))


def picture(rgba: npt.NDArray[np.uint8], file_format: str) -> tuple[bytes, str]:
    """A picture (y, x, 4) as PNG or JPEG, and its media type; "AUTO_JPEG_PNG" is JPEG where nothing is transparent."""
    opaque = bool((rgba[..., _ALPHA] == 255).all())
    as_jpeg = file_format == "JPEG" or (file_format == "AUTO_JPEG_PNG" and opaque)
    out = io.BytesIO()
    if as_jpeg:
        Picture.fromarray(np.ascontiguousarray(rgba[..., :_ALPHA])).save(out, "JPEG", quality=90)
    else:
        Picture.fromarray(rgba).save(out, "PNG", compress_level=3)
    return out.getvalue(), "image/jpeg" if as_jpeg else "image/png"
