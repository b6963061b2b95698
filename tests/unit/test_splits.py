"""Splits depend on the block alone, every split has one, seeds matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.splits import deal


def grid(rows: int, cols: int) -> tuple[np.ndarray, np.ndarray]:
    row, col = np.divmod(np.arange(rows * cols, dtype=np.int32), np.int32(cols))
    return row, col


@given(st.integers(3, 30), st.integers(3, 30), st.integers(1, 10), st.integers(1, 10), st.integers(0, 1000), st.data())
def test_a_patchs_split_depends_on_its_block_alone(rows: int, cols: int, across: int, down: int, seed: int, data: st.DataObject) -> None:
    row, col = grid(rows, cols)
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=len(row), max_size=len(row))))
    row, col = row[keep], col[keep]
    blocks = sorted({(int(r) // down, int(c) // across) for r, c in zip(row, col, strict=True)})
    if len(blocks) < 3:
        with pytest.raises(DataError, match=r"patches lie in \d blocks? of .* need at least 3"):
            deal(row, col, (across, down), (0.7, 0.1, 0.2), seed)
        return
    split = deal(row, col, (across, down), (0.7, 0.1, 0.2), seed)
    of_block = {block: {int(s) for r, c, s in zip(row, col, split, strict=True) if (r // down, c // across) == block} for block in blocks}
    assert all(len(found) == 1 for found in of_block.values())
    assert set(split.tolist()) == {0, 1, 2}
    order = np.random.default_rng(seed).permutation(len(row))
    np.testing.assert_array_equal(deal(row[order], col[order], (across, down), (0.7, 0.1, 0.2), seed), split[order])


def test_fractions_are_kept_over_many_blocks() -> None:
    row, col = grid(100, 100)
    split = deal(row, col, (5, 5), (0.7, 0.1, 0.2), 0)
    np.testing.assert_allclose(np.bincount(split) / len(split), [0.7, 0.1, 0.2], atol=0.003)


def test_seeds_deal_otherwise_and_the_same_seed_does_not() -> None:
    row, col = grid(30, 30)
    first = deal(row, col, (5, 5), (0.7, 0.1, 0.2), 0)
    assert (first == deal(row, col, (5, 5), (0.7, 0.1, 0.2), 0)).all()
    assert (first != deal(row, col, (5, 5), (0.7, 0.1, 0.2), 1)).any()


def test_three_blocks_make_three_splits() -> None:
    row, col = grid(1, 3)
    assert sorted(deal(row, col, (1, 1), (0.2, 0.4, 0.4), 0).tolist()) == [0, 1, 2]
