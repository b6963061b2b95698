"""What the report says: figures in words, tables and matrices, from metrics.json and the history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from cropcam.model.evaluation.bootstrap import SUFFIX
from cropcam.model.evaluation.metrics import Figure
from cropcam.model.evaluation.results import listing, to_know
from cropcam.model.report.formatting import Estimate, Headline, decimal, estimate, matrix, percent, span
from cropcam.pipeline.legend import Legend

RARE_SHARE, FEW_PATCHES = 0.03, 10


LEARNT_FROM = {
    "presence": "which classes lie in each patch",
    "majority": "which class covers most of each patch",
    "shares": "how much of each patch every class covers",
    "points": "the classes of single pixels",
    "pixels": "the class of every pixel",
}


def headlines(metrics: Mapping[str, Any]) -> list[Headline]:
    """The report's first figures, each with what needs no model at all beside it."""
    labels, pixels = metrics["classification"], metrics["segmentation"]
    method, trivial = pixels["methods"][pixels["default"]], pixels["majority"]
    guess, everything = "majority guess", f"all {trivial['class']}"

    def headline(title: str, part: Mapping[str, Any], name: str, beside: tuple[Figure, str], note: str, is_share: bool = True) -> Headline:
        return Headline(title, part[name], *beside, note, is_share, part.get(name + SUFFIX))

    def constant(name: str) -> tuple[Figure, str]:
        return trivial[name], everything

    return [
        headline("Patch labels right", labels, "accuracy", (labels["majority_accuracy"], guess), "mean over classes"),
        headline("Patches with every label right", labels, "exact_match", (labels["majority_exact_match"], guess), "exact match"),
        headline("Mean AUC of patch labels", labels, "mean_auc", (0.5, "chance"), "classes that have both answers", is_share=False),
        headline("Pixels right", method, "pixel_accuracy", constant("pixel_accuracy"), "overall accuracy"),
        headline("Mean class accuracy", method, "mean_class_accuracy", constant("mean_class_accuracy"), "mean recall of pixels"),
        headline("Macro F1 of pixels", method, "macro_f1", constant("macro_f1"), "mean over classes", is_share=False),
        headline("Mean IoU of pixels", method, "mean_iou", constant("mean_iou"), "intersection over union", is_share=False),
        headline("Mean AUC of activation maps", pixels, "mean_cam_auc", (0.5, "chance"), "each map ranks its own pixels", is_share=False),
    ]


def cautions(metrics: Mapping[str, Any], history: pd.DataFrame | None) -> list[str]:
    """What a reader must know before believing the figures, in sentences."""
    per_class = metrics["classification"]["per_class"]
    pixels = metrics["segmentation"]["methods"][metrics["segmentation"]["default"]]
    unused = [name for name, column in zip(per_class, zip(*pixels["confusion"], strict=True), strict=True) if not sum(column)]
    found = [
        *to_know(metrics),
        *_losing(headlines(metrics)),
        *_one_sided(per_class),
        *_few(per_class, metrics["classification"]["patches"]),
        *([f"The segmentation never answers {listing(unused)}."] if unused else []),
    ]
    if history is not None and len(history) > 1 and history["validation_loss"].iloc[-1] < history["validation_loss"].iloc[:-1].min():
        found.append(f"The lowest validation loss is that of the last epoch ({len(history)}): longer training may help.")
    return found


def label_rows(metrics: Mapping[str, Any], legend: Legend) -> list[dict[str, Any]]:
    """Per class: figures of the patch labels and the 2 x 2 confusion matrix."""
    per_class = metrics["classification"]["per_class"]
    return [
        {
            "name": item.name,
            "color": item.color_hex,
            "base_rate": estimate(values, "base_rate", is_share=True),
            "accuracy": Headline(
                item.name, values["accuracy"], values["majority_accuracy"], "majority", "", interval=values.get("accuracy" + SUFFIX)
            ),
            **{key: estimate(values, key) for key in ("auc", "average_precision", "precision", "recall", "f1")},
            "cells": matrix(values["confusion"]),
            "totals": [sum(row) for row in values["confusion"]],
        }
        for item in legend.classes
        for values in (per_class[item.name],)
    ]


