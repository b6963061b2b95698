"""Evaluated runs in one table: as CSV, and as one page with a plot and each class's confusion matrices.

Every run is as `evaluate` left it; nothing is predicted here. A run has one row at home and one for each other store on
which it was evaluated. The difference of two runs on the same patches has an interval of its own, from the same blocks
drawn for both: two runs may differ although their intervals overlap.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from cropcam.model.evaluation.bootstrap import SUFFIX
from cropcam.model.evaluation.notes import caveats, join_words
from cropcam.model.report import content, figures
from cropcam.model.report.gains import difference_columns, gain, metric_columns
from cropcam.model.report.page import template
from cropcam.model.report.places import place_columns, place_names
from cropcam.model.report.runs import EvaluatedRun, read_elsewhere, read_run, short_names
from cropcam.model.runs.config import store_differences
from cropcam.pipeline.csv_cells import table_text
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.runtime.outputs import Output, always, check_outputs, is_marked, is_page, is_same
from cropcam.pipeline.store.schema import StoreInfo

CSV, PAGE = "compare.csv", "compare.html"
# columns of the table and their keys in metrics.json
_LABELS = {"label_accuracy": "accuracy", "label_mean_auc": "mean_auc"}
_PIXELS = {key: key for key in ("pixel_accuracy", "mean_class_accuracy", "macro_f1", "mean_iou")}


@dataclass(frozen=True)
class Comparison:
    """One row per run and place; sentences about unlike runs; the files written."""

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

    A run has a row at home, on the store that it was trained on, and one for each other store on which it was evaluated
    (RUN/on/*). Gains are against the first run at the same place. Runs evaluated on another split or store than the first are compared all the same, with a note on the page and in the
    column `differs`: an ablation of bands needs two stores.

    Args:
        runs: run folders; gains are against the first.
        out: folder for the files; made if absent.

    Raises:
        ConfigError: fewer than two runs, or one named twice.
        DataError: a run is not evaluated, or has other classes than the first; an evaluation is older than its run.
        OSError: the disk refused.
    """
    if len(runs) < 2:
        raise ConfigError("compare takes two runs or more")
    if any(is_same(one, other) for one, other in combinations(runs, 2)):
        raise ConfigError("compare: a run is named twice; name each once")
    files = [Output(out / PAGE, "", "comparison", is_page), Output(out / CSV, "", "comparison", _is_table)]
    check_outputs([Output(out, "--out", "folder", always, is_folder=True), *files], runs)
    first, *others = homes = [read_run(run, name) for run, name in zip(runs, short_names(runs), strict=True)]
    for other in others:
        if other.config.store.classes.names != first.config.store.classes.names:
            expected, actual = (", ".join(run.config.store.classes.names) for run in (first, other))
            raise DataError(
                f"{other.name}: its classes are {actual}, those of {first.name} {expected}; only runs of the same classes compare"
            )
    evaluated = [each for run, home in zip(runs, homes, strict=True) for each in (home, *read_elsewhere(run, home))]
    lines = _lines(evaluated)
    table = pd.DataFrame([_row(line) for line in lines])
    cautions = [f"{line.label} differs from {line.against} in {text}." for line in lines for text in line.differs]
    cautions += _run_caveats(lines)
    atomic_write(out / CSV, table_text(table, float_format="%.6f"))
    atomic_write(out / PAGE, _page(lines, table, cautions))
    return Comparison(table, cautions, out / PAGE, out / CSV)


@dataclass(frozen=True)
class _Line:
    """An evaluation, beside its run at home and the first run at the same place (None: not evaluated there)."""

    run: EvaluatedRun
    home: EvaluatedRun
    first: EvaluatedRun | None
    place: str
    against: str  # label of what `differs` is against
    differs: list[str]

    @property
    def label(self) -> str:
        return f"{self.run.name} on {self.place}" if self.run.elsewhere else self.run.name


