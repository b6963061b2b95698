"""Splits depend on the block alone, every split has one, seeds matter."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PatchGrid, PixelGrid
from cropcam.pipeline.patches.splits import assign, deal, deal_folds, dilated, units
from cropcam.pipeline.study.sections import Splits


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


GRID = PatchGrid(PixelGrid("EPSG:4326", (0.001, 0.0, -90.0, 0.0, -0.001, 41.0), 400, 300), 10)
ROW, COL = (part.ravel().astype(np.int32) for part in np.mgrid[:30, :40])
EAST = json.dumps({"type": "Polygon", "coordinates": [[[-89.7, 40], [-89, 40], [-89, 42], [-89.7, 42], [-89.7, 40]]]})


@given(st.integers(0, 4), st.integers(0, 9), st.sampled_from(["blocks", "folds"]), st.booleans())
def test_splits_keep_their_distance_and_blocks_stay_whole(gap: int, seed: int, method: str, holdout: bool) -> None:
    splits = Splits(block_patches=(10, 10), gap_patches=gap, method=method, holdout=EAST if holdout else "")
    split, left_out = assign(ROW, COL, splits, seed, GRID)
    kept = ~left_out
    for one in range(3):
        mine, other = kept & (split == one), kept & (split != one)
        far = np.maximum(abs(ROW[mine, None] - ROW[other]), abs(COL[mine, None] - COL[other]))
        assert far.min() > gap
    assert not (left_out & (split == 2)).any()
    unit = units(ROW, COL, splits, GRID)
    assert len(np.unique(np.stack([unit, split]), axis=1).T) == len(np.unique(unit))
    if holdout:
        np.testing.assert_array_equal(split == 2, COL >= 30)
    if not gap:
        assert not left_out.any()


def test_every_block_is_tested_in_exactly_one_fold() -> None:
    tested = sum(
        (assign(ROW, COL, Splits(block_patches=(5, 5), method="folds", folds=4, fold=k), 0, GRID)[0] == 2).astype(int) for k in range(4)
    )
    assert (tested == 1).all()


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"holdout": EAST.replace("-89", "-9")}, "no kept patch lies inside these polygons"),
        ({"holdout": EAST.replace("-89.7", "-99")}, "all .* kept patches lie inside these polygons; nothing is left to train on"),
        ({"gap_patches": 30, "block_patches": (10, 10)}, "splits.gap_patches = 30 leaves no"),
        ({"method": "folds", "folds": 9, "block_patches": (20, 20)}, "the folds need at least 9"),
    ],
)
def test_splits_that_cannot_be(splits: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        assign(ROW, COL, Splits(**splits), 0, GRID)  # type: ignore[arg-type]


@pytest.mark.parametrize(("fractions", "validation"), [((0.7, 0.1, 0.2), 0.125), ((0.4, 0.4, 0.2), 0.5), ((0.2, 0.2, 0.6), 0.5)])
def test_beside_a_hold_out_the_fractions_are_of_the_rest(fractions: tuple[float, float, float], validation: float) -> None:
    """The hold-out is the test split: train and validation share the rest as they share their sum."""
    split, _ = assign(ROW, COL, Splits(block_patches=(2, 2), fractions=fractions, holdout=EAST), 4, GRID)
    rest = split[COL < 30]
    assert set(rest.tolist()) == {0, 1}
    assert (rest == 1).mean() == pytest.approx(validation, abs=0.01)


def test_a_gap_beside_a_hold_out_takes_from_train_and_validation_alone() -> None:
    split, gap = assign(ROW, COL, Splits(block_patches=(5, 5), gap_patches=2, holdout=EAST), 4, GRID)
    assert gap[(COL == 28) | (COL == 29)].all(), "two patches wide"
    assert not gap[COL >= 30].any()
    assert not gap[(split == 1) & (COL < 28)].any(), "validation yields to the test split alone"


@pytest.mark.parametrize(
    ("blocks", "fractions", "counts"),
    [
        (10, (0.7, 0.1, 0.2), [7, 1, 2]),
        (10, (0.94, 0.03, 0.03), [8, 1, 1]),  # each has a block
        (4, (0.1, 0.45, 0.45), [1, 2, 1]),  # of equals the test split yields
        (4, (0.1, 0.5, 0.4), [1, 2, 1]),
        (4, (0.1, 0.4, 0.5), [1, 2, 1]),
        (8, (0.5, 0.5, 0.0), [4, 4, 0]),
    ],
)
def test_blocks_are_dealt_out_by_hand(blocks: int, fractions: tuple[float, float, float], counts: list[int]) -> None:
    row, col = grid(1, blocks)
    assert np.bincount(deal(row, col, (1, 1), fractions, 0), minlength=3).tolist() == counts


def test_folds_go_round_and_validation_is_the_next_one() -> None:
    row, col = grid(6, 6)
    rounds = [deal_folds(row, col, (1, 1), 4, fold, 2) for fold in range(4)]
    for this, following in zip(rounds, [*rounds[1:], rounds[0]], strict=True):
        np.testing.assert_array_equal(this == 1, following == 2)
    without_test = deal_folds(row, col, (1, 1), 4, 1, 2, has_test=False)
    np.testing.assert_array_equal(without_test, np.where(rounds[1] == 2, 1, 0))


def test_dilation_reaches_as_far_as_it_says() -> None:
    mask = np.zeros((9, 11), bool)
    mask[3, 1], mask[8, 10] = True, True
    rows, cols = np.mgrid[:9, :11]
    for by in (1, 2, 4):
        near = [np.maximum(abs(rows - row), abs(cols - col)) <= by for row, col in ((3, 1), (8, 10))]
        np.testing.assert_array_equal(dilated(mask, by), near[0] | near[1])


def test_blocks_are_wider_than_high_where_the_study_has_them_so() -> None:
    """`block_patches` is columns, rows."""
    row, col = grid(6, 12)
    split = deal(row, col, (4, 2), (0.4, 0.3, 0.3), 1)
    for number in range(9):
        inside = (row // 2 == number // 3) & (col // 4 == number % 3)
        assert len({*split[inside].tolist()}) == 1
    assert len({*deal(row, col, (12, 1), (0.4, 0.3, 0.3), 1)[row == 0].tolist()}) == 1


def test_patches_on_both_sides_of_a_hold_out_are_bound_to_nothing_in_common() -> None:
    splits = Splits(block_patches=(8, 8), holdout=EAST)
    unit = units(ROW, COL, splits, GRID)
    assert unit[(ROW == 0) & (COL == 29)] != unit[(ROW == 0) & (COL == 30)], "one block, and the edge of the hold-out between them"
    assert unit[(ROW == 0) & (COL == 24)] == unit[(ROW == 7) & (COL == 29)]
