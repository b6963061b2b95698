"""CSV files beside a label file: tables of cells, and tables that are joined to the features of a vector file by a key."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cropcam.pipeline.class_columns import CLASS
from cropcam.pipeline.class_names import allowed, class_index, key
from cropcam.pipeline.csv_cells import named, read_cells
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.vectors import VectorFile, names


def joined_table(path: str, file: VectorFile, column: str) -> tuple[pd.DataFrame, str]:
    """A CSV table whose index is the key (`class_names.key`) of the features of `file` that a line is of; and the key's column in the file.

    The key is `column`, in the table the column of that name or else its first; without `column` the one that both have.

    Raises:
        DataError: no such table, no key, or a key that stands twice; names the line.
    """
    needs = f"it needs a column with the values of a column of {Path(file.path).name}"
    rows = read_cells(path, needs)
    header = [str(name) for name in rows.columns]
    if doubled := next((name for name in header if name and header.count(name) > 1), None):
        raise DataError(f"{path}, line 1: the column {doubled!r} is there twice; keep one")
    if column:
        file.column(column)
        own = named(header, column) if named(header, column) in header else header[0]
    else:
        shared = [name for name in header if name in file.columns and name != CLASS]
        if len(shared) != 1:
            problem = f"both have the columns {names(shared)}" if shared else f"it has {names(header)}, the file {names(file.columns)}"
            raise DataError(f"{path}: by which column is it joined to {file.path}? {problem}; say which with --label-column NAME")
        own = column = shared[0]
    keys = rows[own].map(key)
    if (twice := keys.duplicated(keep=False)).any():
        value = keys[twice].iloc[0]
        lines = " and ".join(map(str, keys.index[keys == value][:2]))
        raise DataError(f"{path}, lines {lines}: {own} {value!r} is there twice; keep one of the two")
    return rows.drop(columns=own).set_axis(pd.Index(keys)), column


def crop_classes(path: str, file: VectorFile, column: str, legend: Legend) -> tuple[dict[str, int], str]:
    """A table of crops: class index by key, and the column of the file with the crop. The class stands in the column `class`, or the only other.

    Raises:
        DataError: as of `joined_table`, no column of classes, or a class that is not known.
    """
    rows, column = joined_table(path, file, column)
    rows = rows.rename(columns={named(list(map(str, rows.columns)), CLASS): CLASS})
    header = [str(name) for name in rows.columns]
    if CLASS not in header and len(header) != 1:
        raise DataError(
            f"{path}, line 1: no column {CLASS!r} among {names(header, CLASS)}; it needs the crop and its class: {allowed(legend)}"
        )
    text = {str(crop): str(cell) for crop, cell in rows[CLASS if CLASS in header else header[0]].items() if cell}
    index = {crop: class_index(cell, legend) for crop, cell in text.items()}
    if wrong := next((crop for crop, each in index.items() if each is None), ""):
        raise DataError(f"{path}: crop {wrong!r} has the class {text[wrong]!r}, which is not known; it must be {allowed(legend)}")
    return {crop: each for crop, each in index.items() if each is not None}, column
