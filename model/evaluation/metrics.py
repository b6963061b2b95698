"""Metrics from counts and ranks: numpy, in pieces that add up.

Confusion matrices are (..., K, K), rows truth, columns prediction; of one label [[tn, fp], [fn, tp]]. They and
`RankHistogram.counts` add in any order, so a metric over many batches comes from the sum and is never a mean of means.
Leading axes are many samples at once, as a bootstrap has them; counts may then be float64 whole numbers.

A metric that the data cannot define is NaN here and null in a file, never 0 or 1, and means leave it out:

    recall, precision, F1, IoU   of a class without truth, even where it is predicted: how far their 0 would lower a
                                 mean depends on the other classes of the split, not on the predictions
    precision                    of a class never predicted (whose F1 and IoU are 0)
    AUC, average precision       without a positive or without a negative

torchmetrics gives the exact AUC and average precision of patch labels. The rest stays here because it was measured
(torchmetrics 1.9, one core): confusion matrices of a batch of 64 patches of 50 px in 16 blocks take 0.4 ms here and 14 ms
there, one call per block; in one block 0.4 and 2.1 ms. The AUC of 160,000 pixels takes 2.8 ms of a `RankHistogram` and
73 ms at 200 thresholds there, with a coarser result. `summary` of 1,000 resamples of 60 blocks takes 1 ms.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

Counts = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[Any]  # counts: int64, or float64 that hold whole numbers
Indices = npt.NDArray[np.integer] | Bools
Metric = float | None
KEY_BITS = 20  # sign, exponent and 11 bits of the fraction: scores less than 0.05 % apart may tie


def confusions(group: npt.NDArray[np.integer], truth: Indices, prediction: Indices, groups: int, classes: int) -> Counts:
    """Confusion matrix (classes, classes) of each of many groups: (groups, classes, classes).

    Examples:
        >>> confusions(np.array([0, 0, 0]), np.array([0, 1, 1]), np.array([0, 0, 1]), 1, 2).tolist()
        [[[1, 0], [1, 1]]]

    Args:
        group: the group of each sample.
        truth: class index of each sample; samples without truth are left out before.
        prediction: class index of each sample.
        groups: number of groups.
        classes: number of classes.

    Raises:
        ValueError: shapes differ, or an index is not below `classes`.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth {truth.shape} and prediction {prediction.shape} differ in shape")
    if truth.size and max(truth.max(), prediction.max()) >= classes:
        raise ValueError(f"class index {max(truth.max(), prediction.max())} with {classes} classes")
    cells = (group.astype(np.int64).ravel() * classes + truth.ravel()) * classes + prediction.ravel()
    return np.asarray(np.bincount(cells, minlength=groups * classes * classes).reshape(groups, classes, classes), np.int64)


def accuracy(confusion_KK: Numbers) -> Floats:
    """Share of correct predictions (...,)."""
    return ratio(np.trace(confusion_KK, axis1=-2, axis2=-1), confusion_KK.sum(axis=(-2, -1)))


def class_metrics(confusion_KK: Numbers) -> dict[str, Floats]:
    """`recall`, `precision`, `f1`, `iou` and `base_rate` (the class's share of the truth) of each class, (..., K)."""
    hits_K = np.diagonal(confusion_KK, axis1=-2, axis2=-1)
    truth_K, predicted_K = confusion_KK.sum(axis=-1), confusion_KK.sum(axis=-2)
    defined_K = np.where(truth_K > 0, 1.0, np.nan)
    return {
        "recall": ratio(hits_K, truth_K),
        "precision": defined_K * ratio(hits_K, predicted_K),
        "f1": defined_K * ratio(2 * hits_K, truth_K + predicted_K),
        "iou": defined_K * ratio(hits_K, truth_K + predicted_K - hits_K),
        "base_rate": ratio(truth_K, truth_K.sum(axis=-1, keepdims=True)),
    }


def summary(confusion_KK: Numbers) -> dict[str, Floats]:
    """`pixel_accuracy`, `mean_class_accuracy` (mean recall), `macro_f1`, `mean_iou`, each (...,), over the classes with truth."""
    of_class = class_metrics(confusion_KK)
    means = {name: mean(of_class[key]) for name, key in {"mean_class_accuracy": "recall", "macro_f1": "f1", "mean_iou": "iou"}.items()}
    return {"pixel_accuracy": accuracy(confusion_KK), **means}


def ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> Floats:
    """The part over the whole, broadcast; NaN where whole is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    return np.asarray(np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole != 0))


def mean(values: npt.ArrayLike) -> Floats:
    """Mean over the last axis of the defined values; NaN where there is none.

    Examples:
        >>> float(mean([0.5, np.nan, 1.0]))
        0.75
    """
    values = np.asarray(values, np.float64)
    return ratio(np.nansum(values, axis=-1), (~np.isnan(values)).sum(axis=-1))


def majority(confusion_KK: Numbers) -> npt.NDArray[np.intp]:
    """The truth's most frequent class (...,), of equals the first: the best constant prediction."""
    return np.asarray(confusion_KK.sum(axis=-1).argmax(axis=-1))


