"""Accuracy against weak labels, by numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cropcam.model.labels.weak_labels import WeakLabels
from cropcam.model.losses.objectives import ModelOutputs, Targets, objective
from cropcam.model.networks import NetworkOutput, build
from cropcam.model.training.label_accuracy import accuracy_words, constant_accuracy, label_accuracy
from cropcam.pipeline.legend import UNLABELLED


def outputs_of(count: int = 6) -> tuple[ModelOutputs, torch.Tensor]:
    torch.manual_seed(0)
    network, valid_BHW = build("fcn", 2, 3).eval(), torch.rand(count, 5, 5) < 0.8
    with torch.no_grad():
        outputs = ModelOutputs(network, network(torch.randn(count, 2, 5, 5)), valid_BHW)
        _ = outputs.logits_BKHW
    return outputs, valid_BHW


def mean_softmax(outputs: ModelOutputs) -> np.ndarray:
    logits = outputs.logits_BKHW.detach().double().numpy()
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    valid = outputs.valid_BHW.numpy()[:, None]
    return np.asarray((softmax * valid).sum(axis=(2, 3)) / valid.sum(axis=(2, 3)))


def test_pixels_count_where_there_is_a_label_and_an_image() -> None:
    outputs, valid_BHW = outputs_of()
    label_BHW = np.random.default_rng(0).choice([0, 1, 2, UNLABELLED], (6, 5, 5)).astype(np.uint8)
    counted = valid_BHW.numpy() & (label_BHW != UNLABELLED)
    correct = (outputs.logits_BKHW.detach().numpy().argmax(axis=1) == label_BHW) & counted
    targets = Targets(valid_BHW, pixel_BHW=torch.from_numpy(label_BHW))
    counts = label_accuracy(objective("cross-entropy", "pixels"), outputs, targets, "pixels", 0.0)
    assert counts.tolist() == [correct.sum(), counted.sum()]
    assert counts.dtype == torch.float64


def test_presence_counts_classes_of_labelled_patches() -> None:
    logits_BK = torch.tensor([[1.0, -1.0], [2.0, 2.0], [-1.0, 1.0]])
    outputs = ModelOutputs(None, NetworkOutput(logits_BK, torch.empty(0)), torch.ones(3, 2, 2, dtype=torch.bool))
    targets = Targets(outputs.valid_BHW, image_BK=torch.tensor([[1.0, 0.0], [1.0, 0.0], [torch.nan, torch.nan]]))
    assert label_accuracy(objective("bce", "presence"), outputs, targets, "presence", 0.0).tolist() == [3, 4]


@pytest.mark.parametrize("kind", ["majority", "shares"])
def test_majority_and_overlap_use_the_mean_probability(kind: str) -> None:
    outputs, valid_BHW = outputs_of()
    share_BK = np.random.default_rng(1).dirichlet(np.ones(3), 6).astype(np.float32)
    label_BK = share_BK if kind == "shares" else np.eye(3, dtype=np.float32)[share_BK.argmax(axis=1)]
    label_BK[4] = np.nan
    mean_BK, known = mean_softmax(outputs), [0, 1, 2, 3, 5]
    overlap_B = 1 - np.abs(mean_BK - label_BK).sum(axis=1) / 2
    expected = overlap_B[known].sum() if kind == "shares" else (mean_BK.argmax(axis=1) == share_BK.argmax(axis=1))[known].sum()
    counts = label_accuracy(objective(kind, kind), outputs, Targets(valid_BHW, image_BK=torch.from_numpy(label_BK)), kind, 0.0)
    assert counts.tolist() == pytest.approx([expected, 5], rel=1e-5)


def test_the_best_constant_prediction() -> None:
    nan = [np.nan] * 2
    for labels, expected in (
        (WeakLabels("presence", np.array([[1, 0], [1, 1], [1, 0], nan], np.float32)), 5 / 6),
        (WeakLabels("majority", np.array([[1, 0], [1, 0], [0, 1], nan], np.float32)), 2 / 3),
        (WeakLabels("shares", np.array([[1, 0], [0, 1]], np.float32)), 0.5),
        (WeakLabels("points", pixel_NHW=np.array([[[0, 0, 1, UNLABELLED]]], np.uint8)), 2 / 3),
        (WeakLabels("shares", np.array([nan], np.float32)), 0.0),
    ):
        assert constant_accuracy(labels, labels) == pytest.approx(expected)


def test_the_constant_of_bags_is_that_of_the_training_labels() -> None:
    """One bag of validation is its own mean: nothing would be better than that constant."""
    trained = WeakLabels("shares", np.array([[1, 0], [1, 0], [0.5, 0.5]], np.float32), bag_N=np.array([0, 0, 1]))
    validation = WeakLabels("shares", np.array([[0.25, 0.75]] * 2, np.float32), bag_N=np.array([7, 7]))
    assert constant_accuracy(validation, trained) == pytest.approx(1 - abs(0.25 - 2.5 / 3))
    alone = WeakLabels("shares", np.array([[1, 0]] * 2, np.float32), bag_N=np.array([0, 0]))
    assert constant_accuracy(alone, alone) == 0.0, "one bag has nothing to be compared with"


def test_the_overlap_of_bags_is_that_of_their_patches_together() -> None:
    outputs, valid_BHW = outputs_of(4)
    share_BK = torch.tensor([[0.2, 0.3, 0.5]] * 3 + [[1.0, 0.0, 0.0]])
    targets = Targets(valid_BHW, share_BK, bag_B=torch.tensor([3, 3, 3, 9]))
    right, count = label_accuracy(objective("shares", "shares"), outputs, targets, "shares", 0.0).tolist()
    pixels_BKP = outputs.logits_BKHW.softmax(dim=1).flatten(2)
    overlaps = []
    for members in ([0, 1, 2], [3]):
        inside = torch.cat([pixels_BKP[b][:, valid_BHW[b].flatten()] for b in members], dim=1).mean(dim=1)
        overlaps += [1 - float((inside - share_BK[members[0]]).abs().sum()) / 2] * len(members)
    assert (right, count) == (pytest.approx(sum(overlaps), rel=1e-5), 4)


def test_a_class_of_most_patches_or_of_few_is_guessed_by_its_own_rate() -> None:
    """Three classes in 9, 1 and 5 of 10 patches: .9, .9 and .5 of them are guessed right."""
    image_NK = np.zeros((10, 3), np.float32)
    image_NK[:9, 0], image_NK[0, 1], image_NK[:5, 2] = 1, 1, 1
    labels = WeakLabels("presence", image_NK)
    assert constant_accuracy(labels, labels) == pytest.approx((0.9 + 0.9 + 0.5) / 3)


def test_words_of_the_accuracies() -> None:
    assert accuracy_words("shares") == ("overlap", "best constant prediction")
    assert [accuracy_words(kind) for kind in ("presence", "majority", "points", "pixels")] == [("accuracy", "majority guess")] * 4
