"""The column of a file in which the class of a feature stands: named by the user, `class`, or a name of fiboa or EuroCrops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from cropcam.pipeline.class_names import NO_CLASS, Classes, allowed, class_indices, texts
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.vectors import VectorFile, names

if TYPE_CHECKING:
    import geopandas
    import pandas as pd

CLASS = "class"
# Names of crops: fiboa's crop and HCAT extensions (https://fiboa.org), EuroCrops (https://github.com/maja601/EuroCrops).
# Codes of crops are another country's numbers in each file; they are read as codes of the legend only where the user names the column.
NAME_COLUMNS = (CLASS, "crop:name_en", "crop:name", "hcat:name", "hcat:name_en", "EC_trans_n", "EC_hcat_n")
CODE_COLUMNS = ("crop:code", "hcat:code", "EC_hcat_c")


class ReadClasses(NamedTuple):
    """The features of a file and their classes."""

    frame: geopandas.GeoDataFrame
    cells: pd.Series[str]  # the column of the class as text
    class_P: Classes  # class index, `NO_CLASS` (255) where it is not known
    unknown: list[str]  # texts that are no class, the most frequent first


def class_columns(file: VectorFile, named: str, legend: Legend, step: str) -> list[str]:
    """The columns that may hold the class: the column that the user names, else all with a known name.

    Args:
        file: the opened file.
        named: the user's column; empty = by its name.
        legend: of the allowed classes, for messages.
        step: what to do with codes that are not the legend's.

    Raises:
        DataError: there is none.
    """
    if named:
        return [file.column(named)]
    if columns := [name for name in NAME_COLUMNS if name in file.columns]:
        return columns
    coded = next((name for name in CODE_COLUMNS if name in file.columns), "")
    hint = (
        f"{coded} has codes that are not the legend's: {step}"
        if coded
        else f"name the column of the crop with --label-column NAME; its values are {allowed(legend)}"
    )
    raise DataError(f"{file.path}: no column {CLASS!r} among {names(file.columns, CLASS)}; {hint}")


def read_classes(
    file: VectorFile,
    columns: Sequence[str],
    legend: Legend,
    *,
    grid: PixelGrid | None = None,
    table: Mapping[str, int] | None = None,
    more: Sequence[str] = (),
) -> ReadClasses:
    """The features, near `grid` if it is given, and their classes. Of several columns the first counts in which a class is known.

    Args:
        file: the opened file.
        columns: that may hold the class.
        legend: of the allowed classes.
        grid: reads the features near it alone.
        table: class index by key, where the column holds keys instead of classes.
        more: columns that are read too.

    Raises:
        DataError: a column is missing, or the file is damaged.
    """
    frame = file.read([*columns, *more], grid)
    found = [(cells, *class_indices(cells, legend, table)) for cells in (texts(frame[column]) for column in columns)]
    return ReadClasses(frame, *next((each for each in found if (each[1] != NO_CLASS).any()), found[0]))
