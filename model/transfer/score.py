"""The score of a shift: how much accuracy an image is expected to lose against home, from three measured differences.

Expected accuracy = accuracy at home x exp(-score). The weights minimise the absolute error over 117 cases, and none is negative: runs on
shares of `dakota-2015` and of `illinois-2023` (fcn) and on pixels of `dakota-2015` (unet), 16 epochs, one seed; each on its own test split
and on the other scene, as they are and changed in 17 ways (darker, brighter, hazier, another month, noisier), with the accuracy against CDL.
The 12 cases of unchanged scenes and their parts count five times, cases that lose less than .35 twice.

Fitted on two runs and judged on the third: warned in 98 % of the 95 cases that lose more than .10, and in 1 of the 15 that lose less than
.03. Mean absolute error of the accuracy .040 over the unchanged scenes, .077 over the 53 cases that lose less than .35, .144 over all.
Only three of the unchanged scenes are another place: .68 expected and .775 found, .64 and .760, .56 and .569 with the weights below. Terms,
case weights and threshold were chosen by these figures, so they are optimistic for other runs and places.

`python -m benchmarks.travel`, afterwards: 60 cases of shares, presence, pixels and trees on two real scenes and four simulated places. Of 43
that lose more than .10, 42 are warned of, and none of the two that lose less than .03; the mean absolute error is .094. Weights and threshold
that are fitted without the place of the case warn of 42 and of one, with an error of .113.

The fit gives the class shares no weight where unchanged scenes count: another place has other shares without any loss. Their weight is set
to .12, the least of .08, .12, .16 and .20 that warns of every case that loses more than .3: a network can be sure of the wrong class (dark
Illinois: .03 right). Tried and not better: the mean confidence for the share of unsure pixels (alone: .265 over all), differences of band
quantiles, the share outside a class's range, and thresholded confidence (Garg et al. 2022, arXiv 2201.04234). A run on presence that was
itself below the majority guess has no accuracy to lose and was left out.
"""

from __future__ import annotations

from math import exp
from typing import NamedTuple


class Terms(NamedTuple):
    """What the score is made of, 0..1 each; all 0 for an image like home."""

    unsure: float  # share of pixels less confident than 80 % of the home's, beyond the home's own share
    far: float  # share of pixels beyond the home's 99 % feature distance, beyond the home's own share
    classes: float  # half the sum of the absolute differences of predicted class shares


WEIGHTS = Terms(unsure=0.54, far=1.06, classes=0.12)
THRESHOLD = 0.10  # of the score: a warning from here on
ERROR = 0.09  # mean absolute error of the expected accuracy over the 60 cases of `benchmarks.travel`


def score(terms: Terms) -> float:
    """The weighted sum of the terms; 0 for an image like home.

    >>> round(score(Terms(0.2, 0.5, 0.1)), 3)
    0.65
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
