"""What `evaluate` and `compare` print: figures of metrics.json as lines of a terminal, the main ones with their 95 % interval and what needs no image beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from cropcam.model.evaluation.bootstrap import SUFFIX
from cropcam.model.evaluation.results import four_decimals


def headline(metrics: Mapping[str, Any]) -> str:
    """Three lines: what was scored, how well it tells what lies in a patch, how well where."""
    labels, pixels = metrics["classification"], metrics["segmentation"]
    chosen, trivial = pixels["methods"][pixels["default"]], pixels["majority"]
    known = sum(entry["auc"] is not None for entry in labels["per_class"].values())
    auc = f"{estimate(labels, 'mean_auc')} over {known} classes that have both answers" if known else "undefined: no class has both answers"
    return "\n".join(
        (
            f"{metrics['patches']:,} patches of the {metrics['split']} split, labels: {metrics['made_by']['labels_rule']}",
            f"classification  accuracy {estimate(labels, 'accuracy')}  majority guess {four_decimals(labels['majority_accuracy'])}  mean AUC {auc}",
            f"segmentation    accuracy {estimate(chosen, 'pixel_accuracy')}  majority guess {four_decimals(pixels['majority_accuracy'])}  macro F1 {estimate(chosen, 'macro_f1')}  "
            f"(all {trivial['class']}: {four_decimals(trivial['macro_f1'])})  by {pixels['default']}",
        )
    )


def methods(pixels: Mapping[str, Any]) -> str:
    """Every way from pixels to classes, one line each: the run's methods and, where they were scored, the references."""
    rows = [("method", "pixel accuracy", "macro F1", "")]
    for kind in ("methods", "references"):
        for name, part in pixels.get(kind, {}).items():
            marks = {"default": name == pixels["default"]}
            note = "reference, no network" if kind == "references" else ", ".join(mark for mark, holds in marks.items() if holds)
            rows.append((name, estimate(part, "pixel_accuracy"), estimate(part, "macro_f1"), note))
    return _aligned(rows)


def classes(metrics: Mapping[str, Any]) -> str:
    """Every class, one line each: of its pixels the share and what the run's own segmentation finds, of its label the base rate and the AUC."""
    labels, pixels = metrics["classification"]["per_class"], metrics["segmentation"]
    found = pixels["methods"][pixels["default"]]["per_class"]
    rows = [("class", "of pixels", "found", "right of answered", "F1", "of patches", "AUC of its label")]
    for name, entry in found.items():
        figures = [estimate(entry, "f1") if key == "f1" else four_decimals(entry[key]) for key in ("accuracy", "precision", "f1")]
        rows.append(
            (
                name,
                four_decimals(pixels["class_shares"][name]),
                *figures,
                four_decimals(labels[name]["base_rate"]),
                estimate(labels[name], "auc"),
            )
        )
    return _aligned(rows)


def side_by_side(table: pd.DataFrame) -> str:
    """The table of `cropcam.model.report.compare`, one line per run and reference: labels, method, figures with intervals, and the gain on the first run."""
    beside = bool(table["reference"].any())
    rows = [
        (
            "run",
            *(["reference"] if beside else []),
            "labels",
            "model",
            "seed",
            "method",
            "label_accuracy",
            "label_majority",
            "pixel_accuracy",
            "pixel_majority",
            "pixel_accuracy_gain",
            "macro_f1",
        )
    ]
    for line in table.astype(object).where(table.notna(), None).to_dict("records"):
        named = [line["run"], *([line["reference"]] if beside else []), line["labels_rule"], line["model"], line["seed"], line["method"]]
        figures = (
            _span(line, "label_accuracy"),
            four_decimals(line["label_majority"], ""),
            _span(line, "pixel_accuracy"),
            four_decimals(line["pixel_majority"], ""),
            _span(line, "pixel_accuracy_gain"),
            _span(line, "macro_f1"),
        )
        rows.append((*("" if word is None else str(word) for word in named), *figures))
    return _aligned(rows)


def estimate(part: Mapping[str, Any], name: str) -> str:
    """A figure and the interval that stands beside it in metrics.json, if any does."""
    return four_decimals(part[name]) + _limits(part.get(name + SUFFIX))


def _span(line: Mapping[Any, Any], name: str) -> str:
    low, high = line[f"{name}_low"], line[f"{name}_high"]
    return four_decimals(line[name], "") + _limits(None if low is None else (low, high))


def _limits(interval: Sequence[float] | None) -> str:
    return f" [{interval[0]:.4f}, {interval[1]:.4f}]" if interval else ""


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns below each other, the first line their names."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
