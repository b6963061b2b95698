"""The cells of a CSV file as text, with the number of the line of each."""

from __future__ import annotations

import io

import pandas as pd

from cropcam.pipeline.errors import DataError


def read_cells(path: str, content: bytes, needs: str) -> pd.DataFrame:
    """The lines of a CSV file as text without spaces around, columns by name; the index is the line, from 1. Blank lines are left out.

    Raises:
        DataError: no CSV table, or a name of a column stands twice.
    """
    try:
        cells = pd.read_csv(io.BytesIO(content), header=None, dtype=str, na_filter=False, skip_blank_lines=False, encoding="utf-8-sig")
    except (ValueError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(f"{path}: no CSV table: {str(error).strip()}; {needs}") from None
    cells = cells.fillna("").apply(lambda column: column.str.strip())
    rows: pd.DataFrame = cells.iloc[1:]
    rows = rows[(rows != "").any(axis=1)]  # a blank line keeps its number
    rows.columns = pd.Index(cells.iloc[0].tolist())
    rows.index = rows.index + 1
    return rows
