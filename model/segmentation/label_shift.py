"""Class probabilities shifted to known class shares: one offset of the log probabilities for each class.

The classes of another place or year have other shares than in the training. Where the shares are known, each
pixel's probabilities are multiplied by one factor for each class and normalised again, so that their mean over the pixels is the shares.

Saerens, Latinne, Decaestecker 2002, "Adjusting the Outputs of a Classifier to New a Priori Probabilities: A Simple Procedure", Neural
Computation 14(1), 21-41, equation 2.4, multiply by the new share over that of the training. That is right where the classes look as they
do in the training. Here the factors follow from the pixels themselves, so that the areas are met also where the network is wrong about them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
MOST_STEPS, TOLERANCE = 200, 1e-7  # of Newton's method; of a class's mean probability
LARGEST = 60.0  # distance between two offsets, beyond which a share counts as out of reach: no pixel has a trace of the class
MET = 1e-3  # of a class's mean probability
_LEAST = -80.0  # smallest log probability: two classes of probability 0 would be equal at any offset


class LabelShift(NamedTuple):
    """The offset of each class's log probability, and the mean probability of each class with it, of the pixels that it was found with."""

    offset_K: npt.NDArray[np.float64]  # mean 0 over the classes with a share; -inf for a class without one
    reached_K: npt.NDArray[np.float64]  # 0..1, adds up to 1

    def is_met(self, target_K: Floats) -> bool:
        """Whether the shares are reached; `target_K` as of `label_shift`."""
        return bool(np.abs(self.reached_K - np.asarray(target_K) / np.sum(target_K)).max() <= MET)


def label_shift(log_PK: Floats, target_K: Floats) -> LabelShift:
    """The offsets with which the mean probability of each class over the pixels is its share.

    They minimise mean(logsumexp(log probabilities + offsets)) - shares . offsets, which is convex with one minimum up to a constant: its
    gradient is the mean probability minus the share. Newton's method with halved steps, float64. The classes without a share get
    probability 0. Where a share is out of reach (no pixel has a trace of the class) the offsets end at `LARGEST`, and `reached_K` differs
    from the shares.

    Args:
        log_PK: calibrated log probabilities, or logits, of a sample of pixels; finite or -inf.
        target_K: shares of the classes, or areas, at least 0; they need not add up to 1.

    Raises:
        ValueError: no pixel, or a share that is negative, not finite, or all are 0.
    """
    target_K = np.asarray(target_K, np.float64)
    if not len(log_PK) or not np.isfinite(target_K).all() or (target_K < 0).any() or not target_K.sum() > 0:
        raise ValueError(
            f"{len(log_PK)} pixels, shares {target_K.tolist()}: at least one pixel, and shares of at least 0 with a sum above 0"
        )
    has_share_K = target_K > 0
    share_J = target_K[has_share_K] / target_K.sum()
    log_PJ = np.asarray(log_PK, np.float64)[:, has_share_K]
    log_PJ = np.maximum(log_PJ - log_PJ.max(axis=1, keepdims=True, initial=_LEAST), _LEAST)
    offset_J = _newton(log_PJ, share_J)
    offset_K, reached_K = np.full(len(target_K), -np.inf), np.zeros(len(target_K))
    offset_K[has_share_K], reached_K[has_share_K] = offset_J, _probabilities(log_PJ + offset_J)[1].mean(axis=0)
    return LabelShift(offset_K, reached_K)


def _newton(log_PJ: npt.NDArray[np.float64], share_J: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    offset_J = np.zeros(len(share_J))
    value, probability_PJ = _objective(log_PJ, offset_J, share_J)
    for _ in range(MOST_STEPS):
        mean_J = probability_PJ.mean(axis=0)
        gradient_J = mean_J - share_J
        if np.abs(gradient_J).max() <= TOLERANCE:
            break
        curvature_JJ = np.diag(mean_J) - probability_PJ.T @ probability_PJ / len(probability_PJ)
        # a constant added to all offsets changes nothing; where every pixel is certain the curvature vanishes
        ridge = 1e-3 * np.abs(gradient_J).max() * np.eye(len(share_J)) + 1.0 / len(share_J)
        step_J = -np.linalg.solve(curvature_JJ + ridge, gradient_J)
        step_J *= min(1.0, 10.0 / max(np.abs(step_J).max(), 1e-300))
        slope = float(gradient_J @ step_J)
        for _ in range(40):
            moved_J = offset_J + step_J
            moved_value, moved_PJ = _objective(log_PJ, moved_J, share_J)
            if moved_value <= value + 1e-4 * slope:
                break
            step_J, slope = step_J / 2, slope / 2
        else:  # no smaller value within rounding
            break
        offset_J, value, probability_PJ = moved_J - moved_J.mean(), moved_value, moved_PJ
        if np.ptp(offset_J) > LARGEST:
            offset_J *= LARGEST / np.ptp(offset_J)
            break
    return offset_J


def _objective(
    log_PJ: npt.NDArray[np.float64], offset_J: npt.NDArray[np.float64], share_J: npt.NDArray[np.float64]
) -> tuple[float, npt.NDArray[np.float64]]:
    """The value that is minimised, and the shifted probabilities."""
    log_sum_P, probability_PJ = _probabilities(log_PJ + offset_J)
    return float(log_sum_P.mean() - share_J @ offset_J), probability_PJ


def _probabilities(log_PJ: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The logarithm of the sum over classes, and the probabilities."""
    most_P1 = log_PJ.max(axis=1, keepdims=True)
    scaled_PJ = np.exp(log_PJ - most_P1)
    sum_P1 = scaled_PJ.sum(axis=1, keepdims=True)
    return (most_P1 + np.log(sum_P1))[:, 0], scaled_PJ / sum_P1
