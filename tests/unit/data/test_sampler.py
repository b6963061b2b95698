"""Order and flips of an epoch: functions of their arguments alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cropcam.model.data.sampler import (
    WINDOW_BLOCKS,
    joined_plans,
    plan_epoch,
    plan_in_order,
    seasons_seen,
    window_order,
)


@given(bags=st.integers(1, 30), rest=st.integers(0, 7), epoch=st.integers(0, 9))
def test_bags_that_divide_a_batch_are_never_split(bags: int, rest: int, epoch: int) -> None:
    bag_N = np.random.default_rng(1).permutation(np.repeat(np.arange(bags + 1), [8] * bags + [rest]))
    order_N = plan_epoch(len(bag_N), 3, epoch, bag_N=bag_N).index_N
    assert sorted(order_N) == list(range(len(bag_N)))
    for first in range(0, len(order_N), 16):
        members = np.unique(bag_N[order_N[first : first + 16]], return_counts=True)
        assert all(count == (8 if bag < bags else rest) for bag, count in zip(*members, strict=True))


def test_an_epoch_depends_on_seed_and_number_alone() -> None:
    first, again = plan_epoch(100, 3, 4), plan_epoch(100, 3, 4)
    assert (first.index_N == again.index_N).all()
    assert (first.flip_N2 == again.flip_N2).all()
    for other in (plan_epoch(100, 3, 5), plan_epoch(100, 4, 4)):
        assert (first.index_N != other.index_N).any()
        assert (first.flip_N2 != other.flip_N2).any()
    mixed = np.concatenate([plan_epoch(500, 0, epoch).flip_N2 for epoch in range(8)])
    kinds = np.unique(mixed, axis=0, return_counts=True)[1] / len(mixed)
    np.testing.assert_allclose(kinds, 0.25, atol=0.03, err_msg="all four symmetries equally often")


def test_quarter_turns_leave_the_order_and_the_flips() -> None:
    plain, transposed = plan_epoch(50, 2, 3), plan_epoch(50, 2, 3, rot90=True)
    assert (plain.index_N == transposed.index_N).all()
    assert (plain.flip_N2 == transposed.flip_N2).all()
    assert plain.transpose_N is None


@given(blocks=st.integers(1, 40), size=st.integers(1, 9), seed=st.integers(0, 99), epoch=st.integers(0, 9))
def test_a_streamed_order_has_each_patch_once_and_windows_of_whole_blocks(blocks: int, size: int, seed: int, epoch: int) -> None:
    block_N = np.random.default_rng(seed).permutation(np.repeat(np.arange(blocks) * 3, size))  # rows of patches cross several blocks
    order_N = window_order(block_N, seed, epoch)
    assert sorted(order_N) == list(range(len(block_N)))
    for first in range(0, len(order_N), WINDOW_BLOCKS * size):
        in_window, counts = np.unique(block_N[order_N[first : first + WINDOW_BLOCKS * size]], return_counts=True)
        assert len(in_window) <= WINDOW_BLOCKS
        assert (counts == size).all()


def test_a_streamed_plan_keeps_the_flips_of_the_plain_one() -> None:
    block_N = np.arange(40) // 4
    plain, streamed = plan_epoch(40, 2, 3), plan_epoch(40, 2, 3, block_N=block_N)
    assert (plain.flip_N2 == streamed.flip_N2).all()
    assert (streamed.index_N == window_order(block_N, 2, 3)).all()


def test_in_order_keeps_bags_together() -> None:
    assert plan_in_order(4).index_N.tolist() == [0, 1, 2, 3]
    assert plan_in_order(4, np.array([1, 0, 1, 0])).index_N.tolist() == [1, 3, 0, 2]


@given(count=st.integers(1, 60), seasons=st.integers(2, 6), drop=st.floats(0, 1), seed=st.integers(0, 99))
def test_a_patch_keeps_at_least_one_season(count: int, seasons: int, drop: float, seed: int) -> None:
    seen_NS = seasons_seen(np.random.default_rng(seed), count, seasons, drop)
    assert seen_NS.shape == (count, seasons)
    assert seen_NS.any(axis=1).all()
    assert seen_NS.all() or drop > 0


def test_the_share_of_patches_that_lose_seasons_and_every_number_of_them() -> None:
    seen_NS = seasons_seen(np.random.default_rng(0), 30_000, 3, 0.5)
    numbers = np.bincount(seen_NS.sum(axis=1), minlength=4) / len(seen_NS)
    np.testing.assert_allclose(numbers, [0, 0.25, 0.25, 0.5], atol=0.01)
    np.testing.assert_allclose(seen_NS.mean(axis=0), 0.75, atol=0.01, err_msg="no season is lost more often")


def test_dropped_seasons_leave_order_and_flips() -> None:
    plain, dropped = plan_epoch(50, 2, 3, rot90=True), plan_epoch(50, 2, 3, rot90=True, seasons=3, season_drop=0.5)
    for name in ("index_N", "flip_N2", "transpose_N"):
        assert (getattr(plain, name) == getattr(dropped, name)).all()
    assert plain.seen_NS is None
    assert joined_plans([plain, plain]).seen_NS is None
    assert joined_plans([dropped, dropped]).seen_NS.tolist() == [*dropped.seen_NS.tolist()] * 2
    assert dropped.seen_NS is not None
    assert plan_epoch(50, 2, 3, seasons=1, season_drop=0.5).seen_NS is None, "there is nothing to drop"
