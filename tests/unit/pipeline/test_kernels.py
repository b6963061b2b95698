"""Compiled loops over pixels, against plain numpy."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numcodecs import Blosc

from cropcam.pipeline import kernels


def test_where_nothing_can_be_kept_loops_are_compiled_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = numba.njit

    def nowhere(*args: object, cache: bool = False, **options: object) -> object:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")  # numba's own words
        return plain(*args, **options)

    monkeypatch.setattr("numba.njit", nowhere)
    loop = kernels._compiled("i8(i8)")(lambda value: value + 1)
    assert loop(41) == 42


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9))
def test_all_in_is_numpys_all_of_a_lookup(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    is_one = rng.random(256) < 0.97
    codes = rng.integers(0, 256, (height, width)).astype(np.uint8)
    assert kernels.all_in(codes, is_one) == is_one[codes].all()
    assert kernels.all_in(codes[::2, ::-1], is_one) == is_one[codes[::2]].all()  # any strides


@given(st.integers(0, 2**32 - 1), st.integers(1, 25), st.integers(1, 8))
def test_bins_are_numpys_histogram_of_every_tenth_row_without_nodata(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    patch = rng.integers(0, 65536, (3, height, width)).astype(np.uint16)
    patch[rng.random(patch.shape) < 0.3] = 0
    counted = np.full((3, kernels.BINS), 2, np.uint32)
    kernels.count_bins(patch, counted)
    for band in range(3):
        sample = patch[band, :: kernels.HISTOGRAM_STEP]
        expected, _ = np.histogram(sample[sample > 0], kernels.BINS, (0, 65536))
        np.testing.assert_array_equal(counted[band], expected + 2)


@pytest.mark.parametrize("calls_blosc", [True, False])
def test_frames_decode_to_their_rows_and_lie_one_behind_the_other(monkeypatch: pytest.MonkeyPatch, calls_blosc: bool) -> None:
    monkeypatch.setattr(kernels, "CALLS_BLOSC", calls_blosc and kernels.CALLS_BLOSC)
    rows = np.random.default_rng(0).integers(0, 40, (5, 300)).astype(np.uint8)
    out, sizes = np.zeros(7 + 5 * (300 + kernels.ROOM), np.uint8), np.zeros(5, np.int64)
    end = kernels.compress(rows, ("zstd", 3, 1, 2), out, 7, sizes)
    assert end == 7 + sizes.sum()
    assert not out[:7].any()
    starts = 7 + np.cumsum(sizes) - sizes
    for row, start, size in zip(rows, starts, sizes, strict=True):
        frame = out[start : start + size].tobytes()
        assert Blosc().decode(frame) == row.tobytes()
        assert frame == Blosc("zstd", 3, 1, 0, 2).encode(row.tobytes()) or not calls_blosc


def test_too_little_room_for_frames_is_an_error() -> None:
    if not kernels.CALLS_BLOSC:
        pytest.skip("numcodecs shows no Blosc function here")
    rows = np.zeros((2, 100), np.uint8)
    with pytest.raises(RuntimeError, match="Blosc could not compress a patch"):
        kernels.compress(rows, ("zstd", 3, 1, 1), np.zeros(100, np.uint8), 0, np.zeros(2, np.int64))
