"""The score of a shift: how much accuracy an image is expected to lose against home, from three measured differences.

Expected accuracy = accuracy at home x exp(-score). The weights were fitted to the absolute error over 78 cases, without negative ones:
runs on class shares of `dakota-2015` and `illinois-2023` (fcn, 16 epochs, one seed), each on both scenes, as they are and changed (darker,
brighter, hazier, another month, noisier), with the accuracy against CDL. Fitted on one run and judged on the other, the error was .123 on
average, and .076 over the cases that lose less than .35; a warning came in .98 of the cases that lose more than .10 and in 1 of the 10
that lose less than .03. Tried and not better: mean confidence, thresholded confidence (arXiv 2201.04234; alone: .276), differences of band
quantiles, of class means, and the share outside the range of a class.
"""

from __future__ import annotations

from math import exp
from typing import NamedTuple


class Terms(NamedTuple):
    """What the score is made of, 0..1 each; all 0 for an image like home."""

    unsure: float  # share of pixels less confident than 80 % of the home's, beyond the home's own share
    far: float  # share of pixels beyond the home's 99 % feature distance, beyond the home's own share
    classes: float  # half the sum of the absolute differences of predicted class shares


WEIGHTS = Terms(unsure=0.35, far=0.78, classes=0.43)
THRESHOLD = 0.12  # of the score: a warning from here on
ERROR = 0.12  # mean absolute error of the expected accuracy, on a run that the weights were not fitted to


def score(terms: Terms) -> float:
    """The weighted sum of the terms; 0 for an image like home.

    >>> round(score(Terms(0.2, 0.5, 0.1)), 3)
    0.503
    """
    return sum(weight * term for weight, term in zip(WEIGHTS, terms, strict=True))


def accuracy_at(home_accuracy: float, score: float) -> float:
    """The expected pixel accuracy (0..1) of an image with that score.

    Source: Guillory et al. 2021, "Predicting with Confidence on Unseen Distributions", arXiv 2107.03315: a regression of the accuracy on the
    difference of confidences; here with two more differences, and never below 0.

    >>> round(accuracy_at(0.85, 0.0), 2), round(accuracy_at(0.85, 0.5), 2)
    (0.85, 0.52)
    """
    return home_accuracy * exp(-score)
