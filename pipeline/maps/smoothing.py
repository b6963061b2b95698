"""Bayesian smoothing of class probabilities by their neighbourhood. Axis suffixes: K class, Y/X rows and columns."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.maps.quantised import odds_to_best
from cropcam.pipeline.maps.windows import Values
from cropcam.pipeline.runtime.compiled import compiled
from cropcam.pipeline.runtime.tasks import cores

RADIUS_PX = 3  # neighbourhoods of 7 x 7 pixels
STRIP_PX = 64  # rows that a thread takes at once


def smoothed(logits_KYX: Values, valid_YX: npt.NDArray[np.bool_], smoothness: float) -> Values:
    """Log probabilities (K, Y, X), float32, smoothed; pixels that are not valid keep theirs.

    The logit of each class's probability is normal about an unknown mean with variance `smoothness`. The prior of that mean is normal, with mean and
    variance of the upper half of the logits in the neighbourhood of 7 x 7 valid pixels. The posterior mean replaces the logit; then
    probabilities are divided by their sum.

    Source: Camara et al. 2024, "Bayesian Inference for Post-Processing of Remote-Sensing Image Classification", Remote Sensing 16(23) 4572; as
    `sits_smooth` of sits with window_size 7 and neigh_fraction 0.5.

    Args:
        logits_KYX: float32; their softmax over classes is the probability of each.
        valid_YX: pixels with data; others are no neighbours.
        smoothness: the variance; larger = smoother. 10 to 20 is usual.
    """
    odds_KYX = np.empty(logits_KYX.shape, np.float32)
    out_KYX = np.zeros(logits_KYX.shape, np.float32)
    rows = range(0, valid_YX.shape[0], STRIP_PX)
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(lambda row: _log_odds(logits_KYX, row, min(row + STRIP_PX, len(valid_YX)), odds_KYX), rows))
        list(pool.map(lambda row: _smooth_rows(odds_KYX, valid_YX, smoothness, row, min(row + STRIP_PX, len(valid_YX)), out_KYX), rows))
    probability_KYX = 1 / (1 + np.exp(-out_KYX))
    log_KYX = logits_KYX - np.logaddexp.reduce(logits_KYX, axis=0)
    found: Values = np.where(valid_YX, np.log(probability_KYX / probability_KYX.sum(axis=0)), log_KYX)
    return found


@compiled
def _log_odds(logits_KYX: Values, first: int, after: int, odds_KYX: Values) -> None:
    """The logarithm of each class's probability over that of all others, from -30 to 30; exact also where one class is nearly certain."""
    classes, _, width = logits_KYX.shape
    share_K = np.empty(classes)
    for y in range(first, after):
        for x in range(width):
            best = odds_to_best(logits_KYX, y, x, share_K)
            others = 0.0
            for k in range(classes):
                others += share_K[k] if k != best else 0.0
            for k in range(classes):
                rest = others if k == best else 1 + others - share_K[k]
                odds_KYX[k, y, x] = min(max(np.log(max(share_K[k], 1e-300)) - np.log(max(rest, 1e-300)), -30.0), 30.0)


@compiled
def _smooth_rows(odds_KYX: Values, valid_YX: npt.NDArray[np.bool_], smoothness: float, first: int, after: int, out_KYX: Values) -> None:
    classes, height, width = odds_KYX.shape
    near = np.empty((2 * RADIUS_PX + 1) ** 2)
    for k in range(classes):
        for y in range(first, after):
            for x in range(width):
                if not valid_YX[y, x]:
                    continue
                count = 0
                for row in range(max(y - RADIUS_PX, 0), min(y + RADIUS_PX + 1, height)):
                    for col in range(max(x - RADIUS_PX, 0), min(x + RADIUS_PX + 1, width)):
                        if valid_YX[row, col]:
                            near[count] = odds_KYX[k, row, col]
                            count += 1
                upper = np.sort(near[:count])[count // 2 :]
                variance = upper.var() * len(upper) / (len(upper) - 1) if len(upper) > 1 else 0.0
                share = variance / (variance + smoothness)  # of the pixel's own; the largest numbers do not overflow
                out_KYX[k, y, x] = upper.mean() + share * (odds_KYX[k, y, x] - upper.mean())
