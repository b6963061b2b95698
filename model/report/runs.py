"""Evaluated runs, read from their folders: at home, on the store that a run was trained on, and away, on other stores.

`evaluate RUN` writes RUN/metrics.json. `evaluate RUN --on STORE` writes RUN/on/NAME-DIGEST8/metrics.json of the same shape, which adds
`"home": false`, `"store": {"name", "path", "digest"}` and, with a run trained there, `"reference": {"run", "segmentation"}`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from cropcam.model.evaluation.elsewhere import ON
from cropcam.model.evaluation.evaluate import PATCHES
from cropcam.model.runs import history
from cropcam.model.runs.checkpoint import BEST, HISTORY, METRICS
from cropcam.model.runs.config import RunConfig, load_config
from cropcam.model.runs.sealed import read_sealed
from cropcam.pipeline.errors import CropcamWarning, DataError
from cropcam.pipeline.runtime.hashing import file_sha256
from cropcam.pipeline.runtime.terminal import quoted


@dataclass(frozen=True)
class EvaluatedRun:
    """A run evaluated at one place.

    Attributes:
        name: the shortest path that no other run ends in.
        config: as trained.
        metrics: content of metrics.json.
        patches: its patches.csv; without a row where an evaluation away has none.
        seconds: spent on training; None where the history has no times.
        epochs: trained.
        elsewhere: folder of the metrics of `evaluate --on`; empty for those of RUN/metrics.json.
    """

    name: str
    config: RunConfig
    metrics: dict[str, Any]
    patches: pd.DataFrame
    seconds: float | None
    epochs: int
    elsewhere: str = ""

    @property
    def segmentation(self) -> dict[str, Any]:
        """The metrics of the run's default segmentation."""
        part = self.metrics["segmentation"]
        default: dict[str, Any] = part["methods"][part["default"]]
        return default

    @property
    def is_home(self) -> bool:
        """Whether the run was trained on the evaluated store, as in metrics that do not say; RUN/metrics.json may be of a store held out."""
        return bool(self.metrics.get("home", True))

    @property
    def digest(self) -> str:
        """Of the evaluated store."""
        return str(self.metrics.get("store", {}).get("digest", self.config.store.digest))

    @property
    def store_name(self) -> str:
        """Name of the evaluated store; empty where the metrics do not say."""
        return str(self.metrics.get("store", {}).get("name", ""))

    @property
    def reference(self) -> dict[str, Any] | None:
        """The metrics of a run that was trained on the evaluated store, and its path as `run`; None without one."""
        values = self.metrics.get("reference")
        return {"run": values["run"], **values["segmentation"]} if values else None


def read_run(run: Path, name: str) -> EvaluatedRun:
    """A run's configuration, metrics and history.

    Raises:
        DataError: it is not evaluated since it was trained, or damaged.
    """
    config = load_config(run)
    metrics, patches = read_evaluation(run)
    epochs = read_history(run)
    seconds = float(epochs["seconds"].sum()) if "seconds" in epochs else None
    return EvaluatedRun(name, config, metrics, patches, seconds, len(epochs) or config.optimizer.epochs)


class StaleError(DataError):
    """An evaluation is of another checkpoint than the run has now."""


def read_elsewhere(run: Path, home: EvaluatedRun) -> list[EvaluatedRun]:
    """The run on other stores, from RUN/on/*/metrics.json and patches.csv, in order of the folders' names.

    Args:
        run: its folder.
        home: the run as `read_run` gives it.

    An evaluation from before the training went on is left out, with a warning.

    Raises:
        DataError: an evaluation is damaged or of other classes.
    """
    found = []
    for folder in sorted(path.parent for path in (run / ON).glob(f"*/{METRICS}")):
        try:
            metrics, patches = _read(folder, run, f"cropcam evaluate {quoted(run)} --on STORE, or remove {quoted(folder)}")
        except StaleError as error:
            warnings.warn(f"left out: {error}", CropcamWarning, stacklevel=2)
            continue
        away = replace(home, metrics=metrics, patches=patches, elsewhere=folder.name)
        try:
            known = away.metrics["store"]["name"], away.metrics["store"]["digest"], away.segmentation["pixel_accuracy"], away.reference
            names = tuple(metrics["classification"]["per_class"])
        except (KeyError, TypeError) as error:
            raise DataError(f"{folder / METRICS}: lacks {error}; evaluate again: cropcam evaluate {quoted(run)} --on STORE") from None
        if not all(known[:2]):
            raise DataError(f"{folder / METRICS}: does not say which other store it is of; remove {folder} and evaluate again")
        if names != home.config.store.classes.names:
            own = ", ".join(home.config.store.classes.names)
            raise DataError(f"{folder / METRICS}: its classes are {', '.join(names)}, those of the run {own}; remove {folder}")
        found.append(away)
    return found


def read_evaluation(run: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """The files of `evaluate` in a run folder: metrics.json, and patches.csv as a table.

    Raises:
        DataError: not evaluated since it was trained, or damaged; the message has the command that repairs it.
    """
    again = f"cropcam evaluate {quoted(run)}"
    for name in (METRICS, PATCHES):
        if not (run / name).is_file():
            raise DataError(f"{run}: no {name}; evaluate first: {again}")
    return _read(run, run, again)


def _read(folder: Path, run: Path, again: str) -> tuple[dict[str, Any], pd.DataFrame]:
    """metrics.json and patches.csv of a folder; a table without rows where there is no patches.csv."""
    has_patches = (folder / PATCHES).is_file()
    metrics = read_sealed(folder / METRICS, "the metrics of a run", "provenance", step=f"evaluate again: {again}")
    try:
        table = pd.read_csv(folder / PATCHES) if has_patches else pd.DataFrame()
        checkpoint, patches = metrics["provenance"]["checkpoint_digest"], metrics["provenance"]["patches_digest"] if has_patches else ""
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: {METRICS} or {PATCHES} is damaged ({error}); evaluate again: {again}") from None
    if checkpoint != file_sha256(run / BEST):
        raise StaleError(f"{folder}: {METRICS} is about another checkpoint ({checkpoint[:12]}) than {BEST}; evaluate again: {again}")
    if has_patches and patches != file_sha256(folder / PATCHES):
        raise DataError(f"{folder}: {PATCHES} is not the one that {METRICS} was written with; evaluate again: {again}")
    return metrics, table


def read_history(run: Path) -> pd.DataFrame:
    """The epochs of history.csv, one row each; empty where there is no such file.

    Raises:
        DataError: damaged.
    """
    path = run / HISTORY
    return history.table(path) if path.is_file() else pd.DataFrame()


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