def pixel_rows(metrics: Mapping[str, Any], legend: Legend) -> list[dict[str, Any]]:
    """Per class: figures of the default segmentation, and its row of the confusion matrix."""
    part = metrics["segmentation"]
    method = part["methods"][part["default"]]
    cells = matrix(method["confusion"])
    return [
        {
            "name": item.name,
            "color": item.color_hex,
            "base_rate": estimate(values, "base_rate", is_share=True),
            **{key: estimate(values, key) for key in ("accuracy", "precision", "f1", "iou")},
            "cam_auc": Estimate(decimal(part["cam_auc"][item.name]), span(part.get("cam_auc" + SUFFIX, {}).get(item.name))),
            "cells": row,
            "total": sum(counts),
        }
        for item, row, counts in zip(legend.classes, cells, method["confusion"], strict=True)
        for values in (method["per_class"][item.name],)
    ]


def method_rows(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every way to segment with its figures: the run's methods, the references, and the majority guess last."""
    part = metrics["segmentation"]
    labels = metrics["made_by"].get("labels_rule", metrics["labels"])
    sources = {name: (values, labels) for name, values in part["methods"].items()}
    sources |= {name: (values, learnt_from) for name, values, learnt_from in without_network(metrics)}
    return [
        {
            "name": name,
            "learnt_from": learnt_from,
            "is_default": name == part["default"],
            "figures": [
                estimate(values, "pixel_accuracy", is_share=True),
                *(estimate(values, key) for key in ("mean_class_accuracy", "macro_f1", "mean_iou")),
            ],
        }
        for name, (values, learnt_from) in sources.items()
    ]


def without_network(metrics: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """What answers every pixel without a network: name, figures and what it learnt from; the majority guess last."""
    part = metrics["segmentation"]
    for name, values in part.get("references", {}).items():
        yield name, values, "class shares" if values["pixels"] is None else f"{values['pixels']:,} pixels"
    yield f"all {part['majority']['class']}", part["majority"], "nothing"


def interval_note(metrics: Mapping[str, Any]) -> str:
    """How the intervals were made and what they assume, in one or two sentences."""
    made = metrics["intervals"]
    size = " x ".join(map(str, made["block_patches"]))
    return f"{made['resamples']:,} resamples of the split's {made['blocks']} spatial blocks of {size} patches, drawn as wholes. Where none stands, too few blocks define the figure."


def _losing(figures: Sequence[Headline]) -> list[str]:
    lost = [figure for figure in figures if figure.verdict in ("worse", "equal")]
    return [f"{item.title}: {item.text}, {item.gain} {item.trivial_name} ({item.trivial_text})." for item in lost]


def _one_sided(per_class: Mapping[str, Any]) -> list[str]:
    near = [name for name, values in per_class.items() if values["base_rate"] and not RARE_SHARE <= values["base_rate"] <= 1 - RARE_SHARE]
    if not near:
        return []
    shares = listing([f"{name} ({percent(per_class[name]['base_rate'])})" for name in near])
    return [
        f"Present in nearly every patch or nearly none: {shares}. A constant answer is almost always right there; read the AUC, if any."
    ]


def _few(per_class: Mapping[str, Any], patches: int) -> list[str]:
    counts = {name: round(values["base_rate"] * patches) for name, values in per_class.items() if values["auc"] is not None}
    fewest = {name: min(count, patches - count) for name, count in counts.items()}
    named = [f"{name} ({count})" for name, count in fewest.items() if count < FEW_PATCHES]
    return [f"AUC and average precision rest on fewer than {FEW_PATCHES} patches of one kind for {listing(named)}."] if named else []
