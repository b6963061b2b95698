from __future__ import annotations

import numpy as np
import pytest
import torch

from model.labels import WeakLabels
from model.losses import Targets
from model.weighing import LEAST_SHARE, RARE_SHARE, Weighing, class_weights, prior_bias


def test_a_rare_class_of_shares_counts_as_one_of_a_tenth() -> None:
    rng = np.random.default_rng(0)
    share_NK = rng.dirichlet([9, 3, 0.1], 50).astype(np.float32)
    share_NK[7] = np.nan
    mean_K = np.nanmean(share_NK, axis=0)
    weight_2K = class_weights("rare", WeakLabels("shares", image_NK=share_NK), 3)
    assert weight_2K is not None
    np.testing.assert_allclose(weight_2K, np.tile([1, 1, RARE_SHARE["rare"] / mean_K[2]], (2, 1)), rtol=1e-5)


@pytest.mark.parametrize("share", [0.0, 1e-7])
def test_a_class_that_is_hardly_there_does_not_outweigh_all_others(share: float) -> None:
    weight_2K = class_weights("rare", WeakLabels("shares", image_NK=np.array([[1.0 - share, share]] * 2, np.float32)), 2)
    assert weight_2K is not None
    np.testing.assert_allclose(weight_2K[0], [1, RARE_SHARE["rare"] / LEAST_SHARE], rtol=1e-4)


def test_shares_are_weighted_by_class_and_stay_what_they_are() -> None:
    valid, share = torch.ones(2, 3, 3, dtype=torch.bool), torch.tensor([[0.5, 0.5, 0.0], [torch.nan] * 3])
    weight_2K = torch.tensor([[1.0, 2.0, 3.0]] * 2)
    targets = Weighing("shares", weight_2K=weight_2K)(Targets(valid, image_BK=share))
    assert targets.weight_K is not None
    assert targets.weight_K.tolist() == [1.0, 2.0, 3.0]
    assert targets.weight_BK is None
    assert targets.image_BK is share


@pytest.mark.parametrize("kind", ["presence", "majority", "points"])
def test_rare_answers_count_as_much_as_frequent_ones(kind: str) -> None:
    rng = np.random.default_rng(1)
    if kind == "points":
        pixel_NHW = np.where(rng.random((40, 5, 5)) < 0.9, 255, rng.choice(3, (40, 5, 5), p=[0.7, 0.2, 0.1])).astype(np.uint8)
        given = np.stack([(pixel_NHW == k).sum() for k in range(3)])
        weight_2K = class_weights("balanced", WeakLabels(kind, pixel_NHW=pixel_NHW), 3)
        assert weight_2K is not None
        np.testing.assert_allclose(weight_2K[1] * given, given.sum() / 3, rtol=1e-5)
        return
    image_NK = np.eye(3, dtype=np.float32)[rng.choice(3, 90, p=[0.7, 0.2, 0.1])]
    yes_K = image_NK.sum(axis=0)
    weight_2K = class_weights("balanced", WeakLabels(kind, image_NK=image_NK), 3)
    assert weight_2K is not None
    np.testing.assert_allclose(weight_2K[1] * yes_K, 45 if kind == "presence" else 30, rtol=1e-5)
    if kind == "presence":
        np.testing.assert_allclose(weight_2K[0] * (90 - yes_K), 45, rtol=1e-5)


def test_rare_pixels_count_more_and_frequent_ones_no_less() -> None:
    pixel_NHW = np.full((1, 10, 10), 255, np.uint8)
    pixel_NHW.ravel()[:80] = [0] * 78 + [1] * 2
    weight_2K = class_weights("rare", WeakLabels("pixels", pixel_NHW=pixel_NHW), 2)
    assert weight_2K is not None
    np.testing.assert_allclose(weight_2K[1], [1, 4])
    weight_2K = class_weights("very-rare", WeakLabels("points", pixel_NHW=pixel_NHW), 2)
    assert weight_2K is not None
    np.testing.assert_allclose(weight_2K[1], [1, 1.6])


def test_no_weights_are_none() -> None:
    assert class_weights("none", WeakLabels("pixels", pixel_NHW=np.zeros((1, 2, 2), np.uint8)), 2) is None


@pytest.mark.parametrize("kind", ["majority", "shares", "points", "pixels"])
def test_a_network_of_the_prior_bias_says_the_shares_of_the_labels(kind: str) -> None:
    rng = np.random.default_rng(2)
    if kind in ("points", "pixels"):
        pixel_NHW = rng.choice([0, 1, 255], (6, 5, 5), p=[0.5, 0.2, 0.3]).astype(np.uint8)
        labels, mean_K = (
            WeakLabels(kind, pixel_NHW=pixel_NHW),
            np.array([(pixel_NHW == k).sum() for k in range(2)]) / (pixel_NHW != 255).sum(),
        )
    else:
        image_NK = rng.dirichlet([5, 2], 50).astype(np.float32) if kind == "shares" else np.eye(2, dtype=np.float32)[rng.integers(0, 2, 50)]
        image_NK[3] = np.nan
        labels, mean_K = WeakLabels(kind, image_NK=image_NK), np.nanmean(image_NK, axis=0)
    bias_K = prior_bias(labels, 2)
    assert bias_K.dtype == np.float32
    np.testing.assert_allclose(torch.from_numpy(bias_K).softmax(0), mean_K, rtol=1e-5)


def test_a_class_without_a_label_is_not_ruled_out_by_the_prior_bias() -> None:
    bias_K = prior_bias(WeakLabels("pixels", pixel_NHW=np.zeros((1, 2, 2), np.uint8)), 2)
    np.testing.assert_allclose(bias_K, [0, np.log(LEAST_SHARE)], rtol=1e-6)
