"""Evaluated runs in one table: as CSV, and as one page with a plot and each class's confusion matrices.

Every run is as `evaluate` left it; nothing is predicted here. The difference of two runs on the same patches has an
interval of its own, from the same blocks drawn for both: two runs may differ although their intervals overlap.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cropcam.model.evaluation.bootstrap import SUFFIX, Bootstrap, block_of, interval
from cropcam.model.evaluation.notes import caveats, join_words
from cropcam.model.report import content, figures
from cropcam.model.report.page import template
from cropcam.model.report.runs import EvaluatedRun, read_run, short_names
from cropcam.model.runs.config import store_differences
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.store.schema import StoreInfo

CSV, PAGE = "compare.csv", "compare.html"
# columns of the table and their keys in metrics.json
_LABELS = {"label_accuracy": "accuracy", "label_mean_auc": "mean_auc"}
_PIXELS = {key: key for key in ("pixel_accuracy", "mean_class_accuracy", "macro_f1", "mean_iou")}


@dataclass(frozen=True)
class Comparison:
    """One row per run; sentences about unlike runs; the files written."""

    table: pd.DataFrame
    cautions: list[str]
    page: Path
    csv: Path

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the table, empty cells as None."""
        return _rows(self.table)

    def to_dict(self) -> dict[str, Any]:
        """Rows, cautions and paths as JSON values."""
        rows = json.loads(self.table.to_json(orient="records", double_precision=15))
        return {"rows": rows, "cautions": list(self.cautions), "page": str(self.page), "csv": str(self.csv)}


def compare(runs: Sequence[Path], out: Path) -> Comparison:
    """Read evaluated runs, and write OUT/compare.csv and OUT/compare.html.

    Runs evaluated on another split or store than the first are compared all the same, with a note on the page and in the
    column `differs`: an ablation of bands needs two stores.

    Args:
        runs: run folders; gains are against the first.
        out: folder for the files; made if absent.

    Raises:
        ConfigError: fewer than two runs, or one named twice.
        DataError: a run is not evaluated, or has other classes than the first.
        OSError: the disk refused.
    """
    if len(runs) < 2:
        raise ConfigError("compare takes two runs or more")
    if len({run.resolve() for run in runs}) < len(runs):
        raise ConfigError("compare: a run is named twice; name each once")
    first, *others = evaluated = [read_run(run, name) for run, name in zip(runs, short_names(runs), strict=True)]
    for other in others:
        if other.config.store.classes.names != first.config.store.classes.names:
            expected, actual = (", ".join(run.config.store.classes.names) for run in (first, other))
            raise DataError(
                f"{other.name}: its classes are {actual}, those of {first.name} {expected}; only runs of the same classes compare"
            )
    differs = {run.name: differences(first, run) for run in evaluated}
    table = pd.DataFrame([_run_row(run, first, differs[run.name]) for run in evaluated])
    cautions = [f"{name} differs from {first.name} in {line}." for name, lines in differs.items() for line in lines]
    cautions += _run_caveats(evaluated)
    out.mkdir(parents=True, exist_ok=True)
    atomic_write(out / CSV, table.to_csv(index=False, float_format="%.6f", lineterminator="\n"))
    atomic_write(out / PAGE, _page(evaluated, table, cautions))
    return Comparison(table, cautions, out / PAGE, out / CSV)


def differences(first: EvaluatedRun, other: EvaluatedRun) -> list[str]:
    """Differences between two runs, training apart, that change their metrics: split, presence share, store."""
    lines = [
        f"{name}: {actual} against {expected}"
        for name, expected, actual in (
            ("the split", first.metrics["split"], other.metrics["split"]),
            ("presence_min_share", first.config.labels.presence_min_share, other.config.labels.presence_min_share),
        )
        if expected != actual
    ]
    if other.config.store.digest != first.config.store.digest:
        fields = store_differences(other.config.store, StoreInfo.from_attrs(first.config.store.attrs, first.name))
        lines.append(f"the store: {fields[0]}" + (f" (and {len(fields) - 1} more)" if len(fields) > 1 else ""))
    return lines


