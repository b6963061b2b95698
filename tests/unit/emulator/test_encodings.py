"""Pixels as bytes of files: NumPy, GeoTIFF, PNG, JPEG."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image as Picture

from cropcam.pipeline.emulator import encodings
from cropcam.pipeline.emulator.block_reader import Block
from cropcam.pipeline.emulator.images import Band, BandType
from cropcam.pipeline.emulator.pixels import Constant
from cropcam.pipeline.grid import tiles
from support.small_images import GRID

RNG = np.random.default_rng(4)


def bands(*dtypes: str) -> list[Band]:
    return [Band(f"B{number}", BandType.of(dtype), Constant(0, dtype)) for number, dtype in enumerate(dtypes)]


def blocks(values: np.ndarray, mask: np.ndarray) -> list[Block]:
    """The pixels in blocks of 2 x 2 px, masked ones 0 as images are read."""
    values = np.where(mask, values, 0).astype(values.dtype)
    return [Block(window, values[:, *window.slices], mask[:, *window.slices], 0.0) for window in tiles(GRID.shape_yx, (2, 2))]


@pytest.mark.parametrize("dtypes", [("uint16",), ("uint16", "uint16"), ("uint8", "float32")])
def test_numpy_files_are_structured_arrays_with_a_field_per_band(dtypes: tuple[str, ...]) -> None:
    values = RNG.integers(1, 200, (len(dtypes), *GRID.shape_yx)).astype(np.result_type(*dtypes))
    mask = RNG.random(values.shape) < 0.7
    head, data = encodings.npy(blocks(values, mask), GRID, bands(*dtypes))
    record = np.load(io.BytesIO(head + bytes(data)))
    assert record.dtype == np.dtype([(f"B{number}", dtype) for number, dtype in enumerate(dtypes)])
    np.testing.assert_array_equal(np.stack([record[name] for name in record.dtype.names]), values * mask)


@pytest.mark.parametrize(("dtype", "fill"), [("uint16", 0), ("int16", 0), ("float32", np.nan)])
def test_masked_pixels_of_a_geotiff_are_0_or_nan(dtype: str, fill: float) -> None:
    values = RNG.integers(1, 200, (2, *GRID.shape_yx)).astype(dtype)
    mask = RNG.random(values.shape) < 0.7
    with rasterio.MemoryFile(encodings.geotiff(blocks(values, mask), GRID, bands(dtype, dtype))) as memory, memory.open() as file:
        np.testing.assert_array_equal(file.read(), np.where(mask, values, fill))
        assert (file.crs.to_string(), tuple(file.transform)[:6], file.descriptions) == (GRID.crs, GRID.transform, ("B0", "B1"))
        assert file.tags()["CROPCAM_ENGINE"] == "embedded"


def test_a_block_takes_the_nodata_value_of_the_export() -> None:
    written: list[np.ndarray] = []

    class File:
        def write(self, values: np.ndarray, window: Any) -> None:
            written.append(values)
            assert (window.col_off, window.row_off, window.width, window.height) == (2, 0, 2, 2)

    values, mask = np.full((1, *GRID.shape_yx), 5, np.uint16), np.eye(3, 4, dtype=bool)[None]
    encodings.write_block(File(), blocks(values, ~mask)[1], np.dtype(np.uint16), 99)
    np.testing.assert_array_equal(written[0], [[[5, 5], [5, 5]]])
    encodings.write_block(File(), blocks(values, mask)[1], np.dtype(np.uint16), 99)
    np.testing.assert_array_equal(written[1], [[[99, 99], [99, 99]]])


@pytest.mark.parametrize(
    ("dtypes", "expected"), [(("uint8", "uint16"), "uint16"), (("uint8", "int8"), "int16"), (("uint16", "float32"), "float32")]
)
def test_the_common_type_holds_every_band(dtypes: tuple[str, ...], expected: str) -> None:
    assert encodings.common_type(bands(*dtypes)) == np.dtype(expected)


@pytest.mark.parametrize(
    ("file_format", "alpha", "media_type"),
    [("PNG", 255, "image/png"), ("JPEG", 0, "image/jpeg"), ("AUTO_JPEG_PNG", 255, "image/jpeg"), ("AUTO_JPEG_PNG", 0, "image/png")],
)
def test_a_picture_is_jpeg_where_nothing_is_transparent(file_format: str, alpha: int, media_type: str) -> None:
    rgba = np.full((8, 8, 4), 90, np.uint8)
    rgba[..., 3] = 255
    rgba[0, 0, 3] = alpha
    data, found = encodings.picture(rgba, file_format)
    assert found == media_type
    opened = np.asarray(Picture.open(io.BytesIO(data)))
    if media_type == "image/png":
        np.testing.assert_array_equal(opened, rgba)
    else:
        assert opened.shape == (8, 8, 3)
        assert np.abs(opened.astype(int) - 90).max() <= 3