def _lines(evaluated: Sequence[EvaluatedRun]) -> list[_Line]:
    names, lines, at_home = place_names(evaluated), list[_Line](), list[str]()
    home = start = evaluated[0]
    for run in evaluated:
        home = home if run.elsewhere else run
        first = next((each for each in evaluated if each.name == start.name and each.digest == run.digest), None)
        other = first if run.elsewhere else start
        differs = [] if other is None else differences(other, run)
        if first is not None and first is not other:  # at home where the first run is away
            differs += [f"{text} of {first.name} on {names[first.digest]}" for text in differences(first, run) if text not in differs]
        if run.elsewhere:
            differs = [text for text in differs if text not in at_home]  # once for each run
        else:
            at_home = differs
        against = start.name if other is None or not other.elsewhere else f"{other.name} on {names[other.digest]}"
        lines.append(_Line(run, home, first, names[run.digest], against, differs))
    return lines


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
    if other.digest != first.digest:
        several = [" and ".join(part.name for part in run.config.stores) or run.store_name for run in (first, other)]
        if (first.config.stores or other.config.stores) and several[0] != several[1]:
            return [*lines, f"the stores: {several[1]} against {several[0]}"]
        fields = store_differences(other.config.store, StoreInfo.from_attrs(first.config.store.attrs, first.name))
        lines.append(f"the store: {fields[0]}" + (f" (and {len(fields) - 1} more)" if len(fields) > 1 else ""))
    return lines


def _run_caveats(lines: Sequence[_Line]) -> list[str]:
    """Each caveat once, with the labels of its runs."""
    labels: dict[str, list[str]] = {}
    for line in lines:
        for sentence in caveats(line.run.metrics):
            labels.setdefault(sentence, []).append(line.label)
    return [f"{'every run' if len(some) == len(lines) else join_words(some)}: {sentence}" for sentence, some in labels.items()]


def _row(line: _Line) -> dict[str, Any]:
    run, config = line.run, line.run.config
    labels, pixels = run.metrics["classification"], run.metrics["segmentation"]
    patches = (config.trained_patches or line.home.metrics["provenance"]["train_patches"]) * (config.optimizer.passes or 1)
    return {
        "run": run.name,
        "place": line.place,
        "home": run.is_home,
        "labels": config.labels.labels,
        "labels_rule": str(config.label_spec),
        "model": config.network.model,
        "seed": config.data.seed,
        "epochs": run.epochs,
        "steps": 0 if config.is_fitted else run.epochs * -(-patches // config.data.batch_size),
        "seconds": run.seconds,
        "split": run.metrics["split"],
        "patches": run.metrics["patches"],
        "blocks": run.metrics["intervals"]["blocks"],
        "pixel_majority": pixels["majority_accuracy"],
        "method": pixels["default"],
        "label_majority": labels["majority_accuracy"],
        **metric_columns(_LABELS, labels),
        **metric_columns(_PIXELS, run.segmentation),
        **difference_columns("pixel_accuracy_gain", gain(line.first, run) if line.first else None),
        **place_columns(run, line.home),
        "differs": "; ".join(line.differs),
    }


def _is_table(path: Path) -> bool:
    """Whether a file is a table that `compare` wrote, by its first columns."""
    return is_marked(path, b"run,place,home,labels,labels_rule,model,")


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    records = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(key): value for key, value in record.items()} for record in records]


def _page(lines: Sequence[_Line], table: pd.DataFrame, cautions: Sequence[str]) -> str:
    runs = [line.run for line in lines]
    homes = [run for run in runs if not run.elsewhere]

    def marks(key: str) -> list[figures.Mark]:
        trivial = [run.metrics["segmentation"]["majority"][key] for run in runs]
        return [
            figures.Mark(run.segmentation[key], run.segmentation[key + SUFFIX], of_run) for run, of_run in zip(runs, trivial, strict=True)
        ]

    names = [f"on {line.place}" if line.run.elsewhere else line.run.name for line in lines]
    return template("compare.html.j2").render(
        legend=runs[0].config.store.classes,
        runs=homes,
        lines=lines,
        elsewhere=len(homes) < len(runs),
        rows=_rows(table),
        cautions=cautions,
        same_split=len({run.metrics["split"] for run in homes}) == 1,
        interval_note=content.interval_note(runs[0].metrics),
        plots=[
            figures.whiskers(names, title, marks(key)) for title, key in (("Pixel accuracy", "pixel_accuracy"), ("Macro F1", "macro_f1"))
        ],
    )
