"""Warnings about uninformative labels, and the log lines before training."""

from __future__ import annotations

import numpy as np

from cropcam.model.labels.weak_labels import WeakLabels
from cropcam.model.training.data_summary import uninformative_labels
from cropcam.pipeline.legend import UNLABELLED


def test_constant_and_absent_classes_are_reported() -> None:
    never, always = "no training label is rice: it cannot be learned", "the training labels are corn for 100.0%"
    pixels = np.full((2, 3, 3), UNLABELLED, np.uint8)
    pixels[:, 0, 0] = 1
    for labels in (WeakLabels("majority", np.array([[0, 1, 0]] * 4, np.float32)), WeakLabels("points", pixel_NHW=pixels)):
        lines = list(uninformative_labels(labels, ("background", "corn", "rice")))
        assert never in lines
        assert any(line.startswith(always) for line in lines)
    assert not list(uninformative_labels(WeakLabels("shares", np.full((4, 3), 1 / 3, np.float32)), ("background", "corn", "rice")))


def test_classes_present_in_every_patch_are_reported() -> None:
    names = ("background", "corn", "rice")
    message = "nearly every training patch has {}: these labels do not locate them".format
    for present, expected in (
        ([1, 0, 0], None),
        ([1, 1, 0], message("background and corn")),
        ([1, 1, 1], message("background, corn and rice")),
    ):
        image = np.array([present] * 9 + [[1, 1, 1]] * 9, np.float32)
        lines = list(uninformative_labels(WeakLabels("presence", image), names))
        assert [line for line in lines if line.startswith("nearly every")] == ([expected] if expected else [])