def gain(first: EvaluatedRun, other: EvaluatedRun) -> tuple[float, list[float] | None] | None:
    """Pixel accuracy above the first run's, and its interval; None where the two were not evaluated on the same pixels.

    Source: a paired bootstrap (Efron and Tibshirani 1993, chapter 16): each resample of blocks serves both runs.
    """
    keys = ["patch", "labelled_pixels"]
    if other is first or first.config.store.digest != other.config.store.digest or not first.patches[keys].equals(other.patches[keys]):
        return None
    labelled_N = first.patches["labelled_pixels"].to_numpy(np.float64)
    correct_2N = [np.nan_to_num(np.rint(run.patches["pixel_accuracy"].to_numpy() * labelled_N)) for run in (first, other)]
    columns, rows = first.metrics["intervals"]["block_patches"]
    block_N = block_of(first.patches["row"].to_numpy(), first.patches["col"].to_numpy(), (columns, rows))
    sums_B2 = np.stack([np.bincount(block_N, values) for values in (correct_2N[1] - correct_2N[0], labelled_N)], axis=1)
    sums_S2 = Bootstrap.of(len(sums_B2)).sums(sums_B2)
    with np.errstate(invalid="ignore"):
        gain_S = sums_S2[:, 0] / sums_S2[:, 1]
    return float(gain_S[0]), interval(float(gain_S[0]), gain_S[1:])


def _run_caveats(runs: Sequence[EvaluatedRun]) -> list[str]:
    """Each caveat once, with the names of its runs."""
    named: dict[str, list[str]] = {}
    for run in runs:
        for sentence in caveats(run.metrics):
            named.setdefault(sentence, []).append(run.name)
    return [f"{'every run' if len(names) == len(runs) else join_words(names)}: {sentence}" for sentence, names in named.items()]


def _run_row(run: EvaluatedRun, first: EvaluatedRun, differs: Sequence[str]) -> dict[str, Any]:
    labels, config = run.metrics["classification"], run.config
    value, limits = gain(first, run) or (None, None)
    return {
        "run": run.name,
        "labels": config.labels.labels,
        "labels_rule": str(config.label_spec),
        "model": config.network.model,
        "seed": config.data.seed,
        "epochs": run.epochs,
        "steps": 0 if config.is_fitted else run.epochs * -(-run.metrics["provenance"]["train_patches"] // config.data.batch_size),
        "seconds": run.seconds,
        **_evaluation_columns(run),
        "method": run.metrics["segmentation"]["default"],
        "label_majority": labels["majority_accuracy"],
        **_metric_columns(_LABELS, labels),
        **_metric_columns(_PIXELS, run.segmentation),
        **_metric_columns({"pixel_accuracy_gain": "gain"}, {"gain": value, "gain" + SUFFIX: limits}),
        "differs": "; ".join(differs),
    }


def _evaluation_columns(run: EvaluatedRun) -> dict[str, Any]:
    metrics = run.metrics
    counts = {"split": metrics["split"], "patches": metrics["patches"], "blocks": metrics["intervals"]["blocks"]}
    return {**counts, "pixel_majority": metrics["segmentation"]["majority_accuracy"]}


def _metric_columns(keys: Mapping[str, str], part: Mapping[str, Any]) -> dict[str, float | None]:
    columns: dict[str, float | None] = {}
    for name, key in keys.items():
        low, high = part[key + SUFFIX] or (None, None)
        columns |= {name: part[key], f"{name}_low": low, f"{name}_high": high}
    return columns


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    records = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(key): value for key, value in record.items()} for record in records]


def _page(runs: Sequence[EvaluatedRun], table: pd.DataFrame, cautions: Sequence[str]) -> str:
    def marks(key: str) -> list[figures.Mark]:
        trivial = [run.metrics["segmentation"]["majority"][key] for run in runs]
        return [
            figures.Mark(run.segmentation[key], run.segmentation[key + SUFFIX], of_run) for run, of_run in zip(runs, trivial, strict=True)
        ]

    return template("compare.html.j2").render(
        legend=runs[0].config.store.classes,
        runs=runs,
        rows=_rows(table),
        cautions=cautions,
        same_split=len({run.metrics["split"] for run in runs}) == 1,
        interval_note=content.interval_note(runs[0].metrics),
        plot=figures.whiskers([run.name for run in runs], {"Pixel accuracy": marks("pixel_accuracy"), "Macro F1": marks("macro_f1")}),
    )
