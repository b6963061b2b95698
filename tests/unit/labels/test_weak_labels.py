from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.model.labels.derive import majority, noisy_proportions, presence, sample_points, zorder_bags
from cropcam.model.labels.weak_labels import LabelSpec, WeakLabels, validate_proportions, weak_labels
from cropcam.model.options import KINDS
from cropcam.model.training.data_summary import uninformative_labels
from cropcam.pipeline.errors import DataError
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


@given(counts=st.lists(st.integers(0, 2**20), min_size=2, max_size=40).filter(any))
def test_shares_of_any_counts_are_sound_and_come_back_as_they_are(counts: list[int]) -> None:
    share_NK = (np.array([counts, [0] * len(counts)]) / sum(counts)).astype(np.float32)
    share_NK = np.concatenate([share_NK, np.full((1, len(counts)), np.nan, np.float32)])
    assert validate_proportions(share_NK, np.arange(3)) is share_NK


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([0.25, 0.25], r"sum 0\.5, smallest 0\.25"),
        ([0.8, 0.202], r"sum 1\.002, smallest 0\.202"),
        ([1.5, -0.5], r"sum 1, smallest -0\.5"),
        ([0.5, -0.5], r"sum 0, smallest -0\.5"),
        ([1.0, np.nan], r"sum nan"),
        ([np.inf, 0.0], r"sum inf"),
    ],
)
def test_shares_that_are_none_are_refused_by_the_first_patchs_place_in_the_store(row: list[float], said: str) -> None:
    share_NK = np.array([[0.5, 0.5], [0.0, 0.0], row, [0.3, 0.7], row], np.float32)
    with pytest.raises(
        DataError, match=rf"2 of 5 patches .* not add up to 1, the first is patch 21 of the store \({said}.*cropcam check STORE"
    ):
        validate_proportions(share_NK, np.array([3, 8, 21, 30, 31]))


def forbidden() -> Any:
    raise AssertionError("this kind of label may not read it")


def made(count: int = 12, seed: int = 0) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, (count, 6, 5)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.2] = UNLABELLED
    counts = (truth[..., None] == np.arange(4)).sum(axis=(1, 2))
    place = np.stack([np.arange(count) // 4, np.arange(count) % 4], axis=1).astype(np.int32)
    return (counts / counts.sum(axis=1, keepdims=True)).astype(np.float32), truth, place


@pytest.mark.parametrize(
    "rule", [LabelSpec(labels="presence"), LabelSpec(labels="majority"), LabelSpec(labels="shares"), LabelSpec(labels="shares", bag_size=3)]
)
def test_image_labels_never_see_the_truth_of_a_pixel(rule: LabelSpec) -> None:
    share, _, place = made()
    labels = weak_labels(rule, 4, lambda: share, forbidden, lambda: place)
    assert labels.pixel_NHW is None
    assert labels.image_NK is not None


@pytest.mark.parametrize("rule", [LabelSpec(labels="points", points_per_patch=2), LabelSpec(labels="pixels")])
def test_pixel_labels_never_see_shares(rule: LabelSpec) -> None:
    _, truth, _ = made()
    assert weak_labels(rule, 4, forbidden, lambda: truth, forbidden).image_NK is None


def test_points_show_so_many_true_pixels_and_no_more() -> None:
    _, truth, _ = made()
    points = weak_labels(LabelSpec(labels="points", points_per_patch=3, seed=5), 4, forbidden, lambda: truth, forbidden).pixel_NHW
    assert points is not None
    known = points != UNLABELLED
    assert (known.sum(axis=(1, 2)) == 3).all()
    np.testing.assert_array_equal(points[known], truth[known])


def test_a_patch_with_fewer_labelled_pixels_gives_what_it_has() -> None:
    truth = np.full((2, 3, 3), UNLABELLED, np.uint8)
    truth[0, 1, 1] = 2
    points = sample_points(truth, 5, np.random.default_rng(0))
    np.testing.assert_array_equal(points, truth)
    assert sample_points(truth, 99, np.random.default_rng(0))[0, 1, 1] == 2


def test_points_are_drawn_evenly() -> None:
    truth = np.zeros((4000, 4, 4), np.uint8)
    hit = (sample_points(truth, 1, np.random.default_rng(1)) == 0).mean(axis=0)
    np.testing.assert_allclose(hit, 1 / 16, atol=0.015)


def test_groups_carry_the_mean_of_their_patches_and_lie_together() -> None:
    share, _, place = made(16)
    labels = weak_labels(LabelSpec(labels="shares", bag_size=4), 4, lambda: share, forbidden, lambda: place)
    assert labels.bag_N is not None
    assert labels.image_NK is not None
    for group in range(4):
        members = labels.bag_N == group
        assert members.sum() == 4
        assert np.ptp(place[members], axis=0).max() == 1, "four patches of a Z-shaped curve are a square"
        np.testing.assert_allclose(labels.image_NK[members], np.broadcast_to(share[members].mean(axis=0), (4, 4)), rtol=1e-6)


def test_the_curve_does_not_depend_on_the_order_of_patches() -> None:
    place = np.stack(np.meshgrid(np.arange(9), np.arange(7), indexing="ij"), axis=-1).reshape(-1, 2).astype(np.int32)
    order = np.random.default_rng(0).permutation(len(place))
    np.testing.assert_array_equal(zorder_bags(place, 5)[order], zorder_bags(place[order], 5))


def test_one_draw_of_noise_speaks_for_a_group() -> None:
    share, _, place = made(16)
    labels = weak_labels(LabelSpec(labels="shares", bag_size=4, share_noise=0.1), 4, lambda: share, forbidden, lambda: place)
    assert labels.bag_N is not None
    assert labels.image_NK is not None
    for group in range(4):
        mine = labels.image_NK[labels.bag_N == group]
        assert (mine == mine[0]).all()
        assert np.abs(mine[0] - share[labels.bag_N == group].mean(axis=0)).max() > 1e-3


def test_shares_that_all_round_to_nothing_do_not_tell_the_largest() -> None:
    share = np.array([[0.2, 0.24, 0.2, 0.18, 0.18], [0.3, 0.3, 0.2, 0.1, 0.1]], np.float32)
    found = noisy_proportions(share, 0.5, 0.0, np.random.default_rng(0))
    assert np.isnan(found[0]).all()
    assert found[1].tolist() == [0.5, 0.5, 0, 0, 0]
    for groups in (1, 2):
        place = np.array([[0, 0], [4, 4]], np.int32)
        rule = LabelSpec(labels="shares", share_step=0.5, bag_size=groups)
        labels = weak_labels(rule, 5, lambda: share[[0, 0]], forbidden, lambda place=place: place)
        assert not labels.labelled().any()


def test_points_noise_and_counts_do_not_depend_on_how_many_patches_are_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    _, truth, _ = made(12)
    rules = [LabelSpec(labels="points", points_per_patch=2, label_noise=0.3), LabelSpec(labels="pixels", label_noise=0.3)]

    def found() -> list[Any]:
        labels = [weak_labels(rule, 4, forbidden, lambda: truth, forbidden) for rule in rules]
        return [value for each in labels for value in (each.pixel_NHW, each.class_pixels())]

    whole = found()
    monkeypatch.setattr("cropcam.model.labels.derive._SLICE_PATCHES", 5)
    for ours, theirs in zip(whole, found(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(whole[3][:5], [np.count_nonzero(whole[2] == index) for index in range(5)])


@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.05, 0.1, 0.25]), st.floats(0, 0.3))
def test_perturbed_shares_still_add_up(seed: int, step: float, noise: float) -> None:
    share = np.random.default_rng(seed).dirichlet(np.ones(5), 20).astype(np.float32)
    found = noisy_proportions(share, step, noise, np.random.default_rng(seed))
    told = ~np.isnan(found).any(axis=1)
    assert told.all() or step or noise  # which may leave nothing of a patch's shares
    assert (found[told] >= 0).all()
    np.testing.assert_allclose(found[told].sum(axis=1), 1, atol=1e-5)
    if not step and not noise:
        np.testing.assert_array_equal(found, share)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "shares"])
