"""The output of `evaluate MAP --points FILE` on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cropcam.model.evaluation.notes import format_metric
from cropcam.model.report.terminal import aligned, estimate


def map_headline(scores: Mapping[str, Any]) -> str:
    """Two lines: the points that are scored, and how the map agrees with them."""
    points, made = scores["points"], scores["intervals"]
    of_read = f" of {points['read']:,}" if points["used"] < points["read"] else ""
    cell = "cell" if made["blocks"] == 1 else "cells"
    guess = f"majority guess {format_metric(scores['majority_accuracy'])} (all {scores['majority']['class']})"
    return "\n".join(
        (
            f"{scores['map']['path']}: {points['used']:,}{of_read} points in {made['blocks']:,} {cell} of {made['cell_km']:g} km",
            f"accuracy {estimate(scores, 'pixel_accuracy')}  {guess}  macro F1 {estimate(scores, 'macro_f1')}  "
            f"mean IoU {estimate(scores, 'mean_iou')}",
        )
    )


def map_classes(scores: Mapping[str, Any]) -> str:
    """Every class, one line: its points, user's and producer's accuracy, F1."""
    rows = [("class", "points", "user's accuracy", "producer's accuracy", "F1")]
    for name, entry in scores["per_class"].items():
        figures = (estimate(entry, key) for key in ("precision", "accuracy", "f1"))
        rows.append((name, f"{scores['points']['per_class'][name]:,}", *figures))
    return aligned(rows)


def map_confusion(scores: Mapping[str, Any]) -> str:
    """The confusion matrix: a row for each class of the points, a column for each class of the map."""
    names = list(scores["per_class"])
    rows = [("points \\ map", *names)]
    rows += [(name, *(f"{count:,}" for count in counts)) for name, counts in zip(names, scores["confusion"], strict=True)]
    return aligned(rows)
