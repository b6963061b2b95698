"""From counts to metrics.json: every metric with its interval behind it (`NAME_ci95`, see `cropcam.model.evaluation.bootstrap`).

Axis suffixes: N patch, B block, S the sample itself followed by its resamples, K class, E bin of a histogram, P the pair (row, column).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cropcam.model.evaluation import metrics
from cropcam.model.evaluation.accumulator import MetricAccumulator
from cropcam.model.evaluation.bootstrap import SUFFIX, Bootstrap, by_class, edges, histograms, with_intervals
from cropcam.model.evaluation.metrics import Bools, Counts, Floats, Metric, Numbers
from cropcam.pipeline.runtime.atomic import atomic_write


@dataclass(frozen=True)
class Metrics:
    """The metrics of a run on one split; `to_dict` has all of them, with intervals, as metrics.json."""

    _values: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The content of metrics.json: JSON values, a copy."""
        return copy.deepcopy(dict(self._values))

    def save(self, path: Path) -> None:
        """Write the metrics as JSON, atomically.

        Raises:
            OSError: the disk refused.
        """
        atomic_write(path, json.dumps(self._values, indent=2, allow_nan=False) + "\n")

    @property
    def split(self) -> str:
        """The evaluated split: train, validation or test."""
        return str(self._values["split"])

    @property
    def patches(self) -> int:
        """Patches of the split."""
        return int(self._values["patches"])

    @property
    def labels(self) -> str:
        """The kind of weak label that the run was trained on."""
        return str(self._values["labels"])

    @property
    def accuracy(self) -> Metric:
        """Accuracy of patch labels, the mean over classes."""
        return _metric(self._values["classification"]["accuracy"])

    @property
    def majority_accuracy(self) -> Metric:
        """`accuracy` of the best constant prediction on this split."""
        return _metric(self._values["classification"]["majority_accuracy"])

    @property
    def default_method(self) -> str:
        """The name of the run's segmentation method."""
        return str(self._values["segmentation"]["default"])

    @property
    def pixel_accuracy(self) -> Metric:
        """Share of correct pixels by the default method."""
        return _metric(self._values["segmentation"]["methods"][self.default_method]["pixel_accuracy"])

    @property
    def macro_f1(self) -> Metric:
        """Mean F1 over classes of pixels by the default method."""
        return _metric(self._values["segmentation"]["methods"][self.default_method]["macro_f1"])


def _metric(value: float | None) -> Metric:
    return None if value is None else float(value)


def classification(
    present_NK: Bools, logits_NK: npt.NDArray[np.float32], block_N: npt.NDArray[np.int64], names: Sequence[str], bootstrap: Bootstrap
) -> dict[str, Any]:
    """The `classification` part of metrics.json: patch labels against logits.

    `accuracy` is the mean over classes. `majority_accuracy` is that of the best constant prediction on this split (in a
    resample: on the resample), the mean over classes of max(base rate, 1 - base rate). `mean_auc` and
    `mean_average_precision` leave out classes where they are undefined.

    Args:
        present_NK: the truth.
        logits_NK: above 0 is "present".
        block_N: each patch's block.
        names: of the classes.
        bootstrap: resamples of these blocks.
    """
    blocks = bootstrap.weights_SB.shape[1]
    predicted_NK = logits_NK > 0
    confusion_BK22 = np.stack(
        [metrics.confusions(block_N, *pair, blocks, 2) for pair in zip(present_NK.T, predicted_NK.T, strict=True)], axis=1
    )
    confusion_SK22 = bootstrap.sums(confusion_BK22)
    of_label = {key: values[..., 1] for key, values in metrics.class_metrics(confusion_SK22).items() if key != "iou"}
    base_rate_SK = of_label["base_rate"]
    values_SK = {"accuracy": metrics.accuracy(confusion_SK22), "majority_accuracy": np.maximum(base_rate_SK, 1 - base_rate_SK), **of_label}
    counts_KB2E = [histograms(block_N, *pair, edges(pair[1]), blocks) for pair in zip(present_NK.T, logits_NK.T, strict=True)]
    values_SK["auc"] = _of_resamples(metrics.auc_of_counts, counts_KB2E, bootstrap)
    values_SK["average_precision"] = _of_resamples(metrics.average_precision_of_counts, counts_KB2E, bootstrap)
    exact_K = metrics.ranking_metrics(present_NK, logits_NK)
    # patches, patches with every label correct, patches for which the constant prediction has every label correct
    all_correct = [(answer_NK == present_NK).all(axis=1) for answer_NK in (predicted_NK, 2 * present_NK.sum(axis=0) > len(present_NK))]
    patches_S3 = bootstrap.sums(np.stack([np.bincount(block_N, weights, blocks) for weights in (None, *all_correct)], axis=1))
    overall_S = {
        **{key: metrics.mean(values_SK[key]) for key in ("accuracy", "majority_accuracy")},
        "exact_match": metrics.ratio(patches_S3[:, 1], patches_S3[:, 0]),
        "majority_exact_match": metrics.ratio(patches_S3[:, 2], patches_S3[:, 0]),
        **{f"mean_{key}": metrics.mean(values_SK[key]) for key in exact_K},
        "labels_per_patch": base_rate_SK.sum(axis=-1),
    }
    per_class = by_class(values_SK, names, exact_K)
    for k, entry in enumerate(per_class.values()):
        entry["confusion"] = confusion_BK22[:, k].sum(axis=0).tolist()
    exact = {f"mean_{key}": metrics.mean(values_K) for key, values_K in exact_K.items()}
    return {**with_intervals(overall_S, exact), "threshold": 0.5, "patches": len(present_NK), "per_class": per_class}


