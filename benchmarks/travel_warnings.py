"""Warnings and estimates of the benchmark `travel`, judged on the places that they were not fitted on.

A case is a run scored on every patch of another place. For the cases of one home place, weights and threshold are fitted to the cases
whose home and target are other places. Between two real places nothing is ever fitted: those cases are only judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import exp
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import nnls

from benchmarks.places import REAL
from cropcam.model.transfer.score import THRESHOLD, WEIGHTS, Terms

LARGE, SMALL = 0.10, 0.03  # losses of pixel accuracy: a warning is due above, and none below
LEAST = 0.01  # of accuracy, where its logarithm is taken


class Case(NamedTuple):
    """A run at home and at another place."""

    kind: str
    home: str
    target: str
    seed: int
    home_accuracy: float
    accuracy: float
    terms: Terms

    @property
    def loss(self) -> float:
        """Of pixel accuracy against home."""
        return self.home_accuracy - self.accuracy

    @property
    def is_real(self) -> bool:
        """Between two real places."""
        return self.home in REAL and self.target in REAL


class Fitted(NamedTuple):
    """What turns the terms of a shift into a score, and a score into a warning."""

    weights: Terms
    threshold: float

    def score(self, terms: Terms) -> float:
        """As of `cropcam.model.transfer.score.score`."""
        return sum(weight * term for weight, term in zip(self.weights, terms, strict=True))


class Judged(NamedTuple):
    """A case with the warning and the estimate of the run there."""

    case: Case
    score: float
    warned: bool
    estimate: float


CONSTANTS = Fitted(WEIGHTS, THRESHOLD)


def cases(cells: Iterable[dict[str, Any]]) -> list[Case]:
    """The cases among the cells: runs of one place, scored on every patch of another one."""
    of_home = [cell for cell in cells if cell["how"] == "home"]
    at_home = {(cell["kind"], cell["trained"], cell["seed"]): cell["pixel_accuracy"] for cell in of_home if cell["part"] == "test"}
    return [
        Case(cell["kind"], cell["trained"], cell["place"], cell["seed"], home, cell["pixel_accuracy"], Terms(**cell["shift"]["terms"]))
        for cell in of_home
        if cell["part"] == "all" and (home := at_home.get((cell["kind"], cell["trained"], cell["seed"]))) is not None
    ]


def fit(known: Sequence[Case]) -> Fitted:
    """Weights by non-negative least squares of -log(accuracy / home) on the terms, and the threshold that separates large losses from small ones.

    Raises:
        ValueError: there is no case.
    """
    if not known:
        raise ValueError("no case to fit weights to")
    loss_N = [-np.log(max(case.accuracy, LEAST) / max(case.home_accuracy, LEAST)) for case in known]
    weights, _ = nnls(np.array([case.terms for case in known], np.float64), np.array(loss_N))
    fitted = Fitted(Terms(*map(float, weights)), THRESHOLD)
    scores = [(fitted.score(case.terms), case.loss) for case in known]
    return fitted._replace(threshold=threshold([s for s, loss in scores if loss > LARGE], [s for s, loss in scores if loss < SMALL]))


def threshold(large: Sequence[float], small: Sequence[float]) -> float:
    """The score from which most of the large losses and fewest of the small ones are warned of: shares of both, difference largest.

    Of thresholds that are equally good the middle of the widest gap between scores; the package's own where one side has no case.

    >>> threshold([0.4, 0.6], [0.1, 0.2])
    0.3
    """
    if not large or not small:
        return THRESHOLD
    scores = sorted({*large, *small})
    gaps = [(scores[0], scores[0]), *pairwise(scores)]

    def worth(gap: tuple[float, float]) -> tuple[float, float]:
        limit = sum(gap) / 2
        hits, alarms = (float(np.mean(np.array(side) >= limit)) for side in (large, small))
        return round(hits - alarms, 9), gap[1] - gap[0]

    return round(sum(max(gaps, key=worth)) / 2, 6)


def judge(every: Sequence[Case], constants: Fitted | None = None) -> tuple[list[Judged], dict[str, Fitted]]:
    """Each case by what was fitted without its home place, or by the constants; and what was fitted, by the place left out."""
    fitted: dict[str, Fitted] = {}
    if not constants:
        for place in sorted({case.home for case in every}):
            if known := [case for case in every if place not in (case.home, case.target) and not case.is_real]:
                fitted[place] = fit(known)
    judged = []
    for case in every:
        by = constants or fitted.get(case.home)
        if by:
            score = by.score(case.terms)
            judged.append(Judged(case, score, score >= by.threshold, case.home_accuracy * exp(-score)))
    return judged, fitted


def figures(judged: Sequence[Judged]) -> dict[str, Any]:
    """Cases, the shares warned of those that lose much and of those that lose little, and the error of the estimate; None where there is no case."""

    def share(side: list[Judged]) -> float | None:
        return round(sum(each.warned for each in side) / len(side), 3) if side else None

    large, small = [each for each in judged if each.case.loss > LARGE], [each for each in judged if each.case.loss < SMALL]
    errors = [abs(each.estimate - each.case.accuracy) for each in judged]
    return {
        **{"cases": len(judged), "large_losses": len(large), "warned_of_large": share(large)},
        **{"small_losses": len(small), "warned_of_small": share(small)},
        "mean_absolute_error": round(float(np.mean(errors)), 4) if errors else None,
    }
