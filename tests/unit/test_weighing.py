from __future__ import annotations

import numpy as np
import pytest
import torch

from model.labels import WeakLabels
from model.losses import Batch, Targets, pixel_loss
from model.weighing import LEAST_SHARE, MOST, RARE_SHARE, Weighing, class_weights, prior_bias


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


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_a_spread_point_says_its_own_class_most_of_all_and_of_unnamed_ones_no_more_than_before(classes: int) -> None:
    """torch weighs the spread part of a label by the classes it is spread over: a class that counts for much is taught at every point."""
    label = np.zeros((1, 1, 3000), np.uint8)
    label[0, 0, :1] = 1  # one point in three thousand; of what lies above class 1 none
    weights = class_weights("very-rare", WeakLabels("points", pixel_NHW=label), classes)
    assert weights is not None
    assert weights[1].tolist() == [1, MOST, *[1] * (classes - 2)]
    valid = torch.ones(1, 1, 1, dtype=torch.bool)
    targets = Weighing("points", 0.1, torch.from_numpy(weights))(Targets(valid, pixel_BHW=torch.zeros(1, 1, 1, dtype=torch.uint8)))
    free = torch.zeros(1, classes, 1, 1, requires_grad=True)
    for _ in range(500):
        (gradient,) = torch.autograd.grad(pixel_loss(Batch.of_scores(free, valid), targets, 0.0), free)
        free = (free - gradient).detach().requires_grad_()
    said = free.softmax(dim=1)[0, :, 0, 0].detach().numpy()
    spread = 0.1 / classes * weights[1] + 0.9 * (np.arange(classes) == 0)
    np.testing.assert_allclose(said, spread / spread.sum(), atol=1e-3)
    assert said.argmax() == 0
