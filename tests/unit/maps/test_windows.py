from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.grid import Window
from cropcam.pipeline.maps.windows import has_data, highest, read_block
from support.memory_source import Memory


@given(row=st.integers(0, 8), col=st.integers(0, 8), height=st.integers(1, 9), width=st.integers(1, 9), halo_px=st.integers(0, 20))
def test_a_block_is_the_padded_rasters_cut_in_physical_values(row: int, col: int, height: int, width: int, halo_px: int) -> None:
    dn = np.arange(1, 2 * 17 * 17 + 1, dtype=np.uint16).reshape(2, 17, 17)
    dn[1, 3, 4] = 0
    physical = np.where(dn == 0, np.nan, dn.astype(np.float32) * np.float32(0.5) + np.float32(-0.25))
    padded = np.pad(physical, ((0, 0), (halo_px, halo_px), (halo_px, halo_px)), constant_values=np.nan)
    block = read_block(Memory(dn, scale=0.5, offset=-0.25), Window(row, col, height, width), halo_px)
    assert block.dtype == np.float32
    np.testing.assert_array_equal(block, padded[:, row : row + height + 2 * halo_px, col : col + width + 2 * halo_px])


@given(st.integers(1, 6), st.integers(0, 999))
def test_highest_is_argmax(classes: int, seed: int) -> None:
    scores = np.random.default_rng(seed).integers(0, 4, (classes, 7, 5)).astype(np.float32)
    np.testing.assert_array_equal(highest(scores), scores.argmax(axis=0))


@given(seasons=st.integers(1, 4), bands=st.integers(1, 3), seed=st.integers(0, 99))
def test_a_pixel_has_data_where_one_season_is_complete(seasons: int, bands: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    block = np.where(random.random((seasons * bands, 4, 5)) < 0.3, np.nan, 1.0).astype(np.float32)
    expected = [
        [any(not np.isnan(block[first : first + bands, y, x]).any() for first in range(0, len(block), bands)) for x in range(5)]
        for y in range(4)
    ]
    np.testing.assert_array_equal(has_data(block, seasons), expected)
