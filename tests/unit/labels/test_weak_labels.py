"""Each kind of weak label reads only its own truth, and has the expected values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.model.labels.derive import noisy_proportions
from cropcam.model.labels.weak_labels import LabelSpec, WeakLabels, joined_labels, validate_proportions, weak_labels
from cropcam.model.options import KINDS
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend import UNLABELLED


@given(counts=st.lists(st.integers(0, 2**20), min_size=2, max_size=40).filter(any))
def test_shares_of_any_counts_are_valid(counts: list[int]) -> None:
    share_NK = (np.array([counts, [0] * len(counts)]) / sum(counts)).astype(np.float32)
    share_NK = np.concatenate([share_NK, np.full((1, len(counts)), np.nan, np.float32)])
    assert validate_proportions(share_NK, np.arange(3)) is share_NK


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.25, 0.25], r"sum 0\.5, smallest 0\.25"),
        ([0.8, 0.202], r"sum 1\.002, smallest 0\.202"),
        ([1.5, -0.5], r"sum 1, smallest -0\.5"),
        ([0.5, -0.5], r"sum 0, smallest -0\.5"),
        ([1.0, np.nan], r"sum nan"),
        ([np.inf, 0.0], r"sum inf"),
    ],
)
def test_invalid_shares_are_refused_with_the_index_of_the_first_patch(row: list[float], message: str) -> None:
    share_NK = np.array([[0.5, 0.5], [0.0, 0.0], row, [0.3, 0.7], row], np.float32)
    with pytest.raises(
        DataError, match=rf"2 of 5 patches .* not add up to 1, the first is patch 21 of the store \({message}.*cropcam check STORE"
    ):
        validate_proportions(share_NK, np.array([3, 8, 21, 30, 31]))


def forbidden() -> Any:
    raise AssertionError("this kind of label may not read it")


def random_truth(count: int = 12, seed: int = 0) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, (count, 6, 5)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.2] = UNLABELLED
    counts = (truth[..., None] == np.arange(4)).sum(axis=(1, 2))
    place = np.stack([np.arange(count) // 4, np.arange(count) % 4], axis=1).astype(np.int32)
    return (counts / counts.sum(axis=1, keepdims=True)).astype(np.float32), truth, place


@pytest.mark.parametrize(
    "spec", [LabelSpec(labels="presence"), LabelSpec(labels="majority"), LabelSpec(labels="shares"), LabelSpec(labels="shares", bag_size=3)]
)
def test_image_labels_do_not_read_pixel_truth(spec: LabelSpec) -> None:
    share, _, place = random_truth()
    labels = weak_labels(spec, 4, lambda: share, forbidden, lambda: place)
    assert labels.pixel_NHW is None
    assert labels.image_NK is not None


@pytest.mark.parametrize("spec", [LabelSpec(labels="points", points_per_patch=2), LabelSpec(labels="pixels")])
def test_pixel_labels_do_not_read_shares(spec: LabelSpec) -> None:
    _, truth, _ = random_truth()
    assert weak_labels(spec, 4, forbidden, lambda: truth, forbidden).image_NK is None


def test_points_are_the_requested_number_of_true_pixels() -> None:
    _, truth, _ = random_truth()
    points = weak_labels(LabelSpec(labels="points", points_per_patch=3, seed=5), 4, forbidden, lambda: truth, forbidden).pixel_NHW
    assert points is not None
    known = points != UNLABELLED
    assert (known.sum(axis=(1, 2)) == 3).all()
    np.testing.assert_array_equal(points[known], truth[known])


def test_a_bag_has_the_mean_shares_of_neighbouring_patches() -> None:
    share, _, place = random_truth(16)
    labels = weak_labels(LabelSpec(labels="shares", bag_size=4), 4, lambda: share, forbidden, lambda: place)
    assert labels.bag_N is not None
    assert labels.image_NK is not None
    for bag in range(4):
        members = labels.bag_N == bag
        assert members.sum() == 4
        assert np.ptp(place[members], axis=0).max() == 1, "four patches of a Z-shaped curve are a square"
        np.testing.assert_allclose(labels.image_NK[members], np.broadcast_to(share[members].mean(axis=0), (4, 4)), rtol=1e-6)


def test_a_bag_has_one_draw_of_noise() -> None:
    share, _, place = random_truth(16)
    labels = weak_labels(LabelSpec(labels="shares", bag_size=4, share_noise=0.1), 4, lambda: share, forbidden, lambda: place)
    assert labels.bag_N is not None
    assert labels.image_NK is not None
    for bag in range(4):
        rows = labels.image_NK[labels.bag_N == bag]
        assert (rows == rows[0]).all()
        assert np.abs(rows[0] - share[labels.bag_N == bag].mean(axis=0)).max() > 1e-3


def test_shares_that_all_round_to_0_are_unknown() -> None:
    share = np.array([[0.2, 0.24, 0.2, 0.18, 0.18], [0.3, 0.3, 0.2, 0.1, 0.1]], np.float32)
    noisy = noisy_proportions(share, 0.5, 0.0, np.random.default_rng(0))
    assert np.isnan(noisy[0]).all()
    assert noisy[1].tolist() == [0.5, 0.5, 0, 0, 0]
    for size in (1, 2):
        place = np.array([[0, 0], [4, 4]], np.int32)
        spec = LabelSpec(labels="shares", share_step=0.5, bag_size=size)
        labels = weak_labels(spec, 5, lambda: share[[0, 0]], forbidden, lambda place=place: place)
        assert not labels.labelled().any()


def test_points_noise_and_counts_do_not_depend_on_the_slice_size(monkeypatch: pytest.MonkeyPatch) -> None:
    _, truth, _ = random_truth(12)
    specs = [LabelSpec(labels="points", points_per_patch=2, label_noise=0.3), LabelSpec(labels="pixels", label_noise=0.3)]

    def outputs() -> list[Any]:
        labels = [weak_labels(spec, 4, forbidden, lambda: truth, forbidden) for spec in specs]
        return [value for item in labels for value in (item.pixel_NHW, item.class_pixels())]

    whole = outputs()
    monkeypatch.setattr("cropcam.model.labels.derive._SLICE_PATCHES", 5)
    for expected, actual in zip(whole, outputs(), strict=True):
        np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(whole[3][:5], [np.count_nonzero(whole[2] == index) for index in range(5)])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "shares"])
def test_label_noise_replaces_the_requested_share(kind: str) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, (400, 6, 6)).astype(np.uint8)
    counts = (truth[..., None] == np.arange(4)).sum(axis=(1, 2))
    share = (counts / 36).astype(np.float32)

    def labels(noise: float) -> WeakLabels:
        return weak_labels(LabelSpec(labels=kind, presence_min_share=0.25, label_noise=noise), 4, lambda: share, lambda: truth, forbidden)

    clean, noisy = labels(0.0), labels(0.3)
    if kind in ("points", "pixels"):
        assert clean.pixel_NHW is not None
        assert noisy.pixel_NHW is not None
        known = clean.pixel_NHW != UNLABELLED
        np.testing.assert_array_equal(known, noisy.pixel_NHW != UNLABELLED)
        wrong = (clean.pixel_NHW != noisy.pixel_NHW)[known].mean()
    else:
        assert clean.image_NK is not None
        assert noisy.image_NK is not None
        differing = clean.image_NK != noisy.image_NK
        wrong = differing.mean() if kind == "presence" else differing.any(axis=1).mean()
    assert wrong == pytest.approx(0.3, abs=0.08)


@pytest.mark.parametrize("without", [0.0, np.nan])
def test_an_unlabelled_patch_has_nan_labels(without: float) -> None:
    share = np.array([[0.5, 0.5], [without, without]], np.float32)
    for kind in ("presence", "majority", "shares"):
        image = weak_labels(LabelSpec(labels=kind), 2, lambda: share, forbidden, forbidden).image_NK
        assert image is not None
        assert np.isnan(image).all(axis=1).tolist() == [False, True]


def test_a_class_is_ubiquitous_from_995_of_1000_labelled_patches_on() -> None:
    present_NK = np.ones((1000, 4), np.float32)
    for k, absent in enumerate((4, 5, 6, 10)):
        present_NK[:absent, k] = 0
    unlabelled = np.full((300, 4), np.nan, np.float32)
    labels = WeakLabels("presence", image_NK=np.concatenate([present_NK, unlabelled]))
    found = labels.ubiquitous_classes()
    assert found is not None
    assert found.tolist() == [True, True, False, False]
    assert WeakLabels("majority", image_NK=present_NK).ubiquitous_classes() is None


def test_the_number_of_labels_is_of_what_can_differ() -> None:
    image_NK = np.array([[1, 0], [1, 0], [0, 1], [np.nan, np.nan]], np.float32)
    assert WeakLabels("shares", image_NK=image_NK).count == 3
    assert WeakLabels("shares", image_NK=image_NK, bag_N=np.array([4, 4, 7, 9])).count == 2
    pixel_NHW = np.array([[[0, 255], [255, 3]], [[255, 255], [255, 255]]], np.uint8)
    points = WeakLabels("points", pixel_NHW=pixel_NHW)
    assert (points.count, points.labelled().tolist(), points.class_pixels()[:4].tolist()) == (2, [True, False], [1, 0, 0, 1])


def test_several_stores_count_points_once_and_patches_each() -> None:
    parts = [WeakLabels(kind, image_NK=np.ones((1, 2), np.float32), n_unmatched=n) for kind, n in (("points", 5), ("points", 3))]
    assert joined_labels(parts).n_unmatched == 3
    areas = [
        WeakLabels("shares", image_NK=np.ones((2, 2), np.float32), bag_N=np.array([0, 1]), n_unmatched=2, notes=("a", "b")),
        WeakLabels("shares", image_NK=np.ones((3, 2), np.float32), bag_N=np.array([1, 0, 1]), n_unmatched=1, notes=("b", "c")),
    ]
    joined = joined_labels(areas)
    assert joined.bag_N is not None
    assert (joined.bag_N.tolist(), joined.n_unmatched, joined.notes) == ([0, 1, 3, 2, 3], 3, ("a", "b", "c"))


@pytest.mark.parametrize(("off", "is_valid"), [(0.0009, True), (-0.0009, True), (0.0011, False), (-0.0011, False)])
def test_shares_may_miss_1_by_a_thousandth(off: float, is_valid: bool) -> None:
    share_NK = np.array([[0.5, 0.5 + off]], np.float32)
    if is_valid:
        assert validate_proportions(share_NK, np.array([0])) is share_NK
    else:
        with pytest.raises(DataError, match="1 of 1 patches have class shares"):
            validate_proportions(share_NK, np.array([0]))
