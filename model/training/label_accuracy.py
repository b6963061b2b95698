"""Accuracy of predictions against the weak labels, and the accuracy of the best constant prediction."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from cropcam.model.evaluation.metrics import majority_label_accuracy
from cropcam.model.labels.weak_labels import WeakLabels
from cropcam.model.losses.objectives import ModelOutputs, Objective, Targets, bagged, mean_probability
from cropcam.model.networks.cam import argmax_classes
from cropcam.pipeline.legend import UNLABELLED


def label_accuracy(objective: Objective, outputs: ModelOutputs, targets: Targets, kind: str, min_share: float) -> Tensor:
    """Number of correct labels of a batch and number of labels: (2,) float64, on the batch's device.

    Counted are, for presence, classes of patches; for majority, patches; for shares, the overlap of each patch (1 - half the sum of
    absolute differences), in bags that of its bag's patches in the batch; for points and pixels, pixels.
    """
    if targets.pixel_BHW is not None:
        counted = (targets.pixel_BHW != UNLABELLED) & targets.valid_BHW
        correct = (argmax_classes(outputs.logits_BKHW) == targets.pixel_BHW) & counted
        return torch.stack([correct.sum(), counted.sum()]).double()
    label_BK = targets.image_BK
    assert label_BK is not None
    known_B = ~label_BK.isnan().any(dim=1)
    if kind == "presence":
        correct_BK = ((objective.presence_logits(outputs, min_share) > 0) == (label_BK > 0)) & known_B[:, None]
        return torch.stack([correct_BK.sum(), known_B.sum() * label_BK.shape[1]]).double()
    mean_BK = mean_probability(outputs.logits_BKHW, targets.valid_BHW)
    if kind == "majority":
        return torch.stack([((mean_BK.argmax(dim=1) == label_BK.argmax(dim=1)) & known_B).sum(), known_B.sum()]).double()
    log_GK, share_GK, bag_B = bagged(mean_BK, targets)  # a patch of a bag has not the proportions of the bag
    overlap_B = (1 - (log_GK.exp() - share_GK).abs().sum(dim=1) / 2)[bag_B]
    return torch.stack([torch.where(known_B, overlap_B, 0.0).sum(dtype=torch.float64), known_B.sum().double()])


def accuracy_words(kind: str) -> tuple[str, str]:
    """The name of the accuracy for a kind of label, and of its baseline."""
    return ("overlap", "best constant prediction") if kind == "shares" else ("accuracy", "majority guess")


def constant_accuracy(labels: WeakLabels, trained: WeakLabels) -> float:
    """The accuracy of the best constant prediction: per class the more frequent label, the most frequent class, or the mean shares.

    The mean shares of bags are those of the labels that were `trained` on: the few bags of a validation split hardly differ from their own
    mean. 0 without labels, and with a single bag, whose proportions are the constant.
    """
    if labels.pixel_NHW is not None:
        count_K = labels.class_pixels()
        return float(count_K.max() / max(count_K.sum(), 1))
    assert labels.image_NK is not None
    known_NK = labels.image_NK[labels.labelled()]
    if not len(known_NK) or (labels.bag_N is not None and trained.count < 2):
        return 0.0
    if labels.kind == "presence":
        return majority_label_accuracy(known_NK > 0) or 0.0
    if labels.kind == "majority":
        return float(known_NK.mean(axis=0).max())
    constants = trained.image_NK if labels.bag_N is not None else known_NK
    assert constants is not None
    return float((1 - np.abs(known_NK - np.nanmean(constants, axis=0)).sum(axis=1) / 2).mean())
