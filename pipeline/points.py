"""Files of labelled points, as CSV or vector file: places, classes and further columns, as they are written.

What to do with points without a class or a geometry is the reader's: weak labels leave them out (`cropcam.model.labels.point_files`), a
sample must be whole (`cropcam.pipeline.maps.reference_points`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from cropcam.pipeline.class_columns import CLASS, class_columns, read_classes
from cropcam.pipeline.class_names import NO_CLASS, Classes, allowed, class_indices, texts
from cropcam.pipeline.csv_cells import named, numbers, read_cells
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.vectors import SUFFIXES, open_vectors

DEGREES, GRID_CRS = ("lon", "lat"), ("x", "y")
_LIMIT = {"lon": 360.0, "lat": 90.0}  # some count longitudes from 0 to 360
_CODED = "write a column of classes"  # the step where a file has other codes alone
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


class Points(NamedTuple):
    """Points of a file."""

    path: str
    x_P: Floats  # in `crs`: longitude or x; NaN where a feature has no geometry
    y_P: Floats  # latitude or y
    crs: str  # "EPSG:4326" for degrees; empty = that of the owner's grid
    line_P: Indices  # line of a CSV, number of a feature, from 1
    unit: str  # of `line_P`: "line" or "feature"
    cells: pd.Series[str]  # the column of the class as text
    class_P: Classes  # class index, `NO_CLASS` (255) where it is not known
    unknown: list[str]  # texts that are no class, the most frequent first
    more: pd.DataFrame  # the further columns that the file has, as text

    def check_classes(self, legend: Legend) -> None:
        """Refuse a class that is not known.

        Raises:
            DataError: names the first.
        """
        if self.unknown:
            first = int(np.flatnonzero(self.class_P == NO_CLASS)[0])
            place = f"{self.path}, {self.unit} {self.line_P[first]}"
            raise DataError(f"{place}: class {self.cells.iloc[first]!r} is not known; it must be {allowed(legend)}")


def read_points(
    path: str, legend: Legend, *, column: str = "", owner: str = "store", more: Sequence[str] = (), polygons: str = ""
) -> Points:
    """The points of a file: a CSV, or by its suffix a GeoPackage, a GeoParquet or a GeoJSON.

    Args:
        path: of the file.
        legend: of the allowed classes.
        column: of the classes; empty = `class`, in a vector file also a column of fiboa or EuroCrops.
        owner: of the grid, for messages: columns x and y are in its CRS.
        more: further columns that are read where the file has them.
        polygons: the next step for a file of polygons; "give a point in each" by default.

    Raises:
        DataError: the file cannot be read, a column is missing or doubled, a coordinate is no number, or a feature is no point.
    """
    if Path(path).suffix.casefold() in SUFFIXES:
        return _features(path, legend, column, more, polygons or "give a point in each")
    return read_lines(path, None, legend, column or CLASS, owner, more)


def read_lines(
    path: str, content: bytes | None, legend: Legend, column: str = CLASS, owner: str = "store", more: Sequence[str] = ()
) -> Points:
    """The points of a CSV file: columns lon and lat (degrees), else x and y (the owner's CRS), and the column of the class.

    Raises:
        DataError: columns are missing or doubled, or a coordinate is no number; names file and line.
    """
    needs = f"it needs the columns lon and lat in degrees (or x and y in the {owner}'s CRS) and {column}: {allowed(legend)}"
    rows = read_cells(path, needs, content)
    header = rows.columns.tolist()
    rows = rows.rename(columns={named(header, name): name for name in (*DEGREES, *GRID_CRS, column, *more)})
    header = rows.columns.tolist()
    pair = next((pair for pair in (DEGREES, GRID_CRS) if all(name in header for name in pair)), None)
    if pair is None or column not in header:
        missing = column if pair is not None else "lon and lat (or x and y)"
        raise DataError(f"{path}, line 1: no column {missing} among {', '.join(header)}; {needs}")
    wanted = [*pair, column, *(name for name in more if name in header)]
    if twice := [name for name in wanted if header.count(name) > 1]:
        raise DataError(f"{path}, line 1: the column {twice[0]!r} is there twice; keep one")
    if not len(rows):
        raise DataError(f"{path}: holds no point; {needs}")
    line_P = rows.index.to_numpy(np.int64)
    x_P, y_P = (numbers(path, rows[name], _LIMIT.get(name, np.inf)) for name in pair)
    for name, values in zip(pair, (x_P, y_P), strict=True):
        _refuse_wrong(path, owner, rows[name], values, is_swapped=pair == DEGREES and bool((np.abs(x_P) <= 90).all()))
    class_P, unknown = class_indices(rows[column], legend)
    crs = "EPSG:4326" if pair == DEGREES else ""
    return Points(path, x_P, y_P, crs, line_P, "line", rows[column], class_P, unknown, rows[wanted[3:]])


def _features(path: str, legend: Legend, column: str, more: Sequence[str], polygons: str) -> Points:
    """The points of a vector file."""
    import shapely  # noqa: PLC0415 - a table of CSV needs none

    file = open_vectors(path)
    further = [name for name in more if name in file.columns]
    frame, cells, class_P, unknown = read_classes(file, class_columns(file, column, legend, _CODED), legend, more=further)
    geometry = frame.geometry.to_numpy()
    blank_P = shapely.is_empty(geometry) | shapely.is_missing(geometry)
    if (wrong := np.flatnonzero(~blank_P & (shapely.get_type_id(geometry) != shapely.GeometryType.POINT))).size:
        name = geometry[wrong[0]].geom_type
        step = polygons if name.endswith("Polygon") else "split it: one point a feature"
        raise DataError(f"{path}: {len(wrong):,} of its {file.count:,} features are no points, the first is a {name}; {step}")
    x_P, y_P = np.full(len(frame), np.nan), np.full(len(frame), np.nan)
    x_P[~blank_P], y_P[~blank_P] = shapely.get_x(geometry[~blank_P]), shapely.get_y(geometry[~blank_P])
    texts_of = pd.DataFrame({name: texts(frame[name]) for name in further}, index=frame.index)
    return Points(path, x_P, y_P, file.crs, np.arange(1, len(frame) + 1), "feature", cells, class_P, unknown, texts_of)


def _refuse_wrong(path: str, owner: str, cells: pd.Series[str], values: Floats, is_swapped: bool) -> None:
    name = str(cells.name)
    limit = _LIMIT.get(name, np.inf)
    wrong = np.flatnonzero(~np.isfinite(values) | (np.abs(values) > limit))
    if wrong.size:
        allowed_ = f"a number in the units of the {owner}'s CRS" if limit == np.inf else f"degrees between -{limit:g} and {limit:g}"
        hint = "; are lon and lat swapped?" if is_swapped and 90 < abs(values[wrong[0]]) <= 180 else ""
        raise DataError(f"{path}, line {cells.index[wrong[0]]}: {name} is {cells.iloc[wrong[0]][:60]!r}; it must be {allowed_}{hint}")
