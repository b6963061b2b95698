"""Label smoothing and class weights, from nothing but the weak labels.

Axis suffixes: N patch, B batch, K class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cropcam.model.labels.weak_labels import WeakLabels
from cropcam.model.losses.objectives import Targets


@dataclass(frozen=True)
class LossWeighting:
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
        if self.weight_2K is not None:
            targets = targets._replace(weight_BK=torch.where(label_BK > 0, self.weight_2K[1], self.weight_2K[0]))
        if self.smoothing:
            even = 0.5 if self.kind == "presence" else 1 / label_BK.shape[1]
            targets = targets._replace(image_BK=label_BK * (1 - self.smoothing) + even * self.smoothing)
        return targets


def class_weights(how: str, labels: WeakLabels, classes: int) -> npt.NDArray[np.float32] | None:
    """Class weights (2, K) by the option `class_weights`; None: every label 1.

    balanced: inverse class frequency, count of all labels / (number of classes x count of this class). Presence: the 0 and the 1 of each class have half of
    the weight each. Other kinds: each class has 1 / K of it; a class without a label has weight 0.
    """
    if how == "none":
        return None
    given_2K, total, answers = _given(labels, classes)
    return np.asarray(np.divide(total, answers * given_2K, out=np.zeros(given_2K.shape), where=given_2K > 0), np.float32)


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
