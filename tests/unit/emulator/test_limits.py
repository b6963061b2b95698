"""The limits of the service and its messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.emulator import limits
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.grid import Window

LIMITS = Limits()


def test_a_request_at_the_limit_passes_and_one_more_row_is_refused() -> None:
    # uint16 counts 3 bytes a pixel with its mask byte: 4096 x 4096 x 3 = 50,331,648
    limits.check_pixels(4096, 4096, ["uint16"], LIMITS)
    with pytest.raises(EngineError, match=r"Total request size \(50343936 bytes\) must be less than or equal to 50331648 bytes\."):
        limits.check_pixels(4096, 4097, ["uint16"], LIMITS)


def test_sides_and_bands_are_limited() -> None:
    limits.check_pixels(32_768, 1, ["uint8"], LIMITS)
    with pytest.raises(EngineError, match=r"Pixel grid dimensions \(1x32769\) must be less than or equal to 32768"):
        limits.check_pixels(1, 32_769, ["uint8"], LIMITS)
    with pytest.raises(EngineError, match=r"Number of bands \(1025\) must be less than or equal to 1024"):
        limits.check_pixels(1, 1, ["uint8"] * 1025, LIMITS)
    with pytest.raises(EngineError, match="must be positive"):
        limits.check_pixels(0, 1, ["uint8"], LIMITS)
    with pytest.raises(EngineError, match="No bands"):
        limits.check_pixels(1, 1, [], LIMITS)


def test_an_export_is_too_large_above_its_max_pixels() -> None:
    limits.check_export(10_000, 10_000, ["uint16"], 100_000_000)
    with pytest.raises(EngineError, match=r"Export too large: specified 100010000 pixels \(max: 100000000\)\. Specify higher maxPixels"):
        limits.check_export(10_001, 10_000, ["uint16"], 100_000_000)


def test_bands_of_one_export_share_a_type() -> None:
    limits.check_export(1, 1, ["uint16", "uint16"], 1)
    with pytest.raises(EngineError, match="inconsistent types: Byte and Float32"):
        limits.check_export(1, 1, ["uint8", "float32"], 1)
    with pytest.raises(EngineError, match="inconsistent types: UInt16 and Int32"):
        limits.check_export(1, 1, ["uint16", "int32"], 1)
    with pytest.raises(EngineError, match="at least one band"):
        limits.check_export(1, 1, [], 1)


@pytest.mark.parametrize(("value", "dtype"), [(-1, "uint16"), (65_536, "uint16"), (0.5, "uint8")])
def test_nodata_fits_the_type(value: float, dtype: str) -> None:
    with pytest.raises(EngineError, match="out of range for the exported data type"):
        limits.check_no_data(value, dtype)
    limits.check_no_data(value, "float32")


@pytest.mark.parametrize(("pixel_bytes", "side"), [(1, 46_592), (2, 32_768), (4, 23_296), (14, 12_544)])
def test_default_file_sides_are_those_of_the_service(pixel_bytes: int, side: int) -> None:
    windows = limits.plan_files(side + 1, side + 1, pixel_bytes, None, 256, LIMITS)
    assert [(window.row, window.col) for window in windows] == [(0, 0), (0, side), (side, 0), (side, side)]


def test_an_image_within_one_file_is_one_file() -> None:
    assert limits.plan_files(1000, 500, 14, (1024, 512), 256, LIMITS) == [Window(0, 0, 500, 1000)]


@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(1, 8), st.integers(1, 8))
def test_files_cover_the_image_once(width: int, height: int, across: int, down: int) -> None:
    windows = limits.plan_files(width, height, 2, (256 * across, 256 * down), 256, LIMITS)
    assert sum(window.height * window.width for window in windows) == width * height
    assert len({(window.row, window.col) for window in windows}) == len(windows)
    assert all(window.row % 256 == 0 and window.col % 256 == 0 for window in windows)


@pytest.mark.parametrize(
    ("size", "tile_px", "words"),
    [
        ((300, 256), 256, r"File dimensions \(300x256\) must be positive multiples of the tile size \(256\)"),
        ((256, 0), 256, "positive multiples"),
        ((131_328, 256), 256, "must be less than or equal to 131072"),
        ((131_072, 131_072), 256, r"requested is 34359738368 bytes before compression \(2 bytes per pixel\)"),
        (None, 100, "Invalid tile size 100"),
    ],
)
def test_bad_file_dimensions_are_refused(size: tuple[int, int] | None, tile_px: int, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        limits.plan_files(131_072, 131_072, 2, size, tile_px, LIMITS)


def test_a_computed_image_counts_8_bytes_a_value() -> None:
    limits.check_output(1223, 1223, 7, LIMITS)
    with pytest.raises(EngineError, match="too large") as refused:
        limits.check_output(1225, 1225, 7, LIMITS)
    assert refused.value.message == (
        "Output of image computation is too large (7 bands for 1500625 pixels = 80.1 MiB > 80.0 MiB).\n"
        "If this is a reduction, try specifying a larger 'tileScale' parameter."
    )
    assert refused.value.code == 400
