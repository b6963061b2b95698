"""Evaluated runs, read from their folders."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cropcam.model.evaluation.evaluate import PATCHES
from cropcam.model.evaluation.model_card import METRICS
from cropcam.model.runs.checkpoint import BEST, HISTORY
from cropcam.model.runs.config import RunConfig, load_config
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.hashing import file_sha256


@dataclass(frozen=True)
class EvaluatedRun:
    """An evaluated run.

    Attributes:
        name: the shortest path that no other run ends in.
        config: as trained.
        metrics: content of metrics.json.
        patches: its patches.csv.
        seconds: spent on training; None where the history has no times.
        epochs: trained.
    """

    name: str
    config: RunConfig
    metrics: dict[str, Any]
    patches: pd.DataFrame
    seconds: float | None
    epochs: int

    @property
    def segmentation(self) -> dict[str, Any]:
        """The metrics of the run's default segmentation."""
        part = self.metrics["segmentation"]
        default: dict[str, Any] = part["methods"][part["default"]]
        return default


def read_run(run: Path, name: str) -> EvaluatedRun:
    """A run's configuration, metrics and history.

    Raises:
        DataError: it is not evaluated since it was trained, or damaged.
    """
    config = load_config(run)
    metrics, patches = read_evaluation(run)
    history = read_history(run)
    seconds = float(history["seconds"].sum()) if "seconds" in history else None
    return EvaluatedRun(name, config, metrics, patches, seconds, len(history) or config.optimizer.epochs)


def read_evaluation(run: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """The files of `evaluate` in a run folder: metrics.json, and patches.csv as a table.

    Raises:
        DataError: not evaluated since it was trained, or damaged; the message has the command that repairs it.
    """
    again = f"cropcam evaluate {run}"
    for name in (METRICS, PATCHES):
        if not (run / name).is_file():
            raise DataError(f"{run}: no {name}; evaluate first: {again}")
    try:
        metrics: dict[str, Any] = json.loads((run / METRICS).read_text("utf-8"))
        table = pd.read_csv(run / PATCHES)
        checkpoint, patches = metrics["provenance"]["checkpoint_digest"], metrics["provenance"]["patches_digest"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{run}: {METRICS} or {PATCHES} is damaged ({error}); evaluate again: {again}") from None
    if checkpoint != file_sha256(run / BEST):
        raise DataError(f"{run}: {METRICS} is about another checkpoint ({checkpoint[:12]}) than {BEST}; evaluate again: {again}")
    if patches != file_sha256(run / PATCHES):
        raise DataError(f"{run}: {PATCHES} is not the one that {METRICS} was written with; evaluate again: {again}")
    return metrics, table


def read_history(run: Path) -> pd.DataFrame:
    """The epochs of history.csv, one row each; empty where there is no such file.

    Raises:
        DataError: damaged.
    """
    path = run / HISTORY
    try:
        return pd.read_csv(path).astype({"epoch": int, "validation_loss": float}) if path.is_file() else pd.DataFrame()
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: cannot be read as a history ({str(error).splitlines()[0]}); train into another folder") from None


def short_names(runs: Sequence[Path]) -> list[str]:
    """Distinct names of the runs: the last parts of their paths, as few as possible.

    Examples:
        >>> short_names([Path("a/run"), Path("b/run")]), short_names([Path("a/x"), Path("a/y")])
        (['a/run', 'b/run'], ['x', 'y'])
    """
    paths = [run.resolve().parts for run in runs]
    for count in range(1, max(map(len, paths)) + 1):
        names = ["/".join(parts[-count:]) for parts in paths]
        if len(set(names)) == len(names):
            return names
    return [str(run) for run in runs]
