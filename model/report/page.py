"""What every page shares: reading what was measured, and the template's surroundings."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from cropcam.model.evaluation.evaluate import METRICS, PATCHES
from cropcam.model.evaluation.results import listing
from cropcam.model.report import formatting as wording
from cropcam.model.runs.checkpoint import BEST
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.hashing import file_sha256


def evaluated(run: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """What `evaluate` left in a run folder: metrics.json, and patches.csv as a table.

    Raises:
        DataError: not evaluated since it was trained, or damaged; says how to mend it.
    """
    again = f"cropcam evaluate {run}"
    for name in (METRICS, PATCHES):
        if not (run / name).is_file():
            raise DataError(f"{run}: no {name}; evaluate first: {again}")
    try:
        metrics: dict[str, Any] = json.loads((run / METRICS).read_text("utf-8"))
        table = pd.read_csv(run / PATCHES)
        evaluated, listed = metrics["made_by"]["checkpoint_digest"], metrics["made_by"]["patches_digest"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{run}: {METRICS} or {PATCHES} is damaged ({error}); evaluate again: {again}") from None
    if "intervals" not in metrics:
        raise DataError(f"{run}: its {METRICS} is of an older cropcam, without intervals; evaluate again: {again}")
    if evaluated != file_sha256(run / BEST):
        raise DataError(f"{run}: {METRICS} is about another checkpoint ({evaluated[:12]}) than {BEST}; evaluate again: {again}")
    if listed != file_sha256(run / PATCHES):
        raise DataError(f"{run}: {PATCHES} is not the one that {METRICS} was written with; evaluate again: {again}")
    return metrics, table


def template(name: str) -> jinja2.Template:
    """A page of this package: everything is escaped, nothing may be missing, the style sheet is at hand."""
    loader = jinja2.PackageLoader("cropcam.model.report", ".")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": wording.percent, "decimal": wording.decimal, "listing": listing}
    environment.globals["css"] = Markup(resources.files("cropcam.model.report").joinpath("report.css").read_text("utf-8"))  # noqa: S704 - our own file
    return environment.get_template(name)
