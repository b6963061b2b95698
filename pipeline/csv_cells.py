"""The cells of a table of text, of any dialect, with the number of the line of each; and the numbers that cells hold."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.text_files import decode, read_bytes

MOST_COLUMNS, MOST_CELLS = 10_000, 20_000_000
_DELIMITERS = (",", ";", "\t", "|")
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx, .ods and other archives; .xls
_SEPARATOR_LINE = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # Excel's own first line
_FORMULA = ("=", "+", "-", "@")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_MAYBE_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")


def read_cells(path: str, needs: str, content: bytes | None = None) -> pd.DataFrame:
    """The lines of a table as text without spaces around, columns by name; the index is the line, from 1. Blank lines are left out.

    Cells are separated by commas, semicolons, tabs or bars: whichever splits the names of the columns into the most. Lines above the names
    that begin with # are comments. Text is UTF-8, UTF-16 or, where it is neither, Windows-1252. Columns without a name and without a value
    (separators at the ends of lines) are left out.

    Args:
        path: of the file.
        needs: what the table must have, the end of a message.
        content: of the file, where it was read before.

    Raises:
        DataError: no file, no table, or a line that has more cells than there are columns; names the line.
    """
    if content is None:
        content = read_bytes(path, "a CSV table", step=f"name a CSV table; {needs}")
    if content.startswith(_WORKBOOKS):
        raise DataError(f"{path}: is a workbook or an archive, no CSV table; save the sheet as CSV (UTF-8); {needs}")
    text = decode(content, path, "the table", fallback="cp1252")
    header, rows, lines = list[str](), list[list[str]](), list[int]()
    for line, cells in _records(path, text, needs):
        if not header:
            header = cells
            continue
        while len(cells) > len(header) and not cells[-1]:
            cells.pop()  # a separator at the line's end
        if len(cells) > len(header):
            problem = f"has {len(cells):,} values for {len(header):,} columns"
            raise DataError(f"{path}, line {line}: {problem}; put a text with a separator in double quotes")
        if len(rows) * len(header) > MOST_CELLS:
            raise DataError(
                f"{path}, line {line}: more than {MOST_CELLS:,} cells; leave out columns that are not needed, or split the table"
            )
        rows.append(cells + [""] * (len(header) - len(cells)))
        lines.append(line)
    if not header:
        raise DataError(f"{path}: no CSV table: it is empty; {needs}")
    table = pd.DataFrame(rows, columns=pd.RangeIndex(len(header)), index=lines, dtype=object)
    keep = [name != "" or bool((table[number] != "").any()) for number, name in enumerate(header)]
    table = table.loc[:, keep]
    table.columns = pd.Index([name for name, kept in zip(header, keep, strict=True) if kept], dtype=object)
    return table


def table_text(table: pd.DataFrame, *, float_format: str | None = None) -> str:
    """A table as CSV text. Before a text that a spreadsheet would take for a formula stands an apostrophe, which `read_cells` takes away."""
    safe = table.rename(columns=_no_formula)
    for name in safe.columns[[not pd.api.types.is_numeric_dtype(dtype) for dtype in safe.dtypes]]:
        safe[name] = safe[name].map(_no_formula)
    return str(safe.to_csv(index=False, float_format=float_format, lineterminator="\n"))


def named(header: list[str], name: str) -> str:
    """The column of that name, else the only one whose name differs in the case of letters alone; else the name itself."""
    alike = [each for each in header if each.casefold() == name.casefold()]
    return name if name in header or len(alike) != 1 else alike[0]


def number(text: str) -> float:
    """A number as computers write it, with a point; NaN for anything else, such as nan, inf, 1_000 or digits of other scripts.

    >>> number(" -1.5e3 "), number("1_000"), number("1e999")
    (-1500.0, nan, nan)
    """
    value = float(text) if _NUMBER.fullmatch(text := text.strip()) else math.nan
    return value if math.isfinite(value) else math.nan


def numbers(path: str, cells: pd.Series[str], most: float = math.inf, unit: str = "line") -> npt.NDArray[np.float64]:
    """The numbers of a column, NaN where a cell holds none. A comma is a decimal comma where no cell of the column has a point.

    Args:
        path: of the file, for a message.
        cells: texts; the index is the line.
        most: largest magnitude allowed: 1,234 is no thousand where 180 is the most.
        unit: what the index is of.

    Raises:
        DataError: whether a comma is decimal or separates thousands cannot be known.
    """
    commas = cells.map(lambda cell: _DECIMAL_COMMA.fullmatch(cell) is not None)
    if commas.any() and not cells[~commas].str.contains(r"[.,]").any():
        if most >= 1000 and cells[commas].map(lambda cell: _MAYBE_THOUSANDS.fullmatch(cell) is not None).all():
            line, cell = cells[commas].index[0], cells[commas].iloc[0]
            either = f"{cell.replace(',', '.')} or {cell.replace(',', '')}"
            raise DataError(f"{path}, {unit} {line}: {cells.name} is {cell!r}: a decimal comma, or thousands? write {either}")
        cells = cells.where(~commas, cells.str.replace(",", "."))
    return np.array([number(cell) for cell in cells], np.float64)


def _no_formula(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _records(path: str, text: str, needs: str) -> Iterator[tuple[int, list[str]]]:
    """The line on which each record that is not blank begins, and its cells; the first are the names."""
    source = io.StringIO(text, newline="")  # lines end as in an editor
    skipped, delimiter = 0, ""
    for line in source:
        if separator := _SEPARATOR_LINE.fullmatch(line):
            delimiter, skipped = separator[1], skipped + 1
        elif not line.strip() or line.startswith("#"):
            skipped += 1
        else:
            bare = re.sub(r'"[^"]*"', "", line)
            delimiter = delimiter or max(_DELIMITERS, key=bare.count)
            if bare.count(delimiter) >= MOST_COLUMNS:
                raise DataError(f"{path}, line {skipped + 1}: more than {MOST_COLUMNS:,} columns; {needs}")
            break
    source.seek(0)
    for _ in range(skipped):
        next(source)
    reader = csv.reader(source, delimiter=delimiter or ",", strict=True, skipinitialspace=delimiter != "\t")
    try:
        end = 0
        for cells in reader:
            begin, end = end + 1, reader.line_num
            stripped = [cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell for cell in map(str.strip, cells)]
            if any(stripped):
                yield skipped + begin, stripped
    except csv.Error as error:
        raise DataError(f"{path}, line {skipped + max(reader.line_num, 1)}: no CSV table: {error}; {needs}") from None
