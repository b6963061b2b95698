"""Places: the stores on which runs are evaluated, their names, and a run away beside the same run at home."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cropcam.model.report.gains import difference_columns, from_home, metric_columns
from cropcam.model.report.runs import EvaluatedRun

DIGEST_LETTERS = 8


def place_names(evaluated: Sequence[EvaluatedRun]) -> dict[str, str]:
    """The name of each evaluated store by its digest: as the metrics say, else its study; with the digest's start where two share a name."""
    names: dict[str, str] = {}
    for run in sorted(evaluated, key=lambda each: not each.store_name):  # names that the metrics say come first
        names.setdefault(run.digest, run.store_name or run.config.store.study)
    several = [name for name in names.values() if list(names.values()).count(name) > 1]
    return {digest: f"{name}-{digest[:DIGEST_LETTERS]}" if name in several else name for digest, name in names.items()}


def place_columns(run: EvaluatedRun, home: EvaluatedRun) -> dict[str, Any]:
    """What the place adds to the row of a run: the difference from home, and the run that was trained there."""
    reference = run.reference or {"run": None, "pixel_accuracy": None, "pixel_accuracy_ci95": None}
    return {
        **difference_columns("pixel_accuracy_from_home", from_home(home, run) if run.elsewhere and not run.is_home else None),
        "reference": reference["run"],
        **metric_columns({"reference_pixel_accuracy": "pixel_accuracy"}, reference),
    }


def elsewhere_rows(home: EvaluatedRun, away: Sequence[EvaluatedRun]) -> list[dict[str, Any]]:
    """One row for each other place: its name, patches, pixel accuracy, macro F1, majority guess, and `place_columns`."""
    names = place_names([home, *away])
    return [
        {
            "place": names[run.digest],
            **{key: run.metrics[key] for key in ("split", "patches")},
            "pixel_majority": run.metrics["segmentation"]["majority_accuracy"],
            **metric_columns({"pixel_accuracy": "pixel_accuracy", "macro_f1": "macro_f1"}, run.segmentation),
            **place_columns(run, home),
        }
        for run in away
    ]