def test_label_noise_replaces_that_many(kind: str) -> None:
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


def test_a_patch_without_labels_has_none() -> None:
    share = np.array([[0.5, 0.5], [0, 0]], np.float32)
    for kind in ("presence", "majority", "shares"):
        image = weak_labels(LabelSpec(labels=kind), 2, lambda: share, forbidden, forbidden).image_NK
        assert image is not None
        assert np.isnan(image).all(axis=1).tolist() == [False, True]


def test_class_shares_come_from_shares_and_pixels_alone() -> None:
    share, truth, place = made()
    told = {kind: weak_labels(LabelSpec(labels=kind), 4, lambda: share, lambda: truth, lambda: place).class_shares(4) for kind in KINDS}
    assert told["presence"] is None
    assert told["majority"] is None
    np.testing.assert_allclose(told["shares"], share.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(told["pixels"], np.bincount(truth[truth != UNLABELLED], minlength=4) / (truth != UNLABELLED).sum())
    assert told["points"] is not None
    assert told["points"].sum() == pytest.approx(1)


def test_what_labels_of_other_kinds_do_not_tell_is_said() -> None:
    never, always = "no training label names rice: it cannot be learned", "the training labels say corn 100.0% of the time"
    pixels = np.full((2, 3, 3), UNLABELLED, np.uint8)
    pixels[:, 0, 0] = 1
    for labels in (WeakLabels("majority", np.array([[0, 1, 0]] * 4, np.float32)), WeakLabels("points", pixel_NHW=pixels)):
        lines = list(uninformative_labels(labels, ("background", "corn", "rice")))
        assert never in lines
        assert any(line.startswith(always) for line in lines)
    assert not list(uninformative_labels(WeakLabels("shares", np.full((4, 3), 1 / 3, np.float32)), ("background", "corn", "rice")))


def test_classes_that_no_patch_lacks_are_said_not_to_be_told_apart() -> None:
    names = ("background", "corn", "rice")
    told = "next to no training patch lacks {}: these labels tell nothing of which pixels are which of them".format
    for present, expected in (([1, 0, 0], None), ([1, 1, 0], told("background and corn")), ([1, 1, 1], told("background, corn and rice"))):
        image = np.array([present] * 9 + [[1, 1, 1]] * 9, np.float32)
        lines = list(uninformative_labels(WeakLabels("presence", image), names))
        assert [line for line in lines if line.startswith("next to no")] == ([expected] if expected else [])


def test_the_majority_is_one_class() -> None:
    assert majority(np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]], np.float32)).tolist() == [[0, 1, 0], [1, 0, 0]]
