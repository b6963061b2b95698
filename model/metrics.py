"""Figures of merit from counts and ranks: pure numpy, in pieces that add up.

Confusion matrices are int64 (K, K), rows truth, columns prediction; of one label [[tn, fp], [fn, tp]]. They and
`RankHistogram`s add, in any order, so a figure over many batches comes from the sum and is never a mean of means.

A figure that the data cannot define is None, never 0 or 1, and means leave it out:

    recall      of a class without truth             precision   of a class never predicted
    F1, IoU     of a class neither true nor predicted (true or predicted, but never both: 0)
    AUC, average precision   without a positive or without a negative
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
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
    if truth.shape != prediction.shape:
        raise ValueError(f"truth {truth.shape} and prediction {prediction.shape} differ in shape")
    if truth.size and max(truth.max(), prediction.max()) >= classes:
        raise ValueError(f"class index {max(truth.max(), prediction.max())} with {classes} classes")
    pairs = truth.astype(np.int64).ravel() * classes + prediction.ravel()
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def accuracy(confusion_KK: Counts) -> Figure:
    """Share of right answers."""
    return _ratio(np.trace(confusion_KK), confusion_KK.sum())


def recall(confusion_KK: Counts) -> list[Figure]:
    """Per class: right answers among its truth (the class's accuracy)."""
    return _ratios(np.diag(confusion_KK), confusion_KK.sum(axis=1))


def precision(confusion_KK: Counts) -> list[Figure]:
    """Per class: right answers among its predictions."""
    return _ratios(np.diag(confusion_KK), confusion_KK.sum(axis=0))


def f1(confusion_KK: Counts) -> list[Figure]:
    """Per class: 2 tp / (2 tp + fp + fn)."""
    return _ratios(2 * np.diag(confusion_KK), confusion_KK.sum(axis=0) + confusion_KK.sum(axis=1))


def iou(confusion_KK: Counts) -> list[Figure]:
    """Per class: tp / (tp + fp + fn), intersection over union."""
    hits = np.diag(confusion_KK)
    return _ratios(hits, confusion_KK.sum(axis=0) + confusion_KK.sum(axis=1) - hits)


def mean(figures: Iterable[Figure]) -> Figure:
    """Mean of the defined figures; None when there is none.

    Examples:
        >>> mean([0.5, None, 1.0])
        0.75
    """
    defined = [figure for figure in figures if figure is not None]
    return float(np.mean(defined)) if defined else None


def summary(confusion_KK: Counts) -> dict[str, Figure]:
    """`pixel_accuracy`, `mean_class_accuracy` (mean recall over classes with truth), `macro_f1`, `mean_iou`.

    The last two are means over classes that are true or predicted somewhere; a class that is neither is left out.
    """
    return {
        "pixel_accuracy": accuracy(confusion_KK),
        "mean_class_accuracy": mean(recall(confusion_KK)),
        "macro_f1": mean(f1(confusion_KK)),
        "mean_iou": mean(iou(confusion_KK)),
    }


def majority_confusion(confusion_KK: Counts) -> Counts:
    """The confusion matrix of always answering the truth's most frequent class (of equals the first).

    The best constant answer on exactly these samples; with it every figure has its trivial value beside it.
    """
    truth_K = confusion_KK.sum(axis=1)
    guess = np.zeros_like(confusion_KK)
    guess[:, truth_K.argmax()] = truth_K
    return guess


def majority_label_accuracy(present_NK: Bools) -> Figure:
    """Accuracy of the best constant answer to a multi-label task: mean over labels of max(base rate, 1 - base rate)."""
    if not present_NK.size:
        return None
    base_rate_K = present_NK.mean(axis=0)
    return float(np.maximum(base_rate_K, 1 - base_rate_K).mean())


def roc_auc(positive_N: Bools, score_N: npt.NDArray[np.floating]) -> Figure:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half. Exact.

    Source: Hanley and McNeil 1982, Radiology 143(1), 29-36: the area is the Wilcoxon statistic.
    """
    return _auc(*_counts_by_score(positive_N, score_N))


def average_precision(positive_N: Bools, score_N: npt.NDArray[np.floating]) -> Figure:
    """Sum over falling thresholds n of (recall_n - recall_(n-1)) * precision_n; equal scores are one threshold.

    Without a negative it would be 1 whatever the scores: undefined, like without a positive.
    """
    positives, negatives = _counts_by_score(positive_N, score_N)
    if not (positives.any() and negatives.any()):
        return None
    hits, alarms = np.cumsum(positives[::-1]), np.cumsum(negatives[::-1])
    return float((positives[::-1] * hits / (hits + alarms)).sum() / hits[-1])


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

    def auc(self) -> Figure:
        """Area under the ROC curve of everything counted."""
        negatives, positives = self.counts
        return _auc(positives, negatives)


def _bins(score_N: npt.NDArray[np.float32]) -> Counts:
    # IEEE 754 compares like sign-magnitude integers: flip all bits of negatives, the sign bit of the rest
    bits = (np.asarray(score_N, np.float32) + np.float32(0.0)).view(np.uint32)  # + 0 turns -0 into 0
    sign = np.uint32(1 << 31)
    keys = np.where(bits & sign, ~bits, bits | sign)
    return (keys >> np.uint32(32 - KEY_BITS)).astype(np.int64)


def _counts_by_score(positive_N: Bools, score_N: npt.NDArray[np.floating]) -> tuple[Counts, Counts]:
    values, place = np.unique(score_N, return_inverse=True)
    positives = np.bincount(place[positive_N], minlength=values.size)
    return positives.astype(np.int64), np.bincount(place[~positive_N], minlength=values.size).astype(np.int64)


def _auc(positives: Counts, negatives: Counts) -> Figure:
    below = np.cumsum(negatives) - negatives
    return _ratio(int((positives * (2 * below + negatives)).sum()), 2 * int(positives.sum()) * int(negatives.sum()))


def _ratio(part: int, whole: int) -> Figure:
    return float(part) / float(whole) if whole else None


def _ratios(parts: Sequence[int] | Counts, wholes: Sequence[int] | Counts) -> list[Figure]:
    return [_ratio(int(part), int(whole)) for part, whole in zip(parts, wholes, strict=True)]
