"""Figures of merit from counts and ranks: pure numpy, in pieces that add up.

Confusion matrices are (..., K, K), rows truth, columns prediction; of one label [[tn, fp], [fn, tp]]. They and
`RankHistogram`s add, in any order, so a figure over many batches comes from the sum and is never a mean of means.
Leading axes are many samples at once, as a bootstrap has them; counts may then be float64 whole numbers.

A figure that the data cannot define is NaN here and null in a file, never 0 or 1, and means leave it out:

    recall, precision, F1, IoU   of a class without truth, even where it is predicted: how large their 0 would be in a
                                 mean depends on what else the split happens to hold, not on the answers
    precision                    of a class never predicted (whose F1 and IoU are 0)
    AUC, average precision       without a positive or without a negative
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[Any]  # counts: int64, or float64 that hold whole numbers
Indices = npt.NDArray[np.integer] | Bools
Figure = float | None
KEY_BITS = 20  # sign, exponent and 11 bits of the fraction: scores less than 0.05 % apart may tie


def confusion(truth: npt.NDArray[np.integer], prediction: npt.NDArray[np.integer], classes: int) -> Counts:
    """Confusion matrix (classes, classes) of class indices of any equal shape; leave out pixels without truth before.

    Examples:
        >>> confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
        [[1, 0], [1, 1]]

    Raises:
        ValueError: an index is not below `classes`.
    """
    only: Counts = confusions(np.zeros(truth.shape, np.int64), truth, prediction, 1, classes)[0]
    return only


def confusions(group: npt.NDArray[np.integer], truth: Indices, prediction: Indices, groups: int, classes: int) -> Counts:
    """The same for each of many groups: (groups, classes, classes), `group` saying where each sample belongs.

    Raises:
        ValueError: shapes differ, or an index is not below `classes`.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth {truth.shape} and prediction {prediction.shape} differ in shape")
    if truth.size and max(truth.max(), prediction.max()) >= classes:
        raise ValueError(f"class index {max(truth.max(), prediction.max())} with {classes} classes")
    cells = (group.astype(np.int64).ravel() * classes + truth.ravel()) * classes + prediction.ravel()
    return np.asarray(np.bincount(cells, minlength=groups * classes * classes).reshape(groups, classes, classes), np.int64)


def figure(value: float | np.floating[Any]) -> Figure:
    """A figure as files have it: a float, None where it is undefined."""
    return None if np.isnan(value) else float(value)


def accuracy(confusion_KK: Numbers) -> Floats:
    """Share of right answers (...,)."""
    return ratio(np.trace(confusion_KK, axis1=-2, axis2=-1), confusion_KK.sum(axis=(-2, -1)))


def recall(confusion_KK: Numbers) -> Floats:
    """Per class (..., K): right answers among its truth (the class's accuracy)."""
    return ratio(_hits(confusion_KK), confusion_KK.sum(axis=-1))


def precision(confusion_KK: Numbers) -> Floats:
    """Per class (..., K) with truth: right answers among its predictions."""
    return _where_true(confusion_KK, ratio(_hits(confusion_KK), confusion_KK.sum(axis=-2)))


def f1(confusion_KK: Numbers) -> Floats:
    """Per class (..., K) with truth: 2 tp / (2 tp + fp + fn)."""
    return _where_true(confusion_KK, ratio(2 * _hits(confusion_KK), confusion_KK.sum(axis=-2) + confusion_KK.sum(axis=-1)))


def iou(confusion_KK: Numbers) -> Floats:
    """Per class (..., K) with truth: tp / (tp + fp + fn), intersection over union."""
    hits = _hits(confusion_KK)
    return _where_true(confusion_KK, ratio(hits, confusion_KK.sum(axis=-2) + confusion_KK.sum(axis=-1) - hits))


def base_rate(confusion_KK: Numbers) -> Floats:
    """Per class (..., K): its share of the truth."""
    return ratio(confusion_KK.sum(axis=-1), confusion_KK.sum(axis=(-2, -1))[..., None])


def ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> Floats:
    """The part over the whole, broadcast; NaN where whole is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    return np.asarray(np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole != 0))


def mean(figures: npt.ArrayLike) -> Floats:
    """Mean over the last axis of the defined figures; NaN where there is none.

    Examples:
        >>> float(mean([0.5, np.nan, 1.0]))
        0.75
    """
    values = np.asarray(figures, np.float64)
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))


def summary(confusion_KK: Numbers) -> dict[str, Floats]:
    """`pixel_accuracy`, `mean_class_accuracy` (mean recall), `macro_f1`, `mean_iou`, each (...,).

    Means are over the classes with truth; a class without is left out, and answering it costs the classes that are there.
    """
    return {
        "pixel_accuracy": accuracy(confusion_KK),
        "mean_class_accuracy": mean(recall(confusion_KK)),
        "macro_f1": mean(f1(confusion_KK)),
        "mean_iou": mean(iou(confusion_KK)),
    }


def constant_confusion(confusion_KK: Numbers, answer: npt.ArrayLike) -> Numbers:
    """The confusion matrix of always answering class `answer` on exactly these samples.

    With it every figure has a trivial value beside it. `answer` is one index, or one per leading axis (...,).
    """
    truth_K = confusion_KK.sum(axis=-1)
    guess = np.zeros_like(confusion_KK)
    column = np.broadcast_to(np.asarray(answer, np.intp)[..., None, None], (*truth_K.shape, 1))
    np.put_along_axis(guess, column, truth_K[..., None], axis=-1)
    return guess


def majority(confusion_KK: Numbers) -> npt.NDArray[np.intp]:
    """The truth's most frequent class (...,), of equals the first: the best constant answer."""
    return np.asarray(confusion_KK.sum(axis=-1).argmax(axis=-1))


def majority_label_accuracy(present_NK: Bools) -> Figure:
    """Accuracy of the best constant answer to a multi-label task (`best_constant` of its base rates)."""
    return float(best_constant(present_NK.mean(axis=0))) if present_NK.size else None


def best_constant(base_rate_K: Floats) -> Floats:
    """Mean over labels (...,) of max(base rate, 1 - base rate)."""
    return mean(np.maximum(base_rate_K, 1 - base_rate_K))


def roc_auc(positive_N: Bools, score_N: npt.NDArray[np.floating]) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half. Exact.

    Source: Hanley and McNeil 1982, Radiology 143(1), 29-36: the area is the Wilcoxon statistic.
    """
    return float(auc_of_counts(_counts_by_score(positive_N, score_N)))


def average_precision(positive_N: Bools, score_N: npt.NDArray[np.floating]) -> float:
    """Sum over falling thresholds n of (recall_n - recall_(n-1)) * precision_n; equal scores are one threshold.

    Without a negative it would be 1 whatever the scores: undefined, like without a positive.
    """
    return float(average_precision_of_counts(_counts_by_score(positive_N, score_N)))


def auc_of_counts(counts_2E: Numbers) -> Floats:
    """The area (...,) from counts (..., 2, bins) of negatives and positives, bins ascending in score; ties within a bin count half."""
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
    """The AUC of any number of scores in constant memory: counts of positives and negatives per score bin.

    A float32 becomes an order-preserving uint32 whose top `KEY_BITS` bits are the bin, so bins are fine (0.05 %) at
    every magnitude and need no range; ties within a bin count half. 16 MiB.

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
        cells = _bins(score_N) + (positive_N.astype(np.int64) << KEY_BITS)
        self.counts += np.bincount(cells.ravel(), minlength=self.counts.size).reshape(self.counts.shape)

    def __add__(self, other: RankHistogram) -> RankHistogram:
        return RankHistogram(self.counts + other.counts)

    def auc(self) -> float:
        """Area under the ROC curve of everything counted."""
        return float(auc_of_counts(self.counts))


def _bins(score_N: npt.NDArray[np.float32]) -> Counts:
    # IEEE 754 compares like sign-magnitude integers: flip all bits of negatives, the sign bit of the rest
    bits = (np.asarray(score_N, np.float32) + np.float32(0.0)).view(np.uint32)  # + 0 turns -0 into 0
    sign = np.uint32(1 << 31)
    keys = np.where(bits & sign, ~bits, bits | sign)
    return (keys >> np.uint32(32 - KEY_BITS)).astype(np.int64)


def _counts_by_score(positive_N: Bools, score_N: npt.NDArray[np.floating]) -> Counts:
    values, place = np.unique(score_N, return_inverse=True)
    return np.stack([np.bincount(place[positive_N == sign], minlength=values.size) for sign in (False, True)]).astype(np.int64)


def _where_true(confusion_KK: Numbers, figure_K: Floats) -> Floats:
    return np.where(confusion_KK.sum(axis=-1) > 0, figure_K, np.nan)


def _hits(confusion_KK: Numbers) -> Numbers:
    return np.diagonal(confusion_KK, axis1=-2, axis2=-1)
