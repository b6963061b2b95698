"""From counts to the parts of metrics.json: every figure with its interval (`NAME_ci95`, see `cropcam.model.evaluation.bootstrap`) behind it.

Each figure is a function of counts, called once with the whole split's and once with those of every resample of its
blocks. Axis suffixes: N patch, B block, R resample, K class, E bin of a histogram, P the pair (row, column).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cropcam.model.evaluation import metrics
from cropcam.model.evaluation.accumulator import Tally
from cropcam.model.evaluation.bootstrap import SUFFIX, Bootstrap, beside, edges, histograms
from cropcam.model.evaluation.metrics import Bools, Counts, Figure, Floats, Numbers


def classification(
    present_NK: Bools, logits_NK: npt.NDArray[np.float32], block_N: npt.NDArray[np.int64], names: Sequence[str], bootstrap: Bootstrap
) -> dict[str, Any]:
    """The `classification` part: patch labels against logits; AUC and average precision rank by the logit, exactly.

    `accuracy` is the mean over classes; `majority_accuracy` that of the best constant answer on this split (in a
    resample: on that), the mean over classes of max(base rate, 1 - base rate). `mean_auc` and
    `mean_average_precision` leave out classes where they are undefined.

    Args:
        present_NK: the truth.
        logits_NK: above 0 is "present".
        block_N: each patch's block.
        names: of the classes.
        bootstrap: resamples of these blocks.
    """
    blocks = bootstrap.weights_RB.shape[1]
    said_NK = logits_NK > 0
    right_NK = said_NK == present_NK
    constant_NK = present_NK == (present_NK.mean(axis=0) > 0.5)
    # (B, 3): patches, patches right in every label, patches that the constant answer has right in every label
    patches_B3 = np.stack(
        [np.bincount(block_N, weights, minlength=blocks) for weights in (None, right_NK.all(axis=1), constant_NK.all(axis=1))], axis=1
    )
    confusion_BK22 = np.stack([metrics.confusions(block_N, present_NK[:, k], said_NK[:, k], blocks, 2) for k in range(len(names))], axis=1)
    ranked = [_ranked(present_NK[:, k], logits_NK[:, k], block_N, bootstrap) for k in range(len(names))]
    exact, coarse, ranked_R = ({key: _stack([item[i][key] for item in ranked]) for key in ("auc", "average_precision")} for i in range(3))
    whole, whole_R = _labels(confusion_BK22.sum(axis=0)), _labels(bootstrap.sums(confusion_BK22))
    overall, overall_R = (
        _overall(patches, figures, ranks)
        for patches, figures, ranks in (
            (patches_B3.sum(axis=0), whole, exact),
            (bootstrap.sums(patches_B3), whole_R, ranked_R),
        )
    )
    coarse_means = {f"mean_{key}": float(metrics.mean(values)) for key, values in coarse.items()}
    per_class = _by_class({**whole, **exact}, {**whole_R, **ranked_R}, names, coarse)
    for k, entry in enumerate(per_class.values()):
        entry["confusion"] = confusion_BK22[:, k].sum(axis=0).tolist()
    return {**beside(overall, overall_R, coarse_means), "threshold": 0.5, "patches": len(present_NK), "per_class": per_class}


def segmentation(tally: Tally, names: Sequence[str], bootstrap: Bootstrap) -> dict[str, Any]:
    """The `segmentation` part but for the methods: what the truth alone gives, and each map's own AUC.

    `majority_accuracy` is the share of the most frequent class among the pixels that count; `majority` has every
    figure of always answering that class (in a resample: its most frequent class).
    """
    pooled_BKK = tally.confusion_BKK[tally.default]
    pooled_KK, pooled_RKK = pooled_BKK.sum(axis=0), bootstrap.sums(pooled_BKK)
    trivial, trivial_R = (metrics.summary(metrics.constant_confusion(some, metrics.majority(some))) for some in (pooled_KK, pooled_RKK))
    majority = beside(trivial, trivial_R)
    auc_K = [ranks.auc() for ranks in tally.ranks_K]
    coarse_K = metrics.auc_of_counts(tally.map_counts_BK2E.sum(axis=0))
    # class by class: a resample's histograms of all classes at once would be the largest array of all
    auc_RK = _stack([metrics.auc_of_counts(bootstrap.sums(tally.map_counts_BK2E[:, k])) for k in range(len(names))])
    return {
        "majority_accuracy": majority["pixel_accuracy"],
        "majority_accuracy" + SUFFIX: majority["pixel_accuracy" + SUFFIX],
        "majority": {"class": names[int(metrics.majority(pooled_KK))], **majority},
        "pixels": tally.pixels,
        **_named("class_shares", metrics.base_rate(pooled_KK), metrics.base_rate(pooled_RKK), names),
        **beside(
            {"mean_cam_auc": metrics.mean(auc_K)}, {"mean_cam_auc": metrics.mean(auc_RK)}, {"mean_cam_auc": float(metrics.mean(coarse_K))}
        ),
        **_named("cam_auc", np.array(auc_K), auc_RK, names, coarse_K),
    }


def method(confusion_BKK: Counts, names: Sequence[str], bootstrap: Bootstrap) -> dict[str, Any]:
    """The figures of one segmentation from its confusion matrices per block (B, K, K)."""
    confusion_KK, confusion_RKK = confusion_BKK.sum(axis=0), bootstrap.sums(confusion_BKK)
    return {
        **beside(metrics.summary(confusion_KK), metrics.summary(confusion_RKK)),
        "per_class": _by_class(_pixels(confusion_KK), _pixels(confusion_RKK), names),
        "confusion": confusion_KK.tolist(),
    }


def absences(metrics: Mapping[str, Any]) -> list[str]:
    """Of which classes the evaluated split has nothing, one sentence each: figures that are null need their reason.

    A class may have pixels and yet be the label of no patch, where none has more of it than `presence_min_share`.
    """
    labels, found = metrics["classification"]["per_class"], []
    for name, share in metrics["segmentation"]["class_shares"].items():
        labelled = labels[name]["base_rate"]
        if share and labelled:
            continue
        what = "is the label of no patch in" if share else "has no pixels in" if labelled else "is absent from"
        whose = "the precision, recall, F1 and AUC of its label" if share else "its precision, recall, F1, IoU and AUC"
        found.append(f"Class {name} {what} the {metrics['split']} split: {whose} are undefined and no part of the means.")
    return found


def to_know(metrics: Mapping[str, Any]) -> list[str]:
    """What a reader must know beside the figures, a sentence each: what of the split the run has seen, what the split lacks, how few blocks it has."""
    note = metrics["intervals"].get("note")
    return [*seen_before(metrics), *absences(metrics), *([f"{note[:1].upper()}{note[1:]}."] if note else [])]


def seen_before(metrics: Mapping[str, Any]) -> list[str]:
    """The part that the evaluated split had in training, a sentence: trained on, or used to select the epoch."""
    split, made_by = metrics["split"], metrics["made_by"]
    if split == "train":
        return ["The run was trained on the train split: these figures do not show how well the network does elsewhere."]
    if made_by.get("selected_on"):
        return [f"The epoch was selected by the loss on the {split} split: these figures are optimistic."]
    return []


def four_decimals(value: Figure, undefined: str = "undefined") -> str:
    """A figure with four decimals.

    >>> four_decimals(0.89123), four_decimals(None)
    ('0.8912', 'undefined')
    """
    return undefined if value is None else f"{value:.4f}"


def listing(names: Sequence[str]) -> str:
    """Names as a phrase.

    Examples:
        >>> listing(["corn", "soybean", "forest"])
        'corn, soybean and forest'
    """
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def patch_table(
    patches_N: npt.NDArray[np.int64], place_PN: npt.NDArray[np.int32], tally: Tally, right_NK: npt.NDArray[np.float64]
) -> pd.DataFrame:
    """One line per patch: index, row, col, pixel_accuracy, label_accuracy (share of right labels), labelled pixels."""
    labelled_N = tally.labelled
    with np.errstate(invalid="ignore"):
        pixel_accuracy_N = tally.right / labelled_N
    columns: dict[str, npt.NDArray[Any]] = {"patch": patches_N, "row": place_PN[0], "col": place_PN[1], "pixel_accuracy": pixel_accuracy_N}
    return pd.DataFrame({**columns, "label_accuracy": right_NK.mean(axis=1), "labelled_pixels": labelled_N})


def _labels(confusion_K22: Numbers) -> dict[str, Floats]:
    """Figures (..., K) of the presence of each class."""
    base_rate_K = metrics.base_rate(confusion_K22)[..., 1]
    return {
        "accuracy": metrics.accuracy(confusion_K22),
        "majority_accuracy": np.maximum(base_rate_K, 1 - base_rate_K),
        "base_rate": base_rate_K,
        "precision": metrics.precision(confusion_K22)[..., 1],
        "recall": metrics.recall(confusion_K22)[..., 1],
        "f1": metrics.f1(confusion_K22)[..., 1],
    }


def _overall(patches_3: Numbers, labels: Mapping[str, Floats], ranked: Mapping[str, Floats]) -> dict[str, Floats]:
    """Figures (...,) over all labels; of patches without any labelled pixel there is none."""
    return {
        "accuracy": metrics.mean(labels["accuracy"]),
        "majority_accuracy": metrics.mean(labels["majority_accuracy"]),
        "exact_match": metrics.ratio(patches_3[..., 1], patches_3[..., 0]),
        "majority_exact_match": metrics.ratio(patches_3[..., 2], patches_3[..., 0]),
        **{f"mean_{key}": metrics.mean(values) for key, values in ranked.items()},
        "labels_per_patch": labels["base_rate"].sum(axis=-1),
    }


def _ranked(
    positive_N: Bools, logit_N: npt.NDArray[np.float32], block_N: npt.NDArray[np.int64], bootstrap: Bootstrap
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """AUC and average precision of one label: exact, from histograms, and of each resample from histograms."""
    counts_B2E = histograms(block_N, positive_N, logit_N, edges(logit_N), bootstrap.weights_RB.shape[1])
    exact = {"auc": metrics.roc_auc(positive_N, logit_N), "average_precision": metrics.average_precision(positive_N, logit_N)}
    return exact, _of_counts(counts_B2E.sum(axis=0)), _of_counts(bootstrap.sums(counts_B2E))


def _of_counts(counts_2E: Numbers) -> dict[str, Any]:
    return {"auc": metrics.auc_of_counts(counts_2E), "average_precision": metrics.average_precision_of_counts(counts_2E)}


def _pixels(confusion_KK: Numbers) -> dict[str, Floats]:
    """Figures (..., K) of each class's pixels."""
    return {
        "accuracy": metrics.recall(confusion_KK),
        "precision": metrics.precision(confusion_KK),
        "f1": metrics.f1(confusion_KK),
        "iou": metrics.iou(confusion_KK),
        "base_rate": metrics.base_rate(confusion_KK),
    }


def _by_class(
    values: Mapping[str, Floats], values_R: Mapping[str, Floats], names: Sequence[str], coarse: Mapping[str, Floats] | None = None
) -> dict[str, dict[str, Any]]:
    """Figures (K,) and their resamples (R, K) as one entry per class."""

    def of(part: Mapping[str, Floats], k: int) -> dict[str, Any]:
        return {key: some[..., k] for key, some in part.items()}

    return {name: beside(of(values, k), of(values_R, k), of(coarse or {}, k)) for k, name in enumerate(names)}


def _named(key: str, value_K: Floats, value_RK: Floats, names: Sequence[str], coarse_K: Floats | None = None) -> dict[str, Any]:
    """One figure per class as {KEY: {class: figure}, KEY_ci95: {class: interval}}."""
    coarse = {} if coarse_K is None else {key: coarse_K}
    entries = _by_class({key: value_K}, {key: value_RK}, names, coarse)
    return {some: {name: entry[some] for name, entry in entries.items()} for some in (key, key + SUFFIX)}


def _stack(values: Sequence[Any]) -> Floats:
    return np.stack([np.asarray(value, np.float64) for value in values], axis=-1)
