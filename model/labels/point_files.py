"""Files of labelled points, as CSV or vector file: places and classes, and the pixels of a grid in which they lie."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from cropcam.model.labels.crop_columns import classes_of
from cropcam.model.labels.derive import Classes
from cropcam.model.labels.files import check_label_file
from cropcam.model.labels.tables import CLASS
from cropcam.model.labels.weak_labels import LabelSpec
from cropcam.pipeline.class_names import NO_CLASS, allowed, class_indices
from cropcam.pipeline.csv_cells import read_cells
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid, transform_points
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.vectors import SUFFIXES, open_vectors

DEGREES, GRID_CRS = ("lon", "lat"), ("x", "y")
_LIMIT = {"lon": 180.0, "lat": 90.0}
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


class Table(NamedTuple):
    """A table of points."""

    x_P: Floats  # in `crs`: longitude or x
    y_P: Floats  # latitude or y
    crs: str  # "EPSG:4326" for degrees; empty = that of the grid
    class_P: Classes  # class index
    line_P: Indices  # line of a CSV, number of a feature, from 1
    notes: tuple[str, ...] = ()  # what was left out
    path: str = ""  # of the file
    unit: str = "lines"  # what `line_P` counts


def read_point_file(spec: LabelSpec, legend: Legend, owner: str = "store") -> Table:
    """The points of the file `spec.points`: a CSV, or by its suffix a GeoPackage, a GeoParquet or a GeoJSON.

    Args:
        spec: names the file and its column of classes (`label_column`; empty = by its name).
        legend: what a class may be.
        owner: of the grid, for messages: columns x and y are in its CRS.

    Raises:
        DataError: the file is missing or has changed, or a line or feature is not valid.
    """
    check_label_file(spec.points, spec.digests.get("points", ""))
    if Path(spec.points).suffix.casefold() in SUFFIXES:
        return read_point_features(spec, legend, owner)
    return read_points(spec.points, Path(spec.points).read_bytes(), legend, spec.label_column or CLASS, owner)


def pixels_of(table: Table, grid: PixelGrid, legend: Legend) -> tuple[Indices, Indices]:
    """Row and column (P,) of the pixel of `grid` in which each point lies; -1 where it lies outside.

    Raises:
        DataError: two points give one pixel two classes; names both lines.
    """
    x_P, y_P = (table.x_P, table.y_P) if not table.crs else transform_points(table.crs, grid.crs, table.x_P, table.y_P)
    row_P, col_P = grid.index(x_P, y_P)
    pixel_P = _numbered(grid, row_P, col_P)
    order = np.argsort(pixel_P, kind="stable")
    pixel, class_ = pixel_P[order], table.class_P[order]
    differing = np.flatnonzero((pixel[1:] == pixel[:-1]) & (class_[1:] != class_[:-1]) & (pixel[1:] >= 0))
    if differing.size:
        pair = order[differing[0] : differing[0] + 2]
        lines, names = " and ".join(map(str, table.line_P[pair])), " and ".join(legend.names[index] for index in table.class_P[pair])
        raise DataError(f"{table.path}, {table.unit} {lines}: the same pixel has the classes {names}; keep one of the two")
    return row_P, col_P


def first_in_pixel(grid: PixelGrid, row_P: Indices, col_P: Indices) -> npt.NDArray[np.bool_]:
    """Which points (P,) are the first in their pixel; False outside the grid."""
    pixel_P = _numbered(grid, row_P, col_P)
    first_P = np.zeros(len(pixel_P), bool)
    first_P[np.unique(pixel_P, return_index=True)[1]] = True
    return first_P & (pixel_P >= 0)


def doubled_note(grid: PixelGrid, row_P: Indices, col_P: Indices) -> list[str]:
    """A line about the points that lie in a pixel of another one; empty without such points."""
    twice = int((row_P >= 0).sum() - first_in_pixel(grid, row_P, col_P).sum())
    return [f"{twice:,} of its points lie in a pixel of another one of the same class and count once"] if twice else []


def read_points(path: str, content: bytes, legend: Legend, column: str = CLASS, owner: str = "store") -> Table:
    """The table of a CSV file: columns lon and lat (degrees), else x and y (the owner's CRS), and the column of the class.

    Raises:
        DataError: columns are missing, a coordinate is not a number, or the legend lacks a class; names file and line.
    """
    needs = f"it needs the columns lon and lat in degrees (or x and y in the {owner}'s CRS) and {column}: {allowed(legend)}"
    rows = read_cells(path, content, needs)
    names = rows.columns.tolist()
    pair = next((pair for pair in (DEGREES, GRID_CRS) if all(name in names for name in pair)), None)
    if pair is None or column not in names:
        missing = column if pair is not None else "lon and lat (or x and y)"
        raise DataError(f"{path}, line 1: no column {missing} among {', '.join(names)}; {needs}")
    if not len(rows):
        raise DataError(f"{path}: holds no point; {needs}")
    line_P = rows.index.to_numpy(np.int64)
    x_P, y_P = (_numbers(path, name, owner, rows.iloc[:, names.index(name)], line_P) for name in pair)
    cells = rows.iloc[:, names.index(column)]
    class_P, unknown = class_indices(cells, legend)
    if unknown:
        first = int(np.flatnonzero(class_P == NO_CLASS)[0])
        raise DataError(f"{path}, line {line_P[first]}: class {cells.iloc[first]!r} is not known; it must be {allowed(legend)}")
    return Table(x_P, y_P, "EPSG:4326" if pair == DEGREES else "", class_P, line_P, path=path)


def read_point_features(spec: LabelSpec, legend: Legend, owner: str = "store") -> Table:
    """The points of a vector file; those without a geometry or a known class are left out and counted.

    Raises:
        DataError: the file cannot be used, holds something else than points, or no point has a known class.
    """
    import shapely  # noqa: PLC0415 - a table of CSV needs none

    file = open_vectors(spec.points)
    frame, classes = classes_of(file, spec, legend)
    geometry = frame.geometry.to_numpy()
    kind = shapely.get_type_id(geometry)
    blank = shapely.is_empty(geometry) | shapely.is_missing(geometry)
    if (wrong := np.flatnonzero(~blank & (kind != shapely.GeometryType.POINT))).size:
        name = geometry[wrong[0]].geom_type
        hint = "split it: one point a feature"
        if name.endswith("Polygon"):
            hint = "field boundaries go with train --fields FILE" if owner == "store" else "give a point in each"
        raise DataError(f"{file.path}: {len(wrong):,} of its {file.count:,} features are no points, the first is a {name}; {hint}")
    keep = ~blank & (classes.class_P != NO_CLASS)
    notes = [*([f"{blank.sum():,} of its points have no geometry"] if blank.any() else []), *classes.notes]
    if not keep.any():
        raise DataError(f"{file.path}: no point can be used: {'; '.join(notes)}; a class must be {allowed(legend)}")
    geometry = geometry[keep]
    place = shapely.get_x(geometry), shapely.get_y(geometry), file.crs
    return Table(*place, classes.class_P[keep], np.flatnonzero(keep) + 1, tuple(notes), file.path, "features")


def _numbers(path: str, name: str, owner: str, cells: pd.Series[str], line_P: Indices) -> Floats:
    values = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
    limit = _LIMIT.get(name, np.inf)
    wrong = np.flatnonzero(~np.isfinite(values) | (np.abs(values) > limit))
    if wrong.size:
        allowed_ = f"a number in the units of the {owner}'s CRS" if limit == np.inf else f"degrees between -{limit:g} and {limit:g}"
        raise DataError(f"{path}, line {line_P[wrong[0]]}: {name} is {cells.iloc[wrong[0]]!r}; it must be {allowed_}")
    return np.asarray(values)


def _numbered(grid: PixelGrid, row_P: Indices, col_P: Indices) -> Indices:
    """The number of each pixel, row by row; -1 outside the grid."""
    return np.where(row_P < 0, -1, row_P * grid.width + col_P)
