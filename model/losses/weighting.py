"""Label smoothing and class weights, from the weak labels alone."""

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
    """Adds weights and smoothing to the targets of a batch."""

    kind: str  # of label
    smoothing: float = 0.0  # share of each label that is spread evenly: over 0 and 1 (presence) or over the classes
    weight_2K: Tensor | None = None  # presence: weights of each class's 0 and 1. Other kinds: of each class, both rows equal. None = 1

    def __call__(self, targets: Targets) -> Targets:
        """The targets with weights and smoothed labels."""
        if targets.pixel_BHW is not None:
            return targets._replace(weight_K=None if self.weight_2K is None else self.weight_2K[1], smoothing=self.smoothing)
        label_BK = targets.image_BK
        assert label_BK is not None
        if self.weight_2K is not None:
            targets = targets._replace(weight_BK=torch.where(label_BK > 0, self.weight_2K[1], self.weight_2K[0]))
        if targets.pct_B is not None:
            weight_B1, of_class = (targets.pct_B / 100)[:, None], targets.weight_BK
            targets = targets._replace(weight_BK=weight_B1.expand_as(label_BK) if of_class is None else weight_B1 * of_class)
        if self.smoothing:
            even = 0.5 if self.kind == "presence" else 1 / label_BK.shape[1]
            targets = targets._replace(image_BK=label_BK * (1 - self.smoothing) + even * self.smoothing)
        return targets


def class_weights(how: str, labels: WeakLabels, classes: int) -> npt.NDArray[np.float32] | None:
    """Class weights (2, K) float32 by the option `class_weights`; None: every weight is 1.

    balanced: inverse class frequency, labels / (number of classes x labels of the class); 0 for a class without a label. With presence
    labels the 0 and the 1 of each class are two classes.
    """
    if how == "none":
        return None
    count_2K: npt.NDArray[Any]
    if labels.pixel_NHW is not None:
        count_2K = np.stack([labels.class_pixels()[:classes]] * 2)
    else:
        assert labels.image_NK is not None
        known_NK = labels.image_NK[labels.labelled()]
        if labels.kind == "presence":
            count_2K = np.stack([len(known_NK) - known_NK.sum(axis=0), known_NK.sum(axis=0)])
        else:
            count_2K = np.stack([known_NK.sum(axis=0, dtype=np.float64)] * 2)
    alternatives, total = (2, count_2K[:, 0].sum()) if labels.kind == "presence" else (classes, count_2K[0].sum())
    return np.asarray(np.divide(float(total), alternatives * count_2K, out=np.zeros(count_2K.shape), where=count_2K > 0), np.float32)
