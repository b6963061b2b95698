"""Accuracy of predictions against the weak labels, and the accuracy of the best constant prediction.

Axis suffixes: N patch, B batch, K class, H/W rows and columns.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from cropcam.model.evaluation.metrics import majority_label_accuracy
from cropcam.model.labels.weak_labels import WeakLabels
from cropcam.model.losses.objectives import ModelOutputs, Objective, Targets, mean_probability
from cropcam.model.networks.cam import argmax_classes
from cropcam.pipeline.legend import UNLABELLED


def label_accuracy(objective: Objective, outputs: ModelOutputs, targets: Targets, kind: str, min_share: float) -> Tensor:
    """Number of right labels of a batch and number of labels: (2,) float64, on the batch's device.

    presence: one per class and patch; majority: patches; shares: the overlap (1 - half the sum of absolute differences) of each patch;
    points and pixels: pixels.
    """
    if targets.pixel_BHW is not None:
        counts_BHW = (targets.pixel_BHW != UNLABELLED) & targets.valid_BHW
        return _pair((argmax_classes(outputs.logits_BKHW) == targets.pixel_BHW) & counts_BHW, counts_BHW)
    label_BK = targets.image_BK
    assert label_BK is not None
    known_B = ~label_BK.isnan().any(dim=1)
    if kind == "presence":
        right_BK = (objective.presence_logits(outputs, min_share) > 0) == (label_BK > 0)
        return _pair(right_BK & known_B[:, None], known_B[:, None].expand_as(right_BK))
    mean_BK = mean_probability(outputs.logits_BKHW, targets.valid_BHW)
    if kind == "majority":
        return _pair((mean_BK.argmax(dim=1) == label_BK.argmax(dim=1)) & known_B, known_B)
    overlap_B = 1 - (mean_BK.exp() - label_BK).abs().sum(dim=1) / 2
    return _pair(torch.where(known_B, overlap_B, 0.0), known_B)


def accuracy_words(kind: str) -> tuple[str, str]:
    """The name of the accuracy for a kind of label, and of its baseline."""
    return ("overlap", "best constant answer") if kind == "shares" else ("accuracy", "majority guess")


def _pair(right: Tensor, counted: Tensor) -> Tensor:
    return torch.stack([right.sum(dtype=torch.float64), counted.sum(dtype=torch.float64)])


def constant_accuracy(labels: WeakLabels) -> float:
    """The accuracy of the best constant prediction: the more frequent answer, the most frequent class, the mean shares; 0 without labels."""
    if labels.pixel_NHW is not None:
        count_K = labels.class_pixels()
        return float(count_K.max() / max(count_K.sum(), 1))
    assert labels.image_NK is not None
    known_NK = labels.image_NK[labels.labelled()]
    if not len(known_NK):
        return 0.0
    if labels.kind == "presence":
        return majority_label_accuracy(known_NK > 0) or 0.0
    if labels.kind == "majority":
        return float(known_NK.mean(axis=0).max())
    return float((1 - np.abs(known_NK - known_NK.mean(axis=0)).sum(axis=1) / 2).mean())
