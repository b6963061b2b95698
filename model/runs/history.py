"""RUN/history.csv: losses and accuracies of each epoch."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.text_files import read_text

_STEP = "train into another folder"
_MOST = 2**31  # epochs
TIMINGS = ("seconds", "patches_per_second", "data_wait_share")  # the columns in which two equal runs differ


@dataclass(frozen=True)
class Row:
    """One epoch.

    Losses are means over patches; those of training are taken while the weights change. Accuracies are shares of correct labels, or the
    overlap of proportions. `validation_majority_accuracy` is that of the best constant prediction, the same in each row.
    `data_wait_share` is the share of the training time spent waiting for data.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    validation_majority_accuracy: float
    seconds: float
    patches_per_second: float
    data_wait_share: float


COLUMNS = tuple(field.name for field in fields(Row))


def selected_epoch(rows: list[Row], *, newest: bool) -> int:
    """The epoch whose weights are used: the newest, or the best."""
    return len(rows) if newest else best_epoch(rows)


def best_epoch(rows: list[Row]) -> int:
    """The epoch of the lowest validation loss, the earliest of equals."""
    return min(rows, key=lambda row: row.validation_loss).epoch


def write(path: Path, rows: list[Row]) -> None:
    """Write the history atomically; floats as the shortest text that reads back equal.

    Raises:
        OSError: writing failed.
    """
    atomic_write(path, pd.DataFrame([asdict(row) for row in rows], columns=list(COLUMNS)).to_csv(index=False))


def read(path: Path, epochs: int) -> list[Row]:
    """The first `epochs` epochs; a later row is of an epoch whose weights were not written.

    Raises:
        DataError: the file is absent, damaged or shorter.
    """
    columns = _numbers(path, COLUMNS, _STEP)
    rows = [Row(int(epoch), *rest) for epoch, *rest in columns.itertuples(index=False)]
    if len(rows) < epochs or [row.epoch for row in rows[:epochs]] != list(range(1, epochs + 1)):
        raise DataError(f"{path}: does not hold epochs 1 to {epochs}, which the checkpoint has; {_STEP}")
    return rows[:epochs]


def table(path: Path) -> pd.DataFrame:
    """The epochs of a history, one row each; of earlier versions some columns may be missing.

    Raises:
        DataError: the file is absent, damaged or without an epoch.
    """
    found = _numbers(path, ("epoch", "validation_loss"), step := "train the run first")
    if found.empty:
        raise DataError(f"{path}: holds no epoch; {step}")
    return found.astype({"epoch": int})


def _numbers(path: Path, needed: Sequence[str], step: str) -> pd.DataFrame:
    """The columns that a history has, as float64; `needed` are among them, finite and with whole epochs."""
    text = read_text(path, "the history of a run", step=step)
    try:
        cells = pd.read_csv(io.StringIO(text), dtype=str)
        found = cells[[name for name in COLUMNS if name in {*cells.columns, *needed}]].map(float).astype(np.float64)  # inverse of repr()
        if not np.isfinite(found[list(needed)]).all(axis=None) or (found["epoch"] % 1 != 0).any() or (found["epoch"] > _MOST).any():
            raise ValueError("a number is missing or not finite, or an epoch is none")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: cannot be read as a history ({str(error).splitlines()[0][:160]}); {step}") from None
    return found