def constant_confusion(confusion_KK: Numbers, prediction: npt.ArrayLike) -> Numbers:
    """The confusion matrix of predicting one class for exactly these samples; `prediction` is one index, or one per leading axis."""
    truth_K = confusion_KK.sum(axis=-1)
    constant = np.zeros_like(confusion_KK)
    column = np.broadcast_to(np.asarray(prediction, np.intp)[..., None, None], (*truth_K.shape, 1))
    np.put_along_axis(constant, column, truth_K[..., None], axis=-1)
    return constant


def majority_label_accuracy(present_NK: Bools) -> Metric:
    """Accuracy of the best constant prediction of a multi-label task: mean over labels of max(base rate, 1 - base rate)."""
    if not present_NK.size:
        return None
    rate_K = present_NK.mean(axis=0)
    return float(np.maximum(rate_K, 1 - rate_K).mean())


def ranking_metrics(present_NK: Bools, score_NK: npt.NDArray[np.floating]) -> dict[str, Floats]:
    """`auc` (area under the ROC curve) and `average_precision` of each label, (K,); exact to 2e-7, equal scores are one threshold."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations of its own dependencies
        from torchmetrics.functional import classification as functional  # noqa: PLC0415 - its import takes 1.9 s
    # Ranks in 0..1 instead of scores: torchmetrics takes a sigmoid of anything else, in which large logits tie.
    rank_NK = np.stack([np.unique(score_N, return_inverse=True)[1] for score_N in score_NK.T], axis=1) / max(len(score_NK), 1)
    rank, present = torch.from_numpy(rank_NK), torch.from_numpy(present_NK.astype(np.int64))
    values_K = {name: np.full(present_NK.shape[1], np.nan) for name in ("auc", "average_precision")}
    for k in np.flatnonzero(present_NK.any(axis=0) & ~present_NK.all(axis=0)):
        values_K["auc"][k] = functional.binary_auroc(rank[:, k], present[:, k], validate_args=False)
        values_K["average_precision"][k] = functional.binary_average_precision(rank[:, k], present[:, k], validate_args=False)
    return values_K


def auc_of_counts(counts_2E: Numbers) -> Floats:
    """The AUC (...,) from counts (..., 2, bins) of negatives and positives, bins ascending in score; ties within a bin count half.

    Source: Hanley and McNeil 1982, Radiology 143(1), 29-36: the area is the Wilcoxon statistic.
    """
    negatives, positives = counts_2E[..., 0, :], counts_2E[..., 1, :]
    below = np.cumsum(negatives, axis=-1) - negatives
    won_twice = (positives * (2 * below + negatives)).sum(axis=-1)
    return ratio(won_twice, 2 * positives.sum(axis=-1) * negatives.sum(axis=-1))


def average_precision_of_counts(counts_2E: Numbers) -> Floats:
    """The average precision (...,) from the same counts; a bin is one threshold."""
    falling = counts_2E[..., ::-1]
    negatives, positives = falling[..., 0, :], falling[..., 1, :]
    hits, alarms = np.cumsum(positives, axis=-1), np.cumsum(negatives, axis=-1)
    gained = np.where(positives > 0, positives * hits / np.maximum(hits + alarms, 1), 0.0).sum(axis=-1)
    return np.where(alarms[..., -1] > 0, ratio(gained, hits[..., -1]), np.nan)


@dataclass
class RankHistogram:
    """The AUC of any number of scores in constant memory (16 MiB): counts of positives and negatives per score bin.

    A float32 becomes an order-preserving uint32 whose top `KEY_BITS` bits are the bin, so bins are fine (0.05 %) at
    every magnitude and need no range; ties within a bin count half.

    Attributes:
        counts: (2, 2 ** KEY_BITS), negatives then positives, bins ascending in score.
    """

    counts: Counts = field(default_factory=lambda: np.zeros((2, 1 << KEY_BITS), np.int64))

    def add(self, positive_N: Bools, score_N: npt.NDArray[np.float32]) -> None:
        """Count scores in place.

        Raises:
            ValueError: a score is NaN, which has no rank.
        """
        if np.isnan(score_N).any():
            raise ValueError("a NaN score has no rank")
        cells = score_bins(score_N) + (positive_N.astype(np.int64) << KEY_BITS)
        self.counts += np.bincount(cells.ravel(), minlength=self.counts.size).reshape(self.counts.shape)

    def auc(self) -> float:
        """Area under the ROC curve of all scores so far."""
        return float(auc_of_counts(self.counts))


def score_bins(score_N: npt.NDArray[np.float32]) -> Counts:
    """The bin of each score: IEEE 754 compares like sign-magnitude integers, so all bits of negatives are flipped, the sign bit of the rest."""
    bits = (np.asarray(score_N, np.float32) + np.float32(0.0)).view(np.uint32)  # + 0 turns -0 into 0
    sign = np.uint32(1 << 31)
    keys = np.where(bits & sign, ~bits, bits | sign)
    return (keys >> np.uint32(32 - KEY_BITS)).astype(np.int64)