def segmentation(accumulator: MetricAccumulator, names: Sequence[str], bootstrap: Bootstrap) -> dict[str, Any]:
    """The `segmentation` part of metrics.json but for the methods: metrics of the truth alone, and each activation map's AUC.

    `majority_accuracy` is the share of the most frequent class among the labelled pixels; `majority` has every
    metric of predicting that class everywhere (in a resample: its most frequent class).
    """
    confusion_SKK = bootstrap.sums(accumulator.confusion_BKK[accumulator.default])
    auc_SK = _of_resamples(metrics.auc_of_counts, np.moveaxis(accumulator.map_counts_BK2E, 1, 0), bootstrap)
    auc_K = np.array([ranks.auc() for ranks in accumulator.ranks_K])
    per_class = by_class({"class_shares": metrics.class_metrics(confusion_SKK)["base_rate"], "cam_auc": auc_SK}, names, {"cam_auc": auc_K})
    shares, aucs = (
        {name: {class_name: entry[name] for class_name, entry in per_class.items()} for name in (key, key + SUFFIX)}
        for key in ("class_shares", "cam_auc")
    )
    return {
        **majority(confusion_SKK, names),
        "pixels": accumulator.pixels,
        **shares,
        **with_intervals({"mean_cam_auc": metrics.mean(auc_SK)}, {"mean_cam_auc": metrics.mean(auc_K)}),
        **aucs,
    }


def majority(confusion_SKK: Numbers, names: Sequence[str]) -> dict[str, Any]:
    """`majority_accuracy` and `majority`: the metrics of predicting the most frequent class everywhere (in a resample: its own)."""
    class_S = metrics.majority(confusion_SKK)
    values = with_intervals(metrics.summary(metrics.constant_confusion(confusion_SKK, class_S)))
    accuracy = {"majority_accuracy" + end: values["pixel_accuracy" + end] for end in ("", SUFFIX)}
    return {**accuracy, "majority": {"class": names[int(class_S[0])], **values}}


def method(confusion_BKK: Counts, names: Sequence[str], bootstrap: Bootstrap) -> dict[str, Any]:
    """The metrics of one segmentation from its confusion matrices per block (B, K, K)."""
    confusion_SKK = bootstrap.sums(confusion_BKK)
    of_class = metrics.class_metrics(confusion_SKK)
    return {
        **with_intervals(metrics.summary(confusion_SKK)),
        "per_class": by_class({"accuracy" if key == "recall" else key: values for key, values in of_class.items()}, names),
        "confusion": confusion_BKK.sum(axis=0).tolist(),
    }


def _of_resamples(function: Callable[[Numbers], Floats], counts_KB2E: Iterable[Counts], bootstrap: Bootstrap) -> Floats:
    """A metric (S, K) of histograms; class by class, as the histograms of all classes and resamples would be the largest array of all."""
    return np.stack([function(bootstrap.sums(counts_B2E)) for counts_B2E in counts_KB2E], axis=-1)


def patch_table(
    patches_N: npt.NDArray[np.int64], place_PN: npt.NDArray[np.int32], accumulator: MetricAccumulator, label_accuracy_N: Floats
) -> pd.DataFrame:
    """One row per patch: patch (index), row, col, pixel_accuracy, label_accuracy (share of correct labels), labelled_pixels."""
    _, correct_N, labelled_N = accumulator.per_patch()
    columns: dict[str, npt.NDArray[Any]] = {"patch": patches_N, "row": place_PN[0], "col": place_PN[1]}
    columns |= {"pixel_accuracy": metrics.ratio(correct_N, labelled_N), "label_accuracy": label_accuracy_N}
    return pd.DataFrame({**columns, "labelled_pixels": labelled_N})
