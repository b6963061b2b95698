"""Evaluated runs as they lie in their folders, to be set side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cropcam.model.report.page import evaluated
from cropcam.model.runs.checkpoint import HISTORY
from cropcam.model.runs.config import RunConfig, load_config
from cropcam.pipeline.errors import DataError


@dataclass(frozen=True)
class Entry:
    """An evaluated run.

    Attributes:
        name: what tells it from the others.
        config: as trained.
        metrics: its metrics.json.
        patches: its patches.csv.
        seconds: spent on training; None where the history does not say.
        epochs: trained.
    """

    name: str
    config: RunConfig
    metrics: dict[str, Any]
    patches: pd.DataFrame
    seconds: float | None
    epochs: int

    @property
    def method(self) -> dict[str, Any]:
        """The figures of the run's own segmentation."""
        part = self.metrics["segmentation"]
        chosen: dict[str, Any] = part["methods"][part["default"]]
        return chosen


def read(run: Path, name: str) -> Entry:
    """A run's configuration, figures and history.

    Raises:
        DataError: it is not evaluated, by an older cropcam, or damaged.
    """
    config = load_config(run)
    metrics, patches = evaluated(run)
    history = _history(run)
    seconds = float(history["seconds"].sum()) if "seconds" in history else None
    return Entry(name, config, metrics, patches, seconds, len(history) or config.optimizer.epochs)


def _history(run: Path) -> pd.DataFrame:
    path = run / HISTORY
    try:
        return pd.read_csv(path) if path.is_file() else pd.DataFrame()
    except ValueError as error:
        raise DataError(f"{path}: cannot be read as a history ({str(error).splitlines()[0]}); train into another folder") from None


def names(runs: Sequence[Path]) -> list[str]:
    """What tells the runs apart: the last parts of their paths, as few as do.

    Examples:
        >>> names([Path("a/run"), Path("b/run")]), names([Path("a/x"), Path("a/y")])
        (['a/run', 'b/run'], ['x', 'y'])
    """
    paths = [run.resolve().parts for run in runs]
    for count in range(1, max(map(len, paths)) + 1):
        found = ["/".join(parts[-count:]) for parts in paths]
        if len(set(found)) == len(found):
            return found
    return [str(run) for run in runs]
