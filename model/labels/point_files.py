"""Points as weak labels, and the pixels of a grid in which they lie."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cropcam.model.labels.derive import Classes
from cropcam.model.labels.files import check_label_file
from cropcam.model.labels.point_splits import COLUMN, NONE, Splits, splits_of
from cropcam.model.labels.weak_labels import LabelSpec
from cropcam.pipeline.class_names import NO_CLASS, allowed, known_names, unknown_line
from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.points import Floats, Indices, Points, read_points
from cropcam.pipeline.store.schema import SPLITS


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
    split_P: Splits | None = None  # of a file with a column `split`

    def of_splits(self, names: Sequence[str]) -> Table:
        """The points of these splits; all of them where the file has no column `split`."""
        if self.split_P is None:
            return self
        keep_P = np.isin(self.split_P, [SPLITS.index(name) for name in names])
        arrays = {name: getattr(self, name)[keep_P] for name in ("x_P", "y_P", "class_P", "line_P", "split_P")}
        return self._replace(**arrays)


def read_point_file(spec: LabelSpec, legend: Legend, owner: str = "store") -> Table:
    """The points of the file `spec.points`: a CSV, or by its suffix a GeoPackage, a GeoParquet or a GeoJSON.

    A line of a CSV must be whole. Features without a geometry or a known class are left out and counted.

    Args:
        spec: names the file, its column of classes (`label_column`; empty = by its name), and the splits of which points are read (`splits`; empty = all),
            where the file has a column `split`.
        legend: what a class may be.
        owner: of the grid, for messages: columns x and y are in its CRS.

    Raises:
        DataError: the file is missing or has changed, a line is not valid, a feature is no point, or no point has a known class.
    """
    digest = check_label_file(spec.points, spec.digests.get("points", ""))
    return _read(spec.points, spec.label_column, owner, digest, legend).of_splits(spec.splits or SPLITS)


@lru_cache(maxsize=1)  # every split is of the same file
def _read(path: str, column: str, owner: str, _digest: str, legend: Legend) -> Table:
    polygons = "field boundaries go with train --fields FILE" if owner == "store" else ""
    return _table(read_points(path, legend, column=column, owner=owner, polygons=polygons, more=(COLUMN,)), legend)


def forget_points() -> None:
    """Free the memory of the points that were read last."""
    _read.cache_clear()


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


def _table(points: Points, legend: Legend) -> Table:
    """The points that can be used."""
    units, place = f"{points.unit}s", (points.x_P, points.y_P)
    split_P = splits_of(points.more[COLUMN], points.path, units, points.line_P) if COLUMN in points.more else None
    if points.unit == "line":
        points.check_classes(legend)
        return Table(*place, points.crs, points.class_P, points.line_P, _unsplit(split_P), points.path, units, split_P)
    blank_P = np.isnan(points.x_P)
    keep_P = ~blank_P & (points.class_P != NO_CLASS)
    notes = [f"{blank_P.sum():,} of its points have no geometry"] if blank_P.any() else []
    if points.unknown:
        notes.append(unknown_line("of its features", points.cells, points.unknown, known_names(legend)))
    if not keep_P.any():
        raise DataError(f"{points.path}: no point can be used: {'; '.join(notes)}; a class must be {allowed(legend)}")
    x_P, y_P = (values[keep_P] for values in place)
    class_P, line_P = points.class_P[keep_P], points.line_P[keep_P]
    split_P = None if split_P is None else split_P[keep_P]
    return Table(x_P, y_P, points.crs, class_P, line_P, (*notes, *_unsplit(split_P)), points.path, units, split_P)


def _unsplit(split_P: Splits | None) -> tuple[str, ...]:
    """A line about the points that have no split; empty without such points."""
    count = 0 if split_P is None else int((split_P == NONE).sum())
    return (f"{count:,} of its points have no split and are left out",) if count else ()


def _numbered(grid: PixelGrid, row_P: Indices, col_P: Indices) -> Indices:
    """The number of each pixel, row by row; -1 outside the grid."""
    return np.where(row_P < 0, -1, row_P * grid.width + col_P)
