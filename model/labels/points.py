"""A file of labelled points: labels of single pixels for the patches that hold them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cropcam.model.labels.point_files import doubled_note, pixels_of, read_point_file
from cropcam.model.labels.weak_labels import LabelSpec, WeakLabels
from cropcam.pipeline.grid import PatchGrid
from cropcam.pipeline.legend import UNLABELLED, Legend
from cropcam.pipeline.points import Indices


def point_labels(spec: LabelSpec, legend: Legend, grid: PatchGrid, place_N2: npt.NDArray[np.int32]) -> WeakLabels:
    """The points of a file as pixel labels of the patches that hold them. Arguments as of `labels.areas.area_labels`.

    Raises:
        DataError: the file is missing or has changed, a line is not valid, or two points give one pixel two classes.
    """
    table = read_point_file(spec, legend)
    row_P, col_P = pixels_of(table, grid.pixels, legend)
    inside_P, *place = places(grid, place_N2, row_P, col_P)
    pixel_NHW = np.full((len(place_N2), grid.size_px, grid.size_px), UNLABELLED, np.uint8)
    pixel_NHW[tuple(place)] = table.class_P[inside_P]
    notes = (*table.notes, *doubled_note(grid.pixels, row_P, col_P))
    return WeakLabels("points", pixel_NHW=pixel_NHW, n_unmatched=int((~inside_P).sum()), notes=notes)


def has_splits(spec: LabelSpec, legend: Legend) -> bool:
    """Whether labels come from a file of points with a column `split`.

    Raises:
        DataError: the file is not valid.
    """
    return bool(spec.points) and read_point_file(spec, legend).split_P is not None


def patches_with_points(spec: LabelSpec, legend: Legend, grid: PatchGrid, place_N2: npt.NDArray[np.int32]) -> Indices | None:
    """Which of the patches hold points of `spec.splits`, ascending; None where the file has no column `split`. Arguments as of `point_labels`.

    Raises:
        DataError: as `point_labels`.
    """
    table = read_point_file(spec, legend)
    if table.split_P is None:
        return None
    _, patch_P, _, _ = places(grid, place_N2, *pixels_of(table, grid.pixels, legend))
    return np.unique(patch_P)


def places(
    grid: PatchGrid, place_N2: npt.NDArray[np.int32], row_P: Indices, col_P: Indices
) -> tuple[npt.NDArray[np.bool_], Indices, Indices, Indices]:
    """Which pixels of the grid (row, col; -1 = outside) lie in one of the patches; and of those the patch, and row and column in it."""
    number = np.full((grid.rows + 1, grid.columns + 1), -1)  # last row and column: edge pixels that fill no patch
    number[place_N2[:, 0], place_N2[:, 1]] = np.arange(len(place_N2))
    patch_P = np.where(row_P < 0, -1, number[row_P // grid.size_px, col_P // grid.size_px])
    inside_P = patch_P >= 0
    return inside_P, patch_P[inside_P], row_P[inside_P] % grid.size_px, col_P[inside_P] % grid.size_px
