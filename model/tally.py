"""From scored batches to the parts of metrics.json.

Axis suffixes: N patch, B batch, H/W rows and columns, K class, P the pair (row, column).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from model import metrics
from model.checkpoint import RunConfig
from model.metrics import Bools, Counts, Figure, RankHistogram
from model.scoring import Scored
from pipeline.legend import UNLABELLED


@dataclass
class Tally:
    """Everything the figures need of the batches seen so far; constant memory but for a few numbers per patch.

    Attributes:
        classes: how many.
        methods: names of the segmentations.
        default: the name of the run's own.
        confusion_KK: by method name, pixels.
        ranks_K: each class's activation map against its own pixels.
    """

    classes: int
    methods: tuple[str, ...]
    default: str
    confusion_KK: dict[str, Counts] = field(default_factory=dict)
    ranks_K: list[RankHistogram] = field(default_factory=list)
    _logits: list[npt.NDArray[np.float32]] = field(default_factory=list)
    _right: list[Counts] = field(default_factory=list)
    _labelled: list[Counts] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.confusion_KK = {name: np.zeros((self.classes, self.classes), np.int64) for name in self.methods}
        self.ranks_K = [RankHistogram() for _ in range(self.classes)]

    def add(self, batch: Scored) -> None:
        """Count one batch."""
        counts_BHW = batch.truth_BHW != UNLABELLED
        truth = batch.truth_BHW[counts_BHW]
        for name, segmented_BHW in batch.segmentation_BHW.items():
            self.confusion_KK[name] += metrics.confusion(truth, segmented_BHW[counts_BHW], self.classes)
        for index, ranks in enumerate(self.ranks_K):
            ranks.add(truth == index, batch.cams_BKHW[:, index][counts_BHW])
        self._logits.append(batch.logits_BK)
        self._right.append((counts_BHW & (batch.segmented_BHW == batch.truth_BHW)).sum(axis=(1, 2)))
        self._labelled.append(counts_BHW.sum(axis=(1, 2)))

    @property
    def patches(self) -> int:
        """Patches seen."""
        return sum(map(len, self._logits))

    @property
    def pixels(self) -> int:
        """Pixels that counted."""
        return int(self.confusion_KK[self.default].sum())

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        """Logits (N, K) of every patch."""
        return np.concatenate(self._logits)

    @property
    def right(self) -> Counts:
        """Pixels the default method got right, per patch (N,)."""
        return np.concatenate(self._right)

    @property
    def labelled(self) -> Counts:
        """Pixels that counted, per patch (N,)."""
        return np.concatenate(self._labelled)


def classification(present_NK: Bools, logits_NK: npt.NDArray[np.float32], config: RunConfig) -> dict[str, Any]:
    """The `classification` part: patch labels against logits; AUC and average precision rank by the logit, exactly.

    `accuracy` is the mean over classes; `majority_accuracy` that of the best constant answer on this split,
    the mean over classes of max(base rate, 1 - base rate). `mean_auc` and `mean_average_precision` leave out
    classes where they are undefined.
    """
    right_NK = (logits_NK > 0) == present_NK
    majority_K = present_NK.mean(axis=0) > 0.5
    classes = {name: _one_label(present_NK[:, k], logits_NK[:, k]) for k, name in enumerate(config.classes.names)}
    return {
        "accuracy": float(right_NK.mean()),
        "majority_accuracy": metrics.majority_label_accuracy(present_NK),
        "exact_match": float(right_NK.all(axis=1).mean()),
        "majority_exact_match": float((present_NK == majority_K).all(axis=1).mean()),
        "mean_auc": metrics.mean(values["auc"] for values in classes.values()),
        "mean_average_precision": metrics.mean(values["average_precision"] for values in classes.values()),
        "labels_per_patch": float(present_NK.sum(axis=1).mean()),
        "presence_min_share": config.presence_min_share,
        "threshold": 0.5,
        "patches": len(present_NK),
        "per_class": classes,
    }


def segmentation(tally: Tally, names: tuple[str, ...]) -> dict[str, Any]:
    """The `segmentation` part: figures of each method from its pooled confusion matrix, and each map's own AUC.

    `majority_accuracy` is the share of the most frequent class among the pixels that count; `majority` has every
    figure of always answering that class.
    """
    pooled_KK = tally.confusion_KK[tally.default]
    truth_K = pooled_KK.sum(axis=1)
    trivial = metrics.summary(metrics.majority_confusion(pooled_KK))
    return {
        "majority_accuracy": trivial["pixel_accuracy"],
        "majority": {"class": names[int(truth_K.argmax())], **trivial},
        "pixels": tally.pixels,
        "class_shares": {name: float(count / tally.pixels) for name, count in zip(names, truth_K, strict=True)},
        "cam_auc": {name: ranks.auc() for name, ranks in zip(names, tally.ranks_K, strict=True)},
        "methods": {name: _method(confusion_KK, names) for name, confusion_KK in tally.confusion_KK.items()},
        "default": tally.default,
    }


def patch_table(
    patches_N: npt.NDArray[np.int64], place_PN: npt.NDArray[np.int32], tally: Tally, right_NK: npt.NDArray[np.float64]
) -> pd.DataFrame:
    """One line per patch: index, row, col, pixel_accuracy, label_accuracy (share of right labels), labelled pixels."""
    labelled_N = tally.labelled
    with np.errstate(invalid="ignore"):
        pixel_accuracy_N = tally.right / labelled_N
    columns: dict[str, npt.NDArray[Any]] = {"patch": patches_N, "row": place_PN[0], "col": place_PN[1], "pixel_accuracy": pixel_accuracy_N}
    return pd.DataFrame({**columns, "label_accuracy": right_NK.mean(axis=1), "labelled_pixels": labelled_N})


def _one_label(present_N: Bools, logits_N: npt.NDArray[np.float32]) -> dict[str, Any]:
    confusion_22 = metrics.confusion(present_N.astype(np.uint8), (logits_N > 0).astype(np.uint8), 2)
    base_rate = float(present_N.mean())
    return {
        "accuracy": metrics.accuracy(confusion_22),
        "majority_accuracy": max(base_rate, 1 - base_rate),
        "base_rate": base_rate,
        "auc": metrics.roc_auc(present_N, logits_N),
        "average_precision": metrics.average_precision(present_N, logits_N),
        "precision": metrics.precision(confusion_22)[1],
        "recall": metrics.recall(confusion_22)[1],
        "f1": metrics.f1(confusion_22)[1],
        "confusion": confusion_22.tolist(),
    }


def _method(confusion_KK: Counts, names: tuple[str, ...]) -> dict[str, Any]:
    columns: dict[str, list[Figure]] = {
        "accuracy": metrics.recall(confusion_KK),
        "precision": metrics.precision(confusion_KK),
        "f1": metrics.f1(confusion_KK),
        "iou": metrics.iou(confusion_KK),
        "base_rate": [float(share) for share in confusion_KK.sum(axis=1) / confusion_KK.sum()],
    }
    per_class = {name: {key: values[k] for key, values in columns.items()} for k, name in enumerate(names)}
    return {**metrics.summary(confusion_KK), "per_class": per_class, "confusion": confusion_KK.tolist()}
