"""Do the class probabilities hold? Counts per spatial block that add up; from them ECE, Brier score and reliability curves, with intervals.

A probability falls into one of `BINS` bins of equal width. In each bin the mean probability is compared with the observed share: of the
class's pixels for the probability of a class, of the correct pixels for the largest probability (the "top label").

    ece            mean over pixels of |mean probability - observed share| of the bin: of the top label, and of each class
    classwise_ece  mean of the classes' own
    brier          mean over pixels of the squared differences between probabilities and truth (0 or 1), summed over the classes: 0 to 2;
                   of a class alone 0 to 1. `base_rate_brier` is that of the shares of the truth as the probabilities of every pixel

Sources: Guo, Pleiss, Sun, Weinberger 2017, "On Calibration of Modern Neural Networks", arXiv 1706.04599 (ECE, reliability); Kull et al. 2019,
"Beyond temperature scaling", arXiv 1910.12656 (classwise ECE); Brier 1950, Monthly Weather Review 78(1), 1-3.

Own code, not torchmetrics' `CalibrationError`, which keeps every score and has neither classes nor blocks.
Axis suffixes: P pixel, B block, S the sample itself followed by its resamples, K class, E bin, M = pixels, probability, observed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.model.evaluation import metrics
from cropcam.model.evaluation.bootstrap import SUFFIX, Bootstrap, by_class, interval, with_intervals
from cropcam.model.evaluation.metrics import Floats, Numbers

BINS = 15
UNIT = 1 << 20  # probabilities and their squares are summed as whole multiples of 1 / UNIT: the same sum in any order


class CalibrationCounts:
    """The sums from which the figures follow, of any number of pixels, per block: 360 bytes per block and class.

    Attributes:
        bins_BK1ME: of each class, last of the top label: pixels, sum of probabilities (in units of 1 / `UNIT`) and observed pixels of each
            bin; int64.
        squares_BK: sum of squared differences between probability and truth, in units of 1 / `UNIT`; int64.
        truth_BK: pixels of each class; int64.
    """

    def __init__(self, blocks: int, classes: int) -> None:
        self.bins_BK1ME = np.zeros((blocks, classes + 1, 3, BINS), np.int64)
        self.squares_BK = np.zeros((blocks, classes), np.int64)
        self.truth_BK = np.zeros((blocks, classes), np.int64)

    def add(self, block_P: npt.NDArray[np.integer], truth_P: npt.NDArray[np.integer], probability_PK: npt.NDArray[np.floating]) -> None:
        """Count labelled pixels: their blocks, class indices, and class probabilities (0..1, summing to 1)."""
        if not truth_P.size:
            return
        first, last = int(block_P.min()), int(block_P.max())
        count, classes, block = last - first + 1, self.truth_BK.shape[1], block_P.astype(np.int64) - first
        touched = slice(first, last + 1)
        top_P = probability_PK.argmax(axis=1)
        columns = [*((probability_PK[:, k], truth_P == k) for k in range(classes)), (probability_PK.max(axis=1), truth_P == top_P)]
        for k, (probability, is_observed) in enumerate(columns):
            cell = block * BINS + np.minimum((probability * BINS).astype(np.int64), BINS - 1)
            for m, weight in enumerate((None, np.rint(probability * float(UNIT)), is_observed)):
                sums = np.bincount(cell, weight, minlength=count * BINS).reshape(count, BINS)
                self.bins_BK1ME[touched, k, m] += sums.astype(np.int64)
            if k < classes:
                square = np.rint(np.square(probability - is_observed, dtype=np.float64) * UNIT)
                self.squares_BK[touched, k] += np.bincount(block, square, minlength=count).astype(np.int64)
                self.truth_BK[touched, k] += np.bincount(block, is_observed, minlength=count).astype(np.int64)


def calibration(counts: CalibrationCounts, names: Sequence[str], bootstrap: Bootstrap) -> dict[str, Any]:
    """The figures of metrics.json from the counts of blocks: of the top label and of all classes, then `per_class` with reliability curves.

    The figures of `summary`, `reliability` of the top label, and for each class `ece`, `brier`, `base_rate_brier` and `reliability`.
    """
    bins_SKME, values_S = bootstrap.sums(counts.bins_BK1ME), _values(counts, bootstrap)
    per_class = by_class({key: values_S[key] for key in _OF_CLASS}, names)
    for k, entry in enumerate(per_class.values()):
        entry["reliability"] = _curve(bins_SKME[:, k])
    return {**_summary(values_S), "reliability": _curve(bins_SKME[:, -1]), "per_class": per_class}


def summary(counts: CalibrationCounts, bootstrap: Bootstrap) -> dict[str, Any]:
    """`ece`, `classwise_ece`, `brier` and `base_rate_brier`, each with its interval."""
    return _summary(_values(counts, bootstrap))


_OF_CLASS = ("ece", "brier", "base_rate_brier")


def _summary(values_S: Mapping[str, Floats]) -> dict[str, Any]:
    totals = {key: values_S[key].sum(axis=-1) for key in ("brier", "base_rate_brier")}
    return with_intervals({"ece": values_S["top"], "classwise_ece": values_S["ece"].mean(axis=-1), **totals})


def _values(counts: CalibrationCounts, bootstrap: Bootstrap) -> dict[str, Floats]:
    """Of each class (S, K): `ece`, `brier`, `base_rate_brier`; of the top label (S,): `top`."""
    ece_SK1 = expected_error(bootstrap.sums(counts.bins_BK1ME))
    truth_SK = bootstrap.sums(counts.truth_BK)
    pixels_S1 = truth_SK.sum(axis=-1, keepdims=True)
    share_SK = metrics.ratio(truth_SK, pixels_S1)
    brier_SK = metrics.ratio(bootstrap.sums(counts.squares_BK) / UNIT, pixels_S1)
    return {"ece": ece_SK1[:, :-1], "top": ece_SK1[:, -1], "brier": brier_SK, "base_rate_brier": share_SK * (1 - share_SK)}


def expected_error(bins_ME: Numbers) -> Floats:
    """The expected calibration error (...,) of bins (..., M, E)."""
    pixels_E, probability_E, observed_E = (bins_ME[..., m, :] for m in range(3))
    return metrics.ratio(np.abs(probability_E / UNIT - observed_E).sum(axis=-1), pixels_E.sum(axis=-1))


def _curve(bins_SME: Floats) -> dict[str, list[Any]]:
    """A reliability curve: mean probability, observed share with its interval, and pixels of each bin; None in an empty bin."""
    pixels_SE, probability_SE, observed_SE = np.moveaxis(bins_SME, 1, 0)
    mean_E, share_SE = metrics.ratio(probability_SE[0] / UNIT, pixels_SE[0]), metrics.ratio(observed_SE, pixels_SE)
    return {
        "probability": [None if np.isnan(value) else float(value) for value in mean_E],
        "share": [None if np.isnan(value) else float(value) for value in share_SE[0]],
        "share" + SUFFIX: [interval(float(share_S[0]), share_S[1:]) for share_S in share_SE.T],
        "pixels": [int(count) for count in pixels_SE[0]],
    }
