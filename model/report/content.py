"""What the report says: figures in words, tables and matrices, from metrics.json and the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from model.metrics import Figure
from pipeline.legend import Legend

DASH = "\u2013"  # an undefined figure
RARE_SHARE, FEW_PATCHES = 0.03, 10
_LIGHT, _DARK = (244, 248, 246), (15, 107, 92)  # row share 0 and 1 in a confusion matrix


@dataclass(frozen=True)
class Headline:
    """A figure with its trivial value beside it; both lie in 0..1, undefined ones are None."""

    title: str
    value: Figure
    trivial: Figure
    trivial_name: str
    help: str
    is_share: bool = True

    @property
    def text(self) -> str:
        """The figure as text."""
        return self._format(self.value)

    @property
    def trivial_text(self) -> str:
        """The trivial value as text."""
        return self._format(self.trivial)

    @property
    def verdict(self) -> str:
        """`better`, `worse` or `equal`; empty where one of the two is undefined."""
        if self.value is None or self.trivial is None:
            return ""
        gain = round(self.value - self.trivial, 3)
        return "better" if gain > 0 else "worse" if gain < 0 else "equal"

    @property
    def gain(self) -> str:
        """How the figure stands to the trivial value: words that go before its name."""
        if self.value is None or self.trivial is None:
            return "undefined here, as is"
        gain = self.value - self.trivial
        size = f"{abs(gain) * 100:.1f} points" if self.is_share else f"{abs(gain):.3f}"
        return {"better": f"{size} above", "worse": f"{size} below", "equal": "no better than"}[self.verdict]

    def _format(self, value: Figure) -> str:
        return percent(value) if self.is_share else decimal(value)


@dataclass(frozen=True)
class Cell:
    """One cell of a confusion matrix."""

    count: int
    share: Figure
    background: str
    ink: str


def percent(value: Figure) -> str:
    """A share as a percentage with one decimal; a dash where undefined."""
    return DASH if value is None else f"{value * 100:.1f}\u00a0%"


def decimal(value: Figure) -> str:
    """A figure with three decimals; a dash where undefined."""
    return DASH if value is None else f"{value:.3f}"


def headlines(metrics: Mapping[str, Any]) -> list[Headline]:
    """The report's first figures, each with what needs no model at all beside it."""
    labels, pixels = metrics["classification"], metrics["segmentation"]
    method, trivial = pixels["methods"][pixels["default"]], pixels["majority"]
    guess, everything = "majority guess", f"all {trivial['class']}"
    return [
        Headline("Patch labels right", labels["accuracy"], labels["majority_accuracy"], guess, "mean over classes"),
        Headline("Patches with every label right", labels["exact_match"], labels["majority_exact_match"], guess, "exact match"),
        Headline("Mean AUC of patch labels", labels["mean_auc"], 0.5, "chance", "classes that have both answers", is_share=False),
        Headline("Pixels right", method["pixel_accuracy"], pixels["majority_accuracy"], everything, "overall accuracy"),
        Headline("Mean class accuracy", method["mean_class_accuracy"], trivial["mean_class_accuracy"], everything, "mean recall of pixels"),
        Headline("Macro F1 of pixels", method["macro_f1"], trivial["macro_f1"], everything, "mean over classes", is_share=False),
        Headline("Mean IoU of pixels", method["mean_iou"], trivial["mean_iou"], everything, "intersection over union", is_share=False),
        Headline("Mean AUC of activation maps", _mean_auc(pixels), 0.5, "chance", "each map ranks its own pixels", is_share=False),
    ]


def cautions(metrics: Mapping[str, Any], history: pd.DataFrame | None, best: int | None) -> list[str]:
    """What a reader must know before believing the figures, in sentences."""
    per_class = metrics["classification"]["per_class"]
    pixels = metrics["segmentation"]["methods"][metrics["segmentation"]["default"]]
    unused = [name for name, column in zip(per_class, zip(*pixels["confusion"], strict=True), strict=True) if not sum(column)]
    found = [
        *_losing(headlines(metrics)),
        *_one_sided(per_class),
        *_few(per_class, metrics["classification"]["patches"]),
        *([f"The segmentation never answers {listing(unused)}."] if unused else []),
    ]
    if history is not None and best == history["epoch"].iloc[-1] and len(history) > 1:
        found.append(f"The lowest validation loss is that of the last epoch ({best}): longer training may help.")
    return found


def matrix(confusion: Sequence[Sequence[int]]) -> list[list[Cell]]:
    """A confusion matrix as cells, shaded by their share of the row."""
    return [[_cell(count, sum(row)) for count in row] for row in confusion]


def label_rows(metrics: Mapping[str, Any], legend: Legend) -> list[dict[str, Any]]:
    """Per class: figures of the patch labels and the 2 x 2 confusion matrix."""
    per_class = metrics["classification"]["per_class"]
    return [
        {
            "name": item.name,
            "color": item.color_hex,
            "base_rate": percent(values["base_rate"]),
            "accuracy": Headline(item.name, values["accuracy"], values["majority_accuracy"], "majority", ""),
            **{key: decimal(values[key]) for key in ("auc", "average_precision", "precision", "recall", "f1")},
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
            "base_rate": percent(values["base_rate"]),
            **{key: decimal(values[key]) for key in ("accuracy", "precision", "f1", "iou")},
            "cam_auc": decimal(part["cam_auc"][item.name]),
            "cells": row,
            "total": sum(counts),
        }
        for item, row, counts in zip(legend.classes, cells, method["confusion"], strict=True)
        for values in (method["per_class"][item.name],)
    ]


def listing(names: Sequence[str]) -> str:
    """Names as a phrase.

    Examples:
        >>> listing(["corn", "soybean", "forest"])
        'corn, soybean and forest'
    """
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _mean_auc(pixels: Mapping[str, Any]) -> Figure:
    known = [value for value in pixels["cam_auc"].values() if value is not None]
    return sum(known) / len(known) if known else None


def _losing(figures: Sequence[Headline]) -> list[str]:
    lost = [figure for figure in figures if figure.verdict in ("worse", "equal")]
    return [f"{item.title}: {item.text}, {item.gain} {item.trivial_name} ({item.trivial_text})." for item in lost]


def _one_sided(per_class: Mapping[str, Any]) -> list[str]:
    near = [name for name, values in per_class.items() if not RARE_SHARE <= values["base_rate"] <= 1 - RARE_SHARE]
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


def _cell(count: int, total: int) -> Cell:
    share = count / total if total else None
    mixed = tuple(round(a + (b - a) * (share or 0.0)) for a, b in zip(_LIGHT, _DARK, strict=True))
    return Cell(count, share, "#{:02x}{:02x}{:02x}".format(*mixed), "#ffffff" if (share or 0) > 0.5 else "#20302b")
