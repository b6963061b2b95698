"""The output of `evaluate` and `compare` on a terminal: main metrics with 95 % intervals, and the majority guess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cropcam.model.evaluation.bootstrap import SUFFIX
from cropcam.model.evaluation.notes import format_metric

_COLUMNS = ("label_accuracy", "label_majority", "pixel_accuracy", "pixel_majority", "pixel_accuracy_gain", "macro_f1")


def headline(metrics: Mapping[str, Any]) -> str:
    """Four lines: the evaluated patches, the patch labels, the pixels, their probabilities; then the reference, the shift, and each of several stores."""
    labels, pixels = metrics["classification"], metrics["segmentation"]
    default, constant = pixels["methods"][pixels["default"]], pixels["majority"]
    defined = sum(entry["auc"] is not None for entry in labels["per_class"].values())
    auc = (
        f"{estimate(labels, 'mean_auc')} over {defined} classes with present and absent patches"
        if defined
        else "undefined: no class has present and absent patches"
    )
    return "\n".join(
        (
            f"{metrics['patches']:,} patches of {_place(metrics)}, labels: {metrics['provenance']['labels_rule']}",
            f"classification  accuracy {estimate(labels, 'accuracy')}  majority guess {format_metric(labels['majority_accuracy'])}  mean AUC {auc}",
            f"segmentation    accuracy {estimate(default, 'pixel_accuracy')}  majority guess {format_metric(pixels['majority_accuracy'])}  "
            f"macro F1 {estimate(default, 'macro_f1')}  (all {constant['class']}: {format_metric(constant['macro_f1'])})  by {pixels['default']}",
            *_calibration(pixels.get("calibration")),
            *_reference(metrics.get("reference")),
            *metrics.get("shift", {}).get("lines", ()),
            *(
                f"{name:15} accuracy {estimate(part, 'pixel_accuracy')}  majority guess {format_metric(part['majority_accuracy'])}  "
                f"macro F1 {estimate(part, 'macro_f1')}  {part['patches']:,} patches"
                for name, part in metrics.get("stores", {}).items()
            ),
        )
    )


def _place(metrics: Mapping[str, Any]) -> str:
    split = "all splits" if metrics["split"] == "all" else f"the {metrics['split']} split"
    if "store" not in metrics:
        return split
    return f"{split} of {metrics['store']['name']}" + ("" if metrics["home"] else ", which the run has not seen")


def _calibration(part: Mapping[str, Any] | None) -> list[str]:
    if part is None:  # metrics of an earlier version
        return []
    return [
        f"calibration     ECE {estimate(part, 'ece')}  (at temperature 1: {format_metric(part['before']['ece'])})  Brier score "
        f"{estimate(part, 'brier')}  (class shares: {format_metric(part['base_rate_brier'])})  temperature {part['temperature']:g}, {part['fit']}"
    ]


def _reference(part: Mapping[str, Any] | None) -> list[str]:
    if part is None:
        return []
    of_run = part["segmentation"]
    return [
        f"reference       accuracy {estimate(of_run, 'pixel_accuracy')}  macro F1 {estimate(of_run, 'macro_f1')}  of {part['run']}, trained on "
        f"{part['trained_on']}; the run's accuracy less the reference's: {estimate(part, 'pixel_accuracy_difference')}"
    ]


def methods(pixels: Mapping[str, Any]) -> str:
    """The run's segmentation methods, one line each."""
    rows = [("method", "pixel accuracy", "macro F1", "")]
    for name, part in pixels["methods"].items():
        rows.append((name, estimate(part, "pixel_accuracy"), estimate(part, "macro_f1"), "default" if name == pixels["default"] else ""))
    return aligned(rows)


def classes(metrics: Mapping[str, Any]) -> str:
    """Every class, one line: share, recall, precision and F1 of its pixels by the default method, base rate and AUC of its label."""
    labels, pixels = metrics["classification"]["per_class"], metrics["segmentation"]
    rows = [("class", "of pixels", "recall", "precision", "F1", "of patches", "AUC of its label")]
    for name, entry in pixels["methods"][pixels["default"]]["per_class"].items():
        of_pixels = [format_metric(value) for value in (pixels["class_shares"][name], entry["accuracy"], entry["precision"])]
        rows.append((name, *of_pixels, estimate(entry, "f1"), format_metric(labels[name]["base_rate"]), estimate(labels[name], "auc")))
    return aligned(rows)


def side_by_side(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of `cropcam.model.report.compare`, one line each: labels, method, metrics with intervals, gain on the first run.

    Where a run was evaluated away, also the place, the difference from home and, where there is one, the run trained there.
    """
    away, referred = any(not row.get("home", True) for row in rows), any(row.get("reference") for row in rows)
    names = ["run", *(["place"] if away else []), "labels", "model", "seed", "method"]
    columns = [
        *_COLUMNS[:5],
        *(["pixel_accuracy_from_home"] if away else []),
        *(["reference_pixel_accuracy"] if referred else []),
        *_COLUMNS[5:],
    ]
    lines = [(*names, *columns)]
    for row in rows:
        words = [row["labels_rule" if name == "labels" else name] for name in names]
        if away:
            words[1] = f"{row['place']} (home)" if row["home"] else row["place"]
        lines.append((*("" if word is None else str(word) for word in words), *(_column(row, name) for name in columns)))
    return aligned(lines)


def folds(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of `cropcam.model.crossval`, one line each; the last one has the means."""
    titles = ("fold", "left out", "trained on", "patches", "pixel accuracy", "macro F1", "majority", "at home", "difference")
    names = ("pixel_accuracy", "macro_f1", "majority_accuracy", "home_pixel_accuracy", "difference")
    words = [(row["fold"], row["left_out"], row["trained_on"], f"{row['patches']:,}") for row in rows]
    return aligned([titles, *((*text, *(_column(row, name) for name in names)) for text, row in zip(words, rows, strict=True))])


def estimate(part: Mapping[str, Any], name: str) -> str:
    """A metric of metrics.json and its interval, if any."""
    return format_metric(part[name]) + _limits(part.get(name + SUFFIX))


def _column(row: Mapping[str, Any], name: str) -> str:
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return format_metric(row[name], "") + _limits(None if low is None or high is None else (low, high))


def _limits(interval: Sequence[float] | None) -> str:
    return f" [{interval[0]:.4f}, {interval[1]:.4f}]" if interval else ""


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows in aligned columns; the first row holds the column names."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
