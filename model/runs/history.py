"""RUN/history.csv: losses and accuracies of each epoch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pandas as pd

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.atomic import atomic_write

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
    try:
        table = pd.read_csv(path, dtype=str)  # float() is the inverse of repr(); not every pandas is
        rows = [Row(int(epoch), *map(float, rest)) for epoch, *rest in table[list(COLUMNS)].itertuples(index=False)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: cannot be read as a history ({str(error).splitlines()[0]}); train into another folder") from None
    if [row.epoch for row in rows[:epochs]] != list(range(1, epochs + 1)):
        raise DataError(f"{path}: does not hold epochs 1 to {epochs}, which the checkpoint has; train into another folder")
    return rows[:epochs]
