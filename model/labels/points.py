"""A CSV table of labelled points: labels of single pixels for the patches that hold them."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from cropcam.model.labels.derive import Classes
from cropcam.model.labels.files import read_label_file
from cropcam.model.labels.weak_labels import WeakLabels
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PatchGrid, transform_points
from cropcam.pipeline.legend import UNLABELLED, Legend

DEGREES, STORE_CRS = ("lon", "lat"), ("x", "y")
_LIMIT = {"lon": 180.0, "lat": 90.0}
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


class Table(NamedTuple):
    """A table of points."""

    x_P: Floats  # longitude in degrees, or x in the store's CRS
    y_P: Floats  # latitude in degrees, or y in the store's CRS
    degrees: bool  # whether the coordinates are longitude and latitude (EPSG:4326)
    class_P: Classes  # class index
    line_P: Indices  # line of the file, from 1


def point_labels(path: str, digest: str, legend: Legend, grid: PatchGrid, place_N2: npt.NDArray[np.int32]) -> WeakLabels:
    """The points of a CSV file as pixel labels of the patches that hold them. Arguments as of `labels.areas.area_labels`.

    Raises:
        DataError: the file is missing or has changed, a line is not valid, or two lines give one pixel two classes.
    """
    table = read_points(path, read_label_file(path, digest), legend)
    x_P, y_P = transform_points("EPSG:4326", grid.pixels.crs, table.x_P, table.y_P) if table.degrees else (table.x_P, table.y_P)
    row_P, col_P = grid.pixels.index(x_P, y_P)
    _refuse_contradictions(path, table, np.where(row_P < 0, -1, row_P * grid.pixels.width + col_P), legend)
    number = np.full((grid.rows + 1, grid.columns + 1), -1)  # last row and column: edge pixels that fill no patch
    number[place_N2[:, 0], place_N2[:, 1]] = np.arange(len(place_N2))
    patch_P = np.where(row_P < 0, -1, number[row_P // grid.size_px, col_P // grid.size_px])
    inside_P = patch_P >= 0
    pixel_NHW = np.full((len(place_N2), grid.size_px, grid.size_px), UNLABELLED, np.uint8)
    pixel_NHW[patch_P[inside_P], row_P[inside_P] % grid.size_px, col_P[inside_P] % grid.size_px] = table.class_P[inside_P]
    return WeakLabels("points", pixel_NHW=pixel_NHW, n_unmatched=int((~inside_P).sum()))


def read_points(path: str, content: bytes, legend: Legend) -> Table:
    """The table of a CSV file: columns lon and lat (degrees), else x and y (the store's CRS), and class.

    Raises:
        DataError: columns are missing, a coordinate is not a number, or the legend lacks a class; names file and line.
    """
    needs = f"it needs the columns lon and lat in degrees (or x and y in the store's CRS) and class: {_allowed(legend)}"
    try:
        cells = pd.read_csv(io.BytesIO(content), header=None, dtype=str, na_filter=False, skip_blank_lines=False, encoding="utf-8-sig")
    except (ValueError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(f"{path}: no CSV table: {str(error).strip()}; {needs}") from None
    cells = cells.fillna("").apply(lambda column: column.str.strip())
    names = cells.iloc[0].tolist()
    pair = next((pair for pair in (DEGREES, STORE_CRS) if all(name in names for name in pair)), None)
    if pair is None or "class" not in names:
        missing = "class" if pair is not None else "lon and lat (or x and y)"
        raise DataError(f"{path}, line 1: no column {missing} among {', '.join(names)}; {needs}")
    rows = cells.iloc[1:]
    rows = rows[(rows != "").any(axis=1)]  # a blank line keeps its number
    if not len(rows):
        raise DataError(f"{path}: holds no point; {needs}")
    line_P = rows.index.to_numpy(np.int64) + 1
    x_P, y_P = (_numbers(path, name, rows.iloc[:, names.index(name)], line_P) for name in pair)
    return Table(x_P, y_P, pair == DEGREES, _classes(path, rows.iloc[:, names.index("class")], line_P, legend), line_P)


def _allowed(legend: Legend) -> str:
    return f"one of {', '.join(legend.names)}, or a label code"


def _numbers(path: str, name: str, cells: pd.Series[str], line_P: Indices) -> Floats:
    values = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
    limit = _LIMIT.get(name, np.inf)
    wrong = np.flatnonzero(~np.isfinite(values) | (np.abs(values) > limit))
    if wrong.size:
        allowed = "a number in the units of the store's CRS" if limit == np.inf else f"degrees between -{limit:g} and {limit:g}"
        raise DataError(f"{path}, line {line_P[wrong[0]]}: {name} is {cells.iloc[wrong[0]]!r}; it must be {allowed}")
    return np.asarray(values)


def _classes(path: str, cells: pd.Series[str], line_P: Indices, legend: Legend) -> Classes:
    kind_P, kinds = pd.factorize(cells.to_numpy(object))
    index = [_class_index(str(text), legend) for text in kinds]
    if None in index:
        first = int(np.flatnonzero(kind_P == index.index(None))[0])
        raise DataError(f"{path}, line {line_P[first]}: class {cells.iloc[first]!r} is not known; it must be {_allowed(legend)}")
    return np.array(index, np.uint8)[kind_P]


def _class_index(text: str, legend: Legend) -> int | None:
    if text in legend.names:
        return legend.names.index(text)
    try:
        code = float(text)  # a spreadsheet writes 5 as 5.0
    except ValueError:
        return None
    return legend.index_of(int(code)) if code.is_integer() else None


def _refuse_contradictions(path: str, table: Table, pixel_P: Indices, legend: Legend) -> None:
    order = np.argsort(pixel_P, kind="stable")
    pixel, class_ = pixel_P[order], table.class_P[order]
    differing = np.flatnonzero((pixel[1:] == pixel[:-1]) & (class_[1:] != class_[:-1]) & (pixel[1:] >= 0))
    if differing.size:
        pair = order[differing[0] : differing[0] + 2]
        lines, names = " and ".join(map(str, table.line_P[pair])), " and ".join(legend.names[index] for index in table.class_P[pair])
        raise DataError(f"{path}, lines {lines}: the same pixel has the classes {names}; keep one of the two")
