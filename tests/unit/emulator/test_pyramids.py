"""Pyramids: which level a request reads, and what a level holds, against plain loops."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cropcam.pipeline.emulator import pyramids
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.pyramids import aggregate, level_grid, level_of, native_window, parse_policy, policy_of, strips
from cropcam.pipeline.grid import METRES_PER_DEGREE, PixelGrid, Window

NATIVE = PixelGrid("EPSG:32616", (30.0, 0.0, 400_000.0, 0.0, -30.0, 4_500_000.0), 2000, 1500)


def metres(scale: float, crs: str = "EPSG:32616") -> PixelGrid:
    return PixelGrid(crs, (scale, 0.0, 401_000.0, 0.0, -scale, 4_499_000.0), 10, 10)


def degrees(scale: float) -> PixelGrid:
    return PixelGrid("EPSG:4326", (scale / METRES_PER_DEGREE, 0.0, -88.0, 0.0, -scale / METRES_PER_DEGREE, 40.6), 10, 10)


@pytest.mark.parametrize("made", [metres, degrees])
@pytest.mark.parametrize(
    ("scale", "level"), [(1, 0), (30, 0), (59.999, 0), (60, 1), (119.9, 1), (120, 2), (239, 2), (240, 3), (480, 3), (10_000, 3)]
)
def test_the_level_is_the_coarsest_that_is_not_coarser_than_the_request(made: Any, scale: float, level: int) -> None:
    assert level_of(NATIVE, made(scale)) == level  # 2000 px fit 256 px after three halvings


def test_feet_and_metres_are_compared_as_lengths() -> None:
    feet = PixelGrid("EPSG:2271", (200.0, 0.0, 0.0, 0.0, -200.0, 0.0), 10, 10)  # of 0.3048 m: 60.96 m
    assert level_of(NATIVE, feet) == 1


@pytest.mark.parametrize(("side", "levels"), [(1, 0), (256, 0), (257, 1), (512, 1), (513, 2), (7800, 5)])
def test_levels_end_where_the_image_fits_one_tile(side: int, levels: int) -> None:
    native = PixelGrid("EPSG:32616", NATIVE.transform, side, 1)
    assert level_of(native, metres(1e6)) == levels
    assert max(level_grid(native, levels).shape_yx) <= 256


@pytest.mark.parametrize(
    ("name", "dtype", "policy"),
    [
        ("SR_B4", "uint16", "MEAN"), ("A00", "float32", "MEAN"), ("QA_PIXEL", "uint16", "SAMPLE"), ("QA_RADSAT", "uint16", "SAMPLE"),
        ("QA60", "uint16", "SAMPLE"), ("pixel_qa", "uint16", "SAMPLE"), ("SCL", "uint8", "SAMPLE"), ("Fmask", "uint8", "SAMPLE"),
        ("cropland", "uint8", "SAMPLE"), ("landcover", "uint8", "SAMPLE"), ("classification", "uint8", "SAMPLE"), ("Map", "uint8", "SAMPLE"),
        ("confidence", "uint8", "MEAN"), ("cs_cdf", "float32", "MEAN"), ("class_share", "float32", "MEAN"), ("zones", "uint8", "SAMPLE"),
    ],
)  # fmt: skip
def test_bits_and_codes_are_sampled_and_quantities_averaged(name: str, dtype: str, policy: str) -> None:
    assert policy_of(name, dtype, {"zones_class_values": [1, 2]}) == policy


def test_a_policy_has_a_name() -> None:
    assert parse_policy("sample") == "SAMPLE"
    with pytest.raises(EngineError, match="Invalid pyramiding policy 'NICE': it must be one of MEAN, SAMPLE"):
        parse_policy("NICE")


SHAPES = st.tuples(st.integers(1, 21), st.integers(1, 21))
RASTERS = SHAPES.flatmap(lambda shape: st.tuples(hnp.arrays(np.int16, shape, elements=st.integers(-9, 9)), hnp.arrays(np.bool_, shape)))


def cells(values: np.ndarray, valid: np.ndarray, step: int) -> list[list[list[int]]]:
    """The valid values below each pixel."""
    return [
        [values[r : r + step, c : c + step][valid[r : r + step, c : c + step]].tolist() for c in range(0, values.shape[1], step)]
        for r in range(0, values.shape[0], step)
    ]


@given(RASTERS, st.integers(1, 4))
def test_a_mean_is_that_of_all_valid_pixels_below(raster: tuple[np.ndarray, np.ndarray], level: int) -> None:
    values, valid = raster
    below = cells(values, valid, 1 << level)
    expected = [[np.nan if not cell else statistics.fmean(cell) for cell in row] for row in below]
    found, has = aggregate(values.astype(np.float32), valid, level, "MEAN")
    np.testing.assert_array_equal(has, ~np.isnan(expected))
    np.testing.assert_allclose(np.where(has, found, np.nan), expected, atol=1e-5)
    assert found.dtype == np.float32
    whole, _ = aggregate(values, valid, level, "MEAN")
    assert whole.dtype == np.int16
    distance = np.abs(whole - np.array(expected))[has]
    assert (distance <= 0.5 + 1e-9).all()


@given(RASTERS, st.sampled_from(["MIN", "MAX", "MODE", "MEDIAN"]))
def test_other_policies_equal_plain_loops_over_four_pixels(raster: tuple[np.ndarray, np.ndarray], policy: pyramids.Policy) -> None:
    values, valid = raster
    functions = {
        "MIN": min,
        "MAX": max,
        "MODE": lambda cell: min(cell, key=lambda value: (-Counter(cell)[value], value)),
        "MEDIAN": statistics.median,
    }
    expected = [[functions[policy](cell) if cell else 0 for cell in row] for row in cells(values, valid, 2)]
    found, has = aggregate(values.astype(np.float64), valid, 1, policy)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(has, [[bool(cell) for cell in row] for row in cells(values, valid, 2)])


@given(RASTERS, st.integers(1, 3))
def test_a_sample_is_the_upper_left_pixel_and_its_mask(raster: tuple[np.ndarray, np.ndarray], level: int) -> None:
    values, valid = raster
    found, has = aggregate(values, valid, level, "SAMPLE")
    for row, col in np.ndindex(found.shape):
        assert found[row, col] == values[row << level, col << level]
        assert has[row, col] == valid[row << level, col << level]


def test_a_mode_weighs_by_masks() -> None:
    values = np.array([[1, 1, 1, 1], [1, 1, 1, 1], [2, 9, 3, 3], [9, 9, 3, 3]])
    valid = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]], np.bool_)
    four, has = aggregate(values, valid, 1, "MODE")
    assert (four.tolist(), has.tolist()) == ([[1, 1], [9, 0]], [[True, True], [True, False]])
    assert aggregate(values, valid, 2, "MODE")[0].tolist() == [[9]]  # two quarters of a 1 against a whole 9


@given(st.integers(1, 5), st.integers(1, 700), st.integers(1, 900), st.integers(0, 5), st.integers(0, 7))
def test_strips_cover_a_window_and_stay_small(level: int, height: int, width: int, row: int, col: int) -> None:
    window = Window(row, col, height, width)
    parts = list(strips(window, level))
    assert [part.row for part in parts] == [row + sum(p.height for p in parts[:i]) for i in range(len(parts))]
    assert sum(part.height for part in parts) == height
    assert all((part.width, part.col) == (width, col) for part in parts)
    assert all(part.height == 1 or part.height * width << 2 * level <= 1 << 20 for part in parts)


def test_native_pixels_end_with_the_raster() -> None:
    native = PixelGrid("EPSG:32616", NATIVE.transform, 7, 9)
    assert level_grid(native, 2).shape_yx == (3, 2)
    assert native_window(Window(1, 1, 2, 1), 2, native) == Window(4, 4, 5, 3)
