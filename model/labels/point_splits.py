"""The column `split` of a file of points: which points are trained on, which select the epoch, and which are the truth of an evaluation.

The words are train, validation and test. A point without one is left out. Such a file takes the place of the store's splits, as far as labels go: its
points may lie in any patch that the store has.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.store.schema import SPLITS

COLUMN = "split"
NONE = 255  # without a split
Splits = npt.NDArray[np.uint8]


def splits_of(cells: pd.Series[str], path: str, unit: str, line_P: npt.NDArray[np.int64]) -> Splits:
    """The index in `SPLITS` of each point (P,), `NONE` where the cell is blank. Case does not count.

    Args:
        cells: the column's texts.
        path: of the file, for messages.
        unit: of `line_P`.
        line_P: line or feature of each point, from 1.

    Raises:
        DataError: another word; names the first.
    """
    words = cells.fillna("").astype(str).str.strip().str.casefold()
    split_P = words.map({**{name: index for index, name in enumerate(SPLITS)}, "": NONE})
    wrong = np.flatnonzero(split_P.isna())
    if wrong.size:
        place = f"{path}, {unit.removesuffix('s')} {line_P[wrong[0]]}"
        raise DataError(f"{place}: {COLUMN} is {cells.iloc[wrong[0]]!r}; it must be {', '.join(SPLITS[:-1])} or {SPLITS[-1]}, or blank")
    return np.asarray(split_P.to_numpy(), np.uint8)
