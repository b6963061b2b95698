"""Label smoothing and class weights, from nothing but the labels that the kind of label allows.

Axis suffixes: N patch, B batch, K class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.labels import WeakLabels
from model.losses import Targets
from pipeline.legend import UNLABELLED


@dataclass(frozen=True)
class Weighing:
    """What is done to the targets of a batch before the loss sees them.

    Attributes:
        smoothing: how much of each answer is spread evenly: over yes and no (presence) or over the classes.
        weight_2K: presence: weight of each class's no and yes. majority, points, pixels: of each class, both rows equal. None = 1.
    """

    kind: str
    smoothing: float = 0.0
    weight_2K: Tensor | None = None

    def __call__(self, targets: Targets) -> Targets:
        """The targets with weights and smoothed answers."""
        if targets.pixel_BHW is not None:
            weight_K = None if self.weight_2K is None else self.weight_2K[1]
            return targets._replace(weight_K=weight_K, smoothing=self.smoothing)
        label_BK = targets.image_BK
        assert label_BK is not None
        if self.weight_2K is not None:
            targets = targets._replace(weight_BK=torch.where(label_BK > 0, self.weight_2K[1], self.weight_2K[0]))
        if self.smoothing:
            even = 0.5 if self.kind == "presence" else 1 / label_BK.shape[1]
            targets = targets._replace(image_BK=label_BK * (1 - self.smoothing) + even * self.smoothing)
        return targets


def balanced(labels: WeakLabels, classes: int) -> npt.NDArray[np.float32]:
    """Weights (2, K) that make rare answers count as much as frequent ones: all / (answers x how often this one is given).

    presence: yes and no of each class, each half of the weight. majority, points, pixels: each class 1 / K of it. An answer that
    is never given has weight 0.
    """
    if labels.pixel_NHW is not None:
        count_K = np.bincount(labels.pixel_NHW[labels.pixel_NHW != UNLABELLED], minlength=classes)[:classes]
        count_2K = np.stack([count_K, count_K])
        answers = classes
    else:
        assert labels.image_NK is not None
        known_NK = labels.image_NK[~np.isnan(labels.image_NK).any(axis=1)] > 0
        yes_K = known_NK.sum(axis=0)
        count_2K = np.stack([len(known_NK) - yes_K, yes_K]) if labels.kind == "presence" else np.stack([yes_K, yes_K])
        answers = 2 if labels.kind == "presence" else classes
    total = count_2K.sum(axis=0) if labels.kind == "presence" else count_2K[0].sum()
    weight = np.divide(total, answers * count_2K, out=np.zeros(count_2K.shape), where=count_2K > 0)
    return np.asarray(weight, np.float32)
