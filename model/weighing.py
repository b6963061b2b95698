"""Label smoothing, class weights and where a network begins, from nothing but the labels that the kind of label allows.

Axis suffixes: N patch, B batch, K class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.labels import KINDS, WeakLabels
from model.losses import Targets

CLASS_WEIGHTS = {  # by name: the kinds of label they go with
    "none": KINDS,
    "balanced": ("presence", "majority", "points", "pixels"),
    "rare": ("majority", "shares", "points", "pixels"),
    "very-rare": ("majority", "points", "pixels"),
}
RARE_SHARE = {"rare": 0.1, "very-rare": 0.04}  # a class below it counts as one of it
LEAST_SHARE = 0.001  # a class below it is taken for one of it
# With "very-rare". Where labels are spread (`smoothing`) every point teaches each class by its weight: 0.1 spread over two classes and fifteenfold, a point still
# says its own class most of all.
MOST = 15.0


@dataclass(frozen=True)
class Weighing:
    """What is done to the targets of a batch before the loss sees them.

    Attributes:
        smoothing: how much of each answer is spread evenly: over yes and no (presence) or over the classes.
        weight_2K: presence: weight of each class's no and yes. Other kinds: of each class, both rows equal. None = 1.
    """

    kind: str
    smoothing: float = 0.0
    weight_2K: Tensor | None = None

    def __call__(self, targets: Targets) -> Targets:
        """The targets with weights and smoothed answers."""
        weight_K = None if self.weight_2K is None else self.weight_2K[1]
        if targets.pixel_BHW is not None:
            return targets._replace(weight_K=weight_K, smoothing=self.smoothing)
        label_BK = targets.image_BK
        assert label_BK is not None
        if self.kind == "shares":
            targets = targets._replace(weight_K=weight_K)
        elif self.weight_2K is not None:
            targets = targets._replace(weight_BK=torch.where(label_BK > 0, self.weight_2K[1], self.weight_2K[0]))
        if self.smoothing:
            even = 0.5 if self.kind == "presence" else 1 / label_BK.shape[1]
            targets = targets._replace(image_BK=label_BK * (1 - self.smoothing) + even * self.smoothing)
        return targets


def class_weights(how: str, labels: WeakLabels, classes: int) -> npt.NDArray[np.float32] | None:
    """Weights (2, K) by one of `CLASS_WEIGHTS`; None: every answer 1.

    balanced: rare answers count as much as frequent ones, all / (answers x how often this one is given). Presence: yes and no of each class, each half
    of the weight. Other kinds: each class 1 / K of it; one that is never given has weight 0.
    rare, very-rare: `RARE_SHARE` / the class's share of what is given, at least 1; very-rare at most `MOST`, and 1 for a class that is never given.
    """
    if how == "none":
        return None
    given_2K, total, answers = _given(labels, classes)
    if how in RARE_SHARE:
        weight_2K = np.maximum(RARE_SHARE[how] / np.maximum(given_2K / max(total, 1), LEAST_SHARE), 1)
        if how == "very-rare":
            weight_2K = np.where(given_2K > 0, np.minimum(weight_2K, MOST), 1)
    else:
        weight_2K = np.divide(total, answers * given_2K, out=np.zeros(given_2K.shape), where=given_2K > 0)
    return np.asarray(weight_2K, np.float32)


def prior_bias(labels: WeakLabels, classes: int) -> npt.NDArray[np.float32]:
    """Logarithm of the share of each class (K) in the labels, of `LEAST_SHARE` where it is rarer: not for presence.

    A network whose scores begin there need not first learn how frequent classes are, in which it forgets rare ones.

    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", arXiv 1708.02002, section 4.1, for two classes.
    """
    given_2K, total, _ = _given(labels, classes)
    return np.asarray(np.log(np.maximum(given_2K[1] / max(total, 1), LEAST_SHARE)), np.float32)


def _given(labels: WeakLabels, classes: int) -> tuple[npt.NDArray[np.floating[Any]], float, int]:
    """How often each answer is given (2, K), how often one is, and how many there are."""
    if labels.pixel_NHW is not None:
        given_K: npt.NDArray[Any] = labels.class_pixels()[:classes]
    else:
        assert labels.image_NK is not None
        known_NK = labels.image_NK[labels.labelled()]
        if labels.kind == "presence":
            yes_K = known_NK.sum(axis=0)
            return np.stack([len(known_NK) - yes_K, yes_K]), len(known_NK), 2
        given_K = known_NK.sum(axis=0, dtype=np.float64)
    return np.stack([given_K, given_K]), float(given_K.sum()), classes
