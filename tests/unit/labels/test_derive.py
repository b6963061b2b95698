"""Weak labels derived from shares and pixel truth, against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.model.labels.derive import (
    bag_means,
    flip_labels,
    majority,
    noisy_proportions,
    presence,
    sample_points,
    symmetric_label_noise,
    zorder_bags,
)
from cropcam.pipeline.legend import UNLABELLED


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


def test_a_patch_with_fewer_labelled_pixels_has_fewer_points() -> None:
    truth = np.full((2, 3, 3), UNLABELLED, np.uint8)
    truth[0, 1, 1] = 2
    points = sample_points(truth, 5, np.random.default_rng(0))
    np.testing.assert_array_equal(points, truth)
    assert sample_points(truth, 99, np.random.default_rng(0))[0, 1, 1] == 2


def test_points_are_drawn_evenly() -> None:
    truth = np.zeros((4000, 4, 4), np.uint8)
    hit = (sample_points(truth, 1, np.random.default_rng(1)) == 0).mean(axis=0)
    np.testing.assert_allclose(hit, 1 / 16, atol=0.015)


def test_bags_do_not_depend_on_the_order_of_patches() -> None:
    place = np.stack(np.meshgrid(np.arange(9), np.arange(7), indexing="ij"), axis=-1).reshape(-1, 2).astype(np.int32)
    order = np.random.default_rng(0).permutation(len(place))
    np.testing.assert_array_equal(zorder_bags(place, 5)[order], zorder_bags(place[order], 5))


@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.05, 0.1, 0.25]), st.floats(0, 0.3))
def test_noisy_proportions_add_up_to_1(seed: int, step: float, noise: float) -> None:
    share = np.random.default_rng(seed).dirichlet(np.ones(5), 20).astype(np.float32)
    noisy = noisy_proportions(share, step, noise, np.random.default_rng(seed))
    known = ~np.isnan(noisy).any(axis=1)
    assert known.all() or step or noise  # which may leave nothing of a patch's shares
    assert (noisy[known] >= 0).all()
    np.testing.assert_allclose(noisy[known].sum(axis=1), 1, atol=1e-5)
    if not step and not noise:
        np.testing.assert_array_equal(noisy, share)


def test_the_majority_is_one_class() -> None:
    assert majority(np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]], np.float32)).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_bags_follow_the_z_curve() -> None:
    place_N2 = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [0, 2], [3, 3]], np.int32)
    assert zorder_bags(place_N2, 1).tolist() == [0, 1, 2, 3, 4, 5]
    assert zorder_bags(place_N2[::-1], 4).tolist() == [1, 1, 0, 0, 0, 0]
    assert zorder_bags(np.array([[2**19, 0], [0, 2**20 - 1], [0, 0]], np.int32), 1).tolist() == [2, 1, 0]


def test_bag_means_leave_out_unlabelled_patches() -> None:
    share_NK = np.array([[1, 0], [0.5, 0.5], [0, 0], [0, 0]], np.float32)
    means = bag_means(share_NK, share_NK.sum(axis=1) == 0, np.array([0, 0, 0, 1]))
    assert means.tolist() == [[0.75, 0.25], [0, 0]]


def test_label_noise_of_1_replaces_every_label() -> None:
    random, truth = np.random.default_rng(0), np.array([[[0, 1, 2, UNLABELLED]]], np.uint8)
    noisy = symmetric_label_noise(truth, 1.0, 3, random)
    assert (noisy[truth != UNLABELLED] != truth[truth != UNLABELLED]).all()
    assert noisy[0, 0, 3] == UNLABELLED
    assert flip_labels(np.array([[1, 0, 1]], np.float32), 1.0, True, random).tolist() == [[0, 1, 0]]
    flipped = flip_labels(np.array([[0, 1, 0]], np.float32), 1.0, False, random)
    assert (flipped.sum(), flipped[0, 1]) == (1, 0)


def test_a_class_is_present_above_the_share_not_at_it() -> None:
    share_NK = np.array([[0.05, 0.0500001, 0.0499999, 0.0]], np.float32)
    assert presence(share_NK, 0.05).tolist() == [[0, 1, 0, 0]]
    assert presence(share_NK, 0.0).tolist() == [[1, 1, 1, 0]]


def test_bags_follow_a_z_by_hand() -> None:
    """Rows before columns within each square of 2 x 2, squares of 4 x 4 after them."""
    place_N2 = np.array([[row, col] for row in range(4) for col in range(4)], np.int32)
    order = [[0, 0], [0, 1], [1, 0], [1, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 0], [2, 1], [3, 0], [3, 1], [2, 2], [2, 3], [3, 2], [3, 3]]
    bag_N = zorder_bags(place_N2, 1)
    assert [order[bag] for bag in bag_N] == place_N2.tolist()
    assert np.bincount(zorder_bags(place_N2, 3)).tolist() == [3, 3, 3, 3, 3, 1]


def test_a_bags_mean_is_of_its_labelled_patches() -> None:
    share_NK = np.array([[1.0, 0.0], [0.5, 0.5], [0.9, 0.1], [np.nan, np.nan]], np.float32)
    unknown_N = np.array([False, False, True, True])
    means = bag_means(share_NK, unknown_N, np.array([0, 0, 0, 1]))
    np.testing.assert_allclose(means, [[0.75, 0.25], [0.0, 0.0]])


def test_noise_on_shares_is_cut_off_at_0_and_scaled_to_1() -> None:
    class Fixed(np.random.Generator):
        def normal(self, *_: object, **__: object) -> np.ndarray:
            return np.array([[-0.3, 0.1, 0.0]])

    noisy = noisy_proportions(np.array([[0.2, 0.5, 0.3]], np.float32), 0.0, 0.1, Fixed(np.random.PCG64(0)))
    np.testing.assert_allclose(noisy, [[0.0, 0.6 / 0.9, 0.3 / 0.9]], rtol=1e-6)


def test_a_wrong_label_is_never_the_right_one() -> None:
    truth = np.random.default_rng(0).integers(0, 3, (50, 8, 8)).astype(np.uint8)
    noisy = symmetric_label_noise(truth, 1.0 - 1e-9, 3, np.random.default_rng(1))
    assert (noisy != truth).all()
    np.testing.assert_allclose(np.bincount(((noisy.astype(int) - truth) % 3).ravel(), minlength=3) / truth.size, [0, 0.5, 0.5], atol=0.03)
