from __future__ import annotations

import numpy as np
import pytest
import torch

from cropcam.model.labels.weak_labels import WeakLabels
from cropcam.model.losses.objectives import Targets
from cropcam.model.losses.weighting import LossWeighting, class_weights


@pytest.mark.parametrize("kind", ["presence", "majority", "points"])
def test_rare_labels_weigh_as_much_as_frequent_ones(kind: str) -> None:
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


def test_no_weights_are_none() -> None:
    assert class_weights("none", WeakLabels("pixels", pixel_NHW=np.zeros((1, 2, 2), np.uint8)), 2) is None


def test_presence_weights_follow_the_label_and_smoothing_spreads_it() -> None:
    valid, label = torch.ones(2, 3, 3, dtype=torch.bool), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    targets = LossWeighting("presence", 0.2, torch.tensor([[1.0, 2.0], [3.0, 4.0]]))(Targets(valid, image_BK=label))
    assert targets.weight_BK is not None
    assert targets.weight_BK.tolist() == [[3.0, 2.0], [1.0, 4.0]]
    assert targets.image_BK is not None
    torch.testing.assert_close(targets.image_BK, torch.tensor([[0.9, 0.1], [0.1, 0.9]]))


def test_labels_of_pixels_pass_weights_and_smoothing_to_the_loss() -> None:
    valid = torch.ones(1, 1, 2, dtype=torch.bool)
    targets = LossWeighting("points", 0.1, torch.tensor([[1.0, 3.0]] * 2))(
        Targets(valid, pixel_BHW=torch.zeros(1, 1, 2, dtype=torch.uint8))
    )
    assert targets.weight_K is not None
    assert (targets.weight_K.tolist(), targets.smoothing) == ([1.0, 3.0], 0.1)


def test_patches_weigh_their_per_cents_times_those_of_their_classes() -> None:
    valid, label = torch.ones(2, 3, 3, dtype=torch.bool), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    pct_B = torch.tensor([100.0, 25.0])
    alone = LossWeighting("presence")(Targets(valid, image_BK=label, pct_B=pct_B)).weight_BK
    both = LossWeighting("presence", 0.0, torch.tensor([[1.0, 2.0], [3.0, 4.0]]))(Targets(valid, image_BK=label, pct_B=pct_B)).weight_BK
    assert alone is not None
    assert both is not None
    assert alone.tolist() == [[1.0, 1.0], [0.25, 0.25]]
    assert both.tolist() == [[3.0, 2.0], [0.25, 1.0]]


@pytest.mark.parametrize(
    ("kind", "smoothed"),
    [
        ("presence", [[0.9, 0.1, 0.1, 0.9], [0.1, 0.1, 0.1, 0.1]]),  # towards 1/2: each class is a question of its own
        ("majority", [[0.85, 0.05, 0.05, 0.85], [0.05, 0.05, 0.05, 0.05]]),  # towards 1/4: one question with four answers
        ("shares", [[0.85, 0.05, 0.05, 0.85], [0.05, 0.05, 0.05, 0.05]]),
    ],
)
def test_smoothing_spreads_over_the_answers_that_a_label_has(kind: str, smoothed: list[list[float]]) -> None:
    valid, label = torch.ones(2, 3, 3, dtype=torch.bool), torch.tensor([[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    targets = LossWeighting(kind, 0.2)(Targets(valid, image_BK=label))
    assert targets.image_BK is not None
    torch.testing.assert_close(targets.image_BK, torch.tensor(smoothed))


def test_weights_are_of_the_label_before_it_is_smoothed() -> None:
    valid, label = torch.ones(1, 3, 3, dtype=torch.bool), torch.tensor([[1.0, 0.0, 0.0]])
    targets = LossWeighting("presence", 0.3, torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))(
        Targets(valid, image_BK=label, pct_B=torch.tensor([50.0]))
    )
    assert targets.weight_BK is not None
    assert targets.weight_BK.tolist() == [[2.0, 1.0, 1.5]]


def test_balanced_weights_by_hand() -> None:
    """Two of four patches have no label of one class: 0 and 1 of a class are weighed alike, a class without a 1 has no weight of 1."""
    image_NK = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0], [np.nan] * 3], np.float32)
    found = class_weights("balanced", WeakLabels("presence", image_NK=image_NK), 3)
    np.testing.assert_allclose(found, [[4 / 2, 4 / 6, 4 / 8], [4 / 6, 4 / 2, 0]], rtol=1e-6)
    shares = WeakLabels("shares", image_NK=np.array([[0.5, 0.5], [1.0, 0.0]], np.float32))
    np.testing.assert_allclose(class_weights("balanced", shares, 2), [[2 / 3, 2]] * 2, rtol=1e-6)
