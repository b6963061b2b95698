"""Runs side by side: one table, the plot, each class's confusion matrix in one row; as CSV and as one page.

Every run is as `evaluate` left it; nothing is scored here. Where that scored references, they are rows of the table too. A difference between two runs on the same patches has an
interval of its own, from the same blocks drawn for both: two intervals that overlap do not mean that two runs are alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cropcam.model.evaluation.bootstrap import SUFFIX, Bootstrap, block_of, interval
from cropcam.model.evaluation.results import listing, to_know
from cropcam.model.report import figures
from cropcam.model.report.baselines import Reference, references
from cropcam.model.report.content import interval_note, label_rows
from cropcam.model.report.formatting import Estimate, estimate, span
from cropcam.model.report.page import template
from cropcam.model.report.runs import Entry, names, read
from cropcam.model.runs.checkpoint import store_differences
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.store.schema import StoreInfo

CSV, PAGE = "compare.csv", "compare.html"
GAIN = "pixel_accuracy_gain"
# columns of the table by where they stand in metrics.json; the guess that needs no model follows each accuracy
_LABELS = {"label_accuracy": "accuracy", "label_majority": "majority_accuracy", "label_mean_auc": "mean_auc"}
_PIXELS = ("pixel_accuracy", "mean_class_accuracy", "macro_f1", "mean_iou")
_COUNTS = ["seed", "epochs", "steps"]  # whole numbers that a reference may not have


@dataclass(frozen=True)
class Comparison:
    """What was found: one row per run and, below, per reference; in what they differ beside what is compared; the files written."""

    table: pd.DataFrame
    cautions: list[str]
    page: Path
    csv: Path


def compare(runs: Sequence[Path], out: Path) -> Comparison:
    """Read evaluated runs, write OUT/compare.csv and OUT/compare.html, and return what they say.

    Runs scored on another split or store than the first are compared all the same, and the difference is said on the
    page and in the column `differs`: an ablation of bands needs two stores. The column `reference` names what answers
    without a network; in such a row `run` names the run, or the runs, that it was scored beside.

    Args:
        runs: run folders; the first is the one that the others' gains refer to.
        out: folder for the files; made if absent.

    Raises:
        ConfigError: fewer than two runs, or one named twice.
        DataError: a run is not evaluated, or has other classes than the first.
        OSError: the disk says no.
    """
    if len(runs) < 2:
        raise ConfigError("compare takes two runs or more")
    if len({run.resolve() for run in runs}) < len(runs):
        raise ConfigError("compare: a run is named twice; name each once")
    entries = [read(run, name) for run, name in zip(runs, names(runs), strict=True)]
    first = entries[0]
    for other in entries[1:]:
        if other.config.classes.names != first.config.classes.names:
            ours, theirs = (", ".join(entry.config.classes.names) for entry in (first, other))
            raise DataError(f"{other.name}: its classes are {theirs}, those of {first.name} {ours}; only runs of the same classes compare")
    differs = {entry.name: differences(first, entry) for entry in entries}
    beside = references(entries)
    table = pd.DataFrame(
        [_line(entry, first, differs[entry.name]) for entry in entries] + [_reference_line(row, differs[row.entry.name]) for row in beside]
    ).astype(dict.fromkeys(_COUNTS, "Int64"))
    cautions = [f"{name} differs from {first.name} in {found}." for name, lines in differs.items() for found in lines]
    cautions += _to_know(entries)
    out.mkdir(parents=True, exist_ok=True)
    atomic_write(out / CSV, table.to_csv(index=False, float_format="%.6f", lineterminator="\n"))
    atomic_write(out / PAGE, _page(entries, beside, table, cautions))
    return Comparison(table, cautions, out / PAGE, out / CSV)


def differences(first: Entry, other: Entry) -> list[str]:
    """What, beside training, differs between the figures of two runs: split, store and what "present" means."""
    found = []

    for name, ours, theirs in (
        ("the split", first.metrics["split"], other.metrics["split"]),
        ("presence_min_share", first.config.presence_min_share, other.config.presence_min_share),
    ):
        if ours != theirs:
            found.append(f"{name}: {theirs} against {ours}")
    if other.config.store_digest != first.config.store_digest:
        info = StoreInfo.from_attrs(first.config.store_attrs, first.name)
        lines = store_differences(other.config, info)
        found.append(f"the store: {lines[0]}" + (f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""))
    return found


def gain(first: Entry, other: Entry) -> tuple[float, list[float] | None] | None:
    """Pixel accuracy above the first run's, and its interval; None where the two were not scored on the same pixels.

    Source: a paired bootstrap (Efron and Tibshirani 1993, chapter 16): each resample of blocks serves both runs.
    """
    keys = ["patch", "labelled_pixels"]
    if other is first or first.config.store_digest != other.config.store_digest or not first.patches[keys].equals(other.patches[keys]):
        return None
    labelled_N = first.patches["labelled_pixels"].to_numpy(np.float64)
    right_2N = [np.nan_to_num(np.rint(entry.patches["pixel_accuracy"].to_numpy() * labelled_N)) for entry in (first, other)]
    columns, rows = first.metrics["intervals"]["block_patches"]
    block_N = block_of(first.patches["row"].to_numpy(), first.patches["col"].to_numpy(), (columns, rows))
    sums_B2 = np.stack([np.bincount(block_N, values) for values in (right_2N[1] - right_2N[0], labelled_N)], axis=1)
    value = float(sums_B2[:, 0].sum() / sums_B2[:, 1].sum())
    sums_R2 = Bootstrap.of(len(sums_B2)).sums(sums_B2)
    with np.errstate(invalid="ignore"):
        return value, interval(value, sums_R2[:, 0] / sums_R2[:, 1])


def _to_know(entries: Sequence[Entry]) -> list[str]:
    """What is to be known of the runs, each sentence once, with the runs that it is said of."""
    runs: dict[str, list[str]] = {}
    for entry in entries:
        for sentence in to_know(entry.metrics):
            runs.setdefault(sentence, []).append(entry.name)
    return [f"{'every run' if len(named) == len(entries) else listing(named)}: {sentence}" for sentence, named in runs.items()]


def _line(entry: Entry, first: Entry, differs: Sequence[str]) -> dict[str, Any]:
    labels, pixels, config = entry.metrics["classification"], entry.metrics["segmentation"], entry.config
    patches = entry.metrics["made_by"]["train_patches"]
    line: dict[str, Any] = {
        "run": entry.name,
        "reference": "",
        "labels": config.labels,
        "labels_rule": str(config.rule),
        "model": config.model,
        "seed": config.seed,
        "epochs": entry.epochs,
        "steps": entry.epochs * -(-patches // config.batch_size),
        "seconds": entry.seconds,
        "split": entry.metrics["split"],
        "patches": entry.metrics["patches"],
        "blocks": entry.metrics["intervals"]["blocks"],
        "method": pixels["default"],
    }
    for column, key in _LABELS.items():
        line |= _figure(column, labels[key], None if column.endswith("majority") else labels.get(key + SUFFIX))
    value, found = gain(first, entry) or (None, None)
    return {**line, **_pixel_figures(entry, entry.method), **_figure(GAIN, value, found), "differs": "; ".join(differs)}


def _reference_line(row: Reference, differs: Sequence[str]) -> dict[str, Any]:
    """What a reference shares with a run: it has no labels of patches, and no patches of its own to pair a gain with."""
    metrics = row.entry.metrics
    return {
        "run": "; ".join(row.runs),
        "reference": row.name,
        "labels": row.learnt_from,
        "labels_rule": row.learnt_from,
        "seed": row.seed,
        "split": metrics["split"],
        "patches": metrics["patches"],
        "blocks": metrics["intervals"]["blocks"],
        **_pixel_figures(row.entry, row.values),
        "differs": "; ".join(differs),
    }


def _pixel_figures(entry: Entry, values: Mapping[str, Any]) -> dict[str, float | None]:
    found = _figure("pixel_majority", entry.metrics["segmentation"]["majority_accuracy"], None)
    for key in _PIXELS:
        found |= _figure(key, values[key], values[key + SUFFIX])
    return found


def _figure(name: str, value: float | None, found: Sequence[float] | None) -> dict[str, float | None]:
    if name.endswith("majority"):
        return {name: value}
    low, high = found or (None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _page(entries: Sequence[Entry], beside: Sequence[Reference], table: pd.DataFrame, cautions: Sequence[str]) -> str:
    legend = entries[0].config.classes
    matrices = [label_rows(entry.metrics, legend) for entry in entries]
    return template("compare.html.j2").render(
        legend=legend,
        entries=entries,
        lines=[_shown(entry, line) for entry, line in zip(entries, table[: len(entries)].to_dict("records"), strict=True)],
        references=[_reference_shown(row, line) for row, line in zip(beside, table[len(entries) :].to_dict("records"), strict=True)],
        cautions=cautions,
        same=len({entry.metrics["split"] for entry in entries}) == 1,
        interval_note=interval_note(entries[0].metrics),
        plot=figures.whiskers(
            [entry.name for entry in entries],
            {
                "Pixels right": [_mark(entry.method, "pixel_accuracy", entry.metrics["segmentation"]["majority"]) for entry in entries],
                "Macro F1": [_mark(entry.method, "macro_f1", entry.metrics["segmentation"]["majority"]) for entry in entries],
            },
        ),
        matrices=[
            {"name": item.name, "color": item.color_hex, "runs": [rows[k] for rows in matrices]} for k, item in enumerate(legend.classes)
        ],
        per_class=[
            {"name": item.name, "color": item.color_hex, "f1": [estimate(entry.method["per_class"][item.name], "f1") for entry in entries]}
            for item in legend.classes
        ],
    )


def _mark(values: Mapping[str, Any], key: str, trivial: Mapping[str, Any]) -> figures.Mark:
    return figures.Mark(values[key], values[key + SUFFIX], trivial[key])


def _shown(entry: Entry, line: Mapping[Any, Any]) -> dict[str, Any]:
    """A row of the page's table: words, and estimates with their intervals."""
    labels, pixels = entry.metrics["classification"], entry.metrics["segmentation"]
    gained = line[GAIN]
    limits = None if pd.isna(line[f"{GAIN}_low"]) else [line[f"{GAIN}_low"], line[f"{GAIN}_high"]]
    return {
        **{key: line[key] for key in ("run", "labels_rule", "model", "seed", "steps", "method", "differs")},
        "seconds": None if entry.seconds is None else round(entry.seconds),
        "label_accuracy": estimate(labels, "accuracy", is_share=True),
        "label_majority": labels["majority_accuracy"],
        "label_mean_auc": estimate(labels, "mean_auc"),
        "pixel_majority": pixels["majority_accuracy"],
        **_pixels_shown(entry.method),
        "gain": Estimate("", "") if pd.isna(gained) else Estimate(f"{gained * 100:+.1f} points", span(limits, is_share=True)),
        "gain_side": "" if limits is None else "better" if limits[0] > 0 else "worse" if limits[1] < 0 else "",
    }


def _reference_shown(row: Reference, line: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        **{key: line[key] for key in ("reference", "labels", "pixel_majority", "differs")},
        "seed": row.seed,
        "runs": row.runs,
        **_pixels_shown(row.values),
    }


def _pixels_shown(values: Mapping[str, Any]) -> dict[str, Estimate]:
    return {key: estimate(values, key, is_share=key == _PIXELS[0]) for key in _PIXELS}
