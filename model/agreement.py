"""How far a network agrees with weak labels, beside the best that one constant answer could.

Axis suffixes: N patch, B batch, K class, H/W rows and columns.
"""

from __future__ import annotations

import numpy as np

from model.labels import WeakLabels
from model.losses import Batch, Objective, Targets, mean_probability
from model.metrics import majority_label_accuracy
from pipeline.legend import UNLABELLED


def agreement(objective: Objective, batch: Batch, targets: Targets, kind: str, min_share: float) -> tuple[float, int]:
    """How much of a batch's labels is answered right, and of how many.

    presence: answers; majority: patches; shares: the overlap (1 - half the sum of absolute differences) of each patch;
    points and pixels: pixels.
    """
    if targets.pixel_BHW is not None:
        counts_BHW = (targets.pixel_BHW != UNLABELLED) & targets.valid_BHW
        right_BHW = batch.scores_BKHW.argmax(dim=1) == targets.pixel_BHW
        return float((right_BHW & counts_BHW).sum()), int(counts_BHW.sum())
    assert targets.image_BK is not None
    known_B = ~targets.image_BK.isnan().any(dim=1)
    label_BK = targets.image_BK[known_B]
    if kind == "presence":
        right_BK = (objective.presence_logits(batch, min_share)[known_B] > 0) == (label_BK > 0)
        return float(right_BK.sum()), right_BK.numel()
    mean_BK = mean_probability(batch.scores_BKHW, targets.valid_BHW)[known_B]
    if kind == "majority":
        return float((mean_BK.argmax(dim=1) == label_BK.argmax(dim=1)).sum()), len(label_BK)
    return float((1 - (mean_BK.exp() - label_BK).abs().sum(dim=1) / 2).sum()), len(label_BK)


def constant_agreement(labels: WeakLabels) -> float:
    """The agreement of the best constant answer: the more frequent answer, the most frequent class, the mean shares; 0 without labels."""
    if labels.pixel_NHW is not None:
        count_K = np.bincount(labels.pixel_NHW[labels.pixel_NHW != UNLABELLED], minlength=1)
        return float(count_K.max() / max(count_K.sum(), 1))
    assert labels.image_NK is not None
    known_NK = labels.image_NK[~np.isnan(labels.image_NK).any(axis=1)]
    if not len(known_NK):
        return 0.0
    if labels.kind == "presence":
        return majority_label_accuracy(known_NK > 0) or 0.0
    if labels.kind == "majority":
        return float(known_NK.mean(axis=0).max())
    return float((1 - np.abs(known_NK - known_NK.mean(axis=0)).sum(axis=1) / 2).mean())
