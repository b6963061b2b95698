"""Overlapping patches of a block: all pixels are covered, no patch is lost, weights add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.model.inference.sliding_window import SlidingWindow, tent, window_halo
from support.map_runs import ENCODING, random_dn


@given(st.integers(2, 60), st.integers(0, 12), st.integers(1, 12))
def test_every_pixel_of_a_block_is_covered(size_px: int, strides: int, rest: int) -> None:
    stride = size_px // 2
    length = strides * stride + rest
    halo = window_halo(size_px, stride)
    block = np.ones((1, length + 2 * halo, 1 + 2 * halo), np.float32)
    lattice = SlidingWindow.over(block, size_px, stride, halo)
    corners, _ = lattice.batch(0, len(lattice))
    covered = np.zeros(lattice.shape_yx, int)
    for row, col in corners:
        covered[row : row + size_px, col : col + size_px] += 1
    assert covered[halo : halo + length, halo].min() >= 4
    # patches one stride further out would not touch the block
    assert min(row for row, _ in corners) + size_px - stride <= halo
    assert min(row for row, _ in corners) == 0


@given(st.integers(1, 100))
def test_tent_is_positive_symmetric_and_highest_in_the_middle(size_px: int) -> None:
    weight = tent(size_px)
    assert weight.min() > 0
    np.testing.assert_array_equal(weight, weight[::-1])
    np.testing.assert_array_equal(weight, weight.T)
    assert weight.max() == weight[size_px // 2, size_px // 2]


@given(st.integers(2, 50).map(lambda half: 2 * half))
def test_tents_at_half_a_patch_add_up_evenly(size_px: int) -> None:
    half = size_px // 2
    weight = tent(size_px).astype(np.float64)
    together = weight[:half, :half] + weight[half:, :half] + weight[:half, half:] + weight[half:, half:]
    np.testing.assert_allclose(together, together[0, 0], rtol=1e-6)


def test_batches_are_all_of_one_size_and_hold_every_patch_once() -> None:
    values = ENCODING.physical(random_dn(np.random.default_rng(0), 48, 48))
    lattice = SlidingWindow.over(values, 16, 8, 8)
    assert len(lattice) == 25
    batches = [lattice.batch(start, 10) for start in range(0, 25, 10)]
    assert {patches.shape for _, patches in batches} == {(10, 3, 16, 16)}
    corners = [corner for found, _ in batches for corner in found]
    assert corners == [(row, col) for row in range(0, 40, 8) for col in range(0, 40, 8)]
    for found, patches in batches:
        for (row, col), patch in zip(found, patches, strict=False):
            np.testing.assert_array_equal(patch, values[:, row : row + 16, col : col + 16])
    assert np.isnan(batches[-1][1][5:]).all()


def test_patches_without_data_are_left_out() -> None:
    values = np.full((2, 30, 30), np.nan, np.float32)
    values[:, 20:, 20:] = 5
    window = SlidingWindow.over(values, 10, 5, 5)
    corners, patches = window.batch(0, len(window))
    every = [(row, col) for row in range(0, 25, 5) for col in range(0, 25, 5)]
    assert corners == [(row, col) for row, col in every if (values[:, row : row + 10, col : col + 10] == 5).any()]
    assert (patches == 5).any(axis=(1, 2, 3)).all()
    assert len(SlidingWindow.over(np.full((2, 30, 30), np.nan, np.float32), 10, 5, 5)) == 0


def test_a_band_without_data_is_no_data() -> None:
    values = np.ones((2, 10, 10), np.float32)
    values[1] = np.nan
    assert len(SlidingWindow.over(values, 10, 5, 5)) == 0


@pytest.mark.parametrize(("size_px", "stride_px"), [(50, 25), (51, 25), (9, 4), (1, 1)])
def test_the_halo_holds_every_patch_that_meets_the_block(size_px: int, stride_px: int) -> None:
    starts = [start for start in range(-10 * size_px // stride_px * stride_px, stride_px, stride_px) if start + size_px > 0]
    assert window_halo(size_px, stride_px) == -min(starts)
