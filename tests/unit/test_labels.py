from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.labels import presence


@given(counts=st.lists(st.integers(0, 2500), min_size=2, max_size=6).filter(any), percent=st.integers(0, 99))
def test_presence_counts_pixels_exactly(counts: list[int], percent: int) -> None:
    """The float32 share decides as exact arithmetic on pixel counts does, ties at the bound included."""
    total = sum(counts)
    share_NK = (np.array([counts]) / total).astype(np.float32)
    expected = [[float(100 * count > percent * total) for count in counts]]
    np.testing.assert_array_equal(presence(share_NK, percent / 100), np.array(expected, np.float32))


@pytest.mark.parametrize(("min_share", "expected"), [(0.0, [1, 0, 1]), (0.0004, [0, 0, 1]), (0.5, [0, 0, 1])])
def test_presence_above_the_share(min_share: float, expected: list[int]) -> None:
    share_NK = np.array([[1 / 2500, 0, 2499 / 2500]], np.float32)
    label_NK = presence(share_NK, min_share)
    assert label_NK.dtype == np.float32
    assert label_NK[0].tolist() == expected
