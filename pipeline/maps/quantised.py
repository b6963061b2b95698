"""Scores of pixels as the bytes of a map: class, probabilities, entropy. Axis suffixes: K class, Y/X rows and columns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.maps.windows import NODATA_CLASS, Classes, Values, highest
from cropcam.pipeline.runtime.compiled import compiled, inlined

STEPS = 250  # of a probability from 0 to 1; also of the entropy, whose largest value is log K
Bytes = npt.NDArray[np.uint8]
Shares = npt.NDArray[np.float64]


class Quantised(NamedTuple):
    """Layers of a map, uint8, 255 = nodata.

    Attributes:
        class_YX: class index; the argmax of `probability_KYX`.
        probability_KYX: round(250 x probability); where rounding would hide the class, its value is one above the others.
        entropy_YX: round(250 x entropy / log K): 0 = certain, 250 = all classes alike.
    """

    class_YX: Bytes
    probability_KYX: Bytes
    entropy_YX: Bytes


def classes_of(logits_KYX: Values, valid_YX: npt.NDArray[np.bool_]) -> Classes:
    """The class index of the highest logit (Y, X), uint8, the lowest of equals; 255 where not valid."""
    return np.where(valid_YX, highest(logits_KYX), np.uint8(NODATA_CLASS))


def quantised(logits_KYX: Values, valid_YX: npt.NDArray[np.bool_]) -> Quantised:
    """Class, probabilities and entropy of the softmax of logits over classes; 255 where not valid.

    Args:
        logits_KYX: float32, finite.
        valid_YX: pixels with data.
    """
    classes, height, width = logits_KYX.shape
    found = Quantised(*(np.full(shape, NODATA_CLASS, np.uint8) for shape in ((height, width), logits_KYX.shape, (height, width))))
    _fill(np.ascontiguousarray(logits_KYX), valid_YX, 1 / np.log(max(classes, 2)), *found)
    return found


def sigmoids(values_KYX: Values, valid_YX: npt.NDArray[np.bool_]) -> Bytes:
    """round(250 x sigmoid) of each class's own logit (K, Y, X), uint8; 255 where not valid."""
    share_KYX = 1 / (1 + np.exp(-np.clip(values_KYX, -30, 30)))
    return np.where(valid_YX, np.round(STEPS * share_KYX).astype(np.uint8), np.uint8(NODATA_CLASS))


@inlined
def odds_to_best(logits_KYX: Values, y: int, x: int, share_K: Shares) -> int:
    """The class of a pixel, the lowest of equals; `share_K` then holds the probability of each class over that of this one."""
    best = 0
    for k in range(1, len(share_K)):
        if logits_KYX[k, y, x] > logits_KYX[best, y, x]:
            best = k
    for k in range(len(share_K)):
        share_K[k] = np.exp(np.float64(logits_KYX[k, y, x]) - np.float64(logits_KYX[best, y, x]))
    return best


@compiled
def _fill(
    logits_KYX: Values, valid_YX: npt.NDArray[np.bool_], per_nat: float, class_YX: Bytes, probability_KYX: Bytes, entropy_YX: Bytes
) -> None:
    classes, height, width = logits_KYX.shape
    share_K = np.empty(classes)
    for y in range(height):
        for x in range(width):
            if not valid_YX[y, x]:
                continue
            best = odds_to_best(logits_KYX, y, x, share_K)
            total = share_K.sum()
            entropy, others = 0.0, 0
            for k in range(classes):
                share = share_K[k] / total
                if share > 0:
                    entropy -= share * np.log(share)
                steps = int(np.floor(STEPS * share + 0.5))
                probability_KYX[k, y, x] = steps
                if k != best:
                    others = max(others, steps)
            class_YX[y, x] = best
            probability_KYX[best, y, x] = max(int(probability_KYX[best, y, x]), others + 1)
            entropy_YX[y, x] = min(int(np.floor(STEPS * entropy * per_nat + 0.5)), STEPS)
