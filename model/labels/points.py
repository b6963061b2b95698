"""A file of labelled points: labels of single pixels for the patches that hold them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from cropcam.model.labels.class_names import NO_CLASS, allowed, class_indices
from cropcam.model.labels.crop_columns import classes_of
from cropcam.model.labels.derive import Classes
from cropcam.model.labels.files import check_label_file
from cropcam.model.labels.tables import CLASS, read_cells
from cropcam.model.labels.weak_labels import LabelSpec, WeakLabels
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PatchGrid, transform_points
from cropcam.pipeline.legend import UNLABELLED, Legend
from cropcam.pipeline.vectors import SUFFIXES, open_vectors

DEGREES, STORE_CRS = ("lon", "lat"), ("x", "y")
_LIMIT = {"lon": 180.0, "lat": 90.0}
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


class Table(NamedTuple):
    """A table of points."""

    x_P: Floats  # in `crs`: longitude or x
    y_P: Floats  # latitude or y
    crs: str  # "EPSG:4326" for degrees; empty = the store's
    class_P: Classes  # class index
    line_P: Indices  # line of a CSV, number of a feature, from 1
    notes: tuple[str, ...] = ()  # what was left out


def point_labels(spec: LabelSpec, legend: Legend, grid: PatchGrid, place_N2: npt.NDArray[np.int32]) -> WeakLabels:
    """The points of a file as pixel labels of the patches that hold them. Arguments as of `labels.areas.area_labels`.

    Raises:
        DataError: the file is missing or has changed, a line is not valid, or two points give one pixel two classes.
    """
    path = spec.points
    check_label_file(path, spec.digests.get("points", ""))
    if Path(path).suffix.casefold() not in SUFFIXES:
        table, what = read_points(path, Path(path).read_bytes(), legend, spec.label_column or CLASS), "lines"
    else:
        table, what = read_point_features(spec, legend), "features"
    crs = table.crs or grid.pixels.crs
    x_P, y_P = (table.x_P, table.y_P) if not table.crs else transform_points(crs, grid.pixels.crs, table.x_P, table.y_P)
    row_P, col_P = grid.pixels.index(x_P, y_P)
    pixel_P = np.where(row_P < 0, -1, row_P * grid.pixels.width + col_P)
    _refuse_contradictions(path, what, table, pixel_P, legend)
    inside_P, *place = places(grid, place_N2, row_P, col_P)
    pixel_NHW = np.full((len(place_N2), grid.size_px, grid.size_px), UNLABELLED, np.uint8)
    pixel_NHW[tuple(place)] = table.class_P[inside_P]
    return WeakLabels("points", pixel_NHW=pixel_NHW, n_unmatched=int((~inside_P).sum()), notes=(*table.notes, *_doubled(pixel_P)))


def places(
    grid: PatchGrid, place_N2: npt.NDArray[np.int32], row_P: Indices, col_P: Indices
) -> tuple[npt.NDArray[np.bool_], Indices, Indices, Indices]:
    """Which pixels of the grid (row, col; -1 = outside) lie in one of the patches; and of those the patch, and row and column in it."""
    number = np.full((grid.rows + 1, grid.columns + 1), -1)  # last row and column: edge pixels that fill no patch
    number[place_N2[:, 0], place_N2[:, 1]] = np.arange(len(place_N2))
    patch_P = np.where(row_P < 0, -1, number[row_P // grid.size_px, col_P // grid.size_px])
    inside_P = patch_P >= 0
    return inside_P, patch_P[inside_P], row_P[inside_P] % grid.size_px, col_P[inside_P] % grid.size_px


def read_points(path: str, content: bytes, legend: Legend, column: str = CLASS) -> Table:
    """The table of a CSV file: columns lon and lat (degrees), else x and y (the store's CRS), and the column of the class.

    Raises:
        DataError: columns are missing, a coordinate is not a number, or the legend lacks a class; names file and line.
    """
    needs = f"it needs the columns lon and lat in degrees (or x and y in the store's CRS) and {column}: {allowed(legend)}"
    rows = read_cells(path, content, needs)
    names = rows.columns.tolist()
    pair = next((pair for pair in (DEGREES, STORE_CRS) if all(name in names for name in pair)), None)
    if pair is None or column not in names:
        missing = column if pair is not None else "lon and lat (or x and y)"
        raise DataError(f"{path}, line 1: no column {missing} among {', '.join(names)}; {needs}")
    if not len(rows):
        raise DataError(f"{path}: holds no point; {needs}")
    line_P = rows.index.to_numpy(np.int64)
    x_P, y_P = (_numbers(path, name, rows.iloc[:, names.index(name)], line_P) for name in pair)
    cells = rows.iloc[:, names.index(column)]
    class_P, unknown = class_indices(cells, legend)
    if unknown:
        first = int(np.flatnonzero(class_P == NO_CLASS)[0])
        raise DataError(f"{path}, line {line_P[first]}: class {cells.iloc[first]!r} is not known; it must be {allowed(legend)}")
    return Table(x_P, y_P, "EPSG:4326" if pair == DEGREES else "", class_P, line_P)


def read_point_features(spec: LabelSpec, legend: Legend) -> Table:
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
        hint = "field boundaries go with --fields FILE" if name.endswith("Polygon") else "split it: one point a feature"
        raise DataError(f"{file.path}: {len(wrong):,} of its {file.count:,} features are no points, the first is a {name}; {hint}")
    keep = ~blank & (classes.class_P != NO_CLASS)
    notes = [*([f"{blank.sum():,} of its points have no geometry"] if blank.any() else []), *classes.notes]
    if not keep.any():
        raise DataError(f"{file.path}: no point can be used: {'; '.join(notes)}; a class must be {allowed(legend)}")
    geometry = geometry[keep]
    return Table(shapely.get_x(geometry), shapely.get_y(geometry), file.crs, classes.class_P[keep], np.flatnonzero(keep) + 1, tuple(notes))


def _numbers(path: str, name: str, cells: pd.Series[str], line_P: Indices) -> Floats:
    values = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
    limit = _LIMIT.get(name, np.inf)
    wrong = np.flatnonzero(~np.isfinite(values) | (np.abs(values) > limit))
    if wrong.size:
        allowed_ = "a number in the units of the store's CRS" if limit == np.inf else f"degrees between -{limit:g} and {limit:g}"
        raise DataError(f"{path}, line {line_P[wrong[0]]}: {name} is {cells.iloc[wrong[0]]!r}; it must be {allowed_}")
    return np.asarray(values)


def _doubled(pixel_P: Indices) -> list[str]:
    inside = pixel_P[pixel_P >= 0]
    twice = len(inside) - len(np.unique(inside))
    return [f"{twice:,} of its points lie in a pixel of another one of the same class and count once"] if twice else []


def _refuse_contradictions(path: str, what: str, table: Table, pixel_P: Indices, legend: Legend) -> None:
    order = np.argsort(pixel_P, kind="stable")
    pixel, class_ = pixel_P[order], table.class_P[order]
    differing = np.flatnonzero((pixel[1:] == pixel[:-1]) & (class_[1:] != class_[:-1]) & (pixel[1:] >= 0))
    if differing.size:
        pair = order[differing[0] : differing[0] + 2]
        lines, names = " and ".join(map(str, table.line_P[pair])), " and ".join(legend.names[index] for index in table.class_P[pair])
        raise DataError(f"{path}, {what} {lines}: the same pixel has the classes {names}; keep one of the two")
