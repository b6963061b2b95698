"""Reference points of a map: places and classes, and, where a sample was drawn, stratum, inclusion probability and the map's digest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from cropcam.pipeline.class_columns import CLASS
from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.csv_cells import numbers
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps.class_map import FinishedMap
from cropcam.pipeline.maps.windows import NODATA_CLASS
from cropcam.pipeline.points import read_points

STRATUM, PROBABILITY, DIGEST = "stratum", "inclusion_probability", "map_sha256"
_OPTIONAL = (STRATUM, PROBABILITY, DIGEST)
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ReferencePoints:
    """Points on pixels of the map that have a class.

    Attributes:
        path: of the file.
        row_P: row of the map's grid.
        col_P: column.
        mapped_P: class index on the map.
        truth_P: class index of the reference.
        stratum_P: name of the stratum; empty without one.
        probability_P: inclusion probability, NaN without one.
        digest: of the map from which the sample was drawn; empty where the file has none.
        notes: what was left out.
    """

    path: str
    row_P: Indices
    col_P: Indices
    mapped_P: Indices
    truth_P: Indices
    stratum_P: npt.NDArray[np.str_]
    probability_P: Floats
    digest: str
    notes: tuple[str, ...] = ()

    def only(self, keep_P: npt.NDArray[np.bool_]) -> ReferencePoints:
        """Some of the points."""
        return replace(
            self,
            row_P=self.row_P[keep_P],
            col_P=self.col_P[keep_P],
            mapped_P=self.mapped_P[keep_P],
            truth_P=self.truth_P[keep_P],
            stratum_P=self.stratum_P[keep_P],
            probability_P=self.probability_P[keep_P],
        )

    @property
    def is_sample(self) -> bool:
        """Whether every point has a stratum and an inclusion probability."""
        return bool(np.isfinite(self.probability_P).all() and (self.stratum_P != "").all())


def read_reference(path: Path, opened: FinishedMap, label_column: str = "") -> ReferencePoints:
    """The points of a CSV (lon, lat or x, y in the map's CRS), a GeoPackage, a GeoParquet or a GeoJSON in any CRS.

    Points of a sample must all lie on pixels with a class; other points that do not are left out and counted.

    Args:
        path: of the file.
        opened: the map.
        label_column: the column of the class; empty = found by its name.

    Raises:
        DataError: the file cannot be used, a class is unknown or missing, a pixel has two points, or no point lies on the map.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file of reference points; draw a sample with cropcam sample MAP --out POINTS.csv")
    read = read_points(str(path), opened.legend, column=label_column, owner="map", more=_OPTIONAL)
    cells, line_P, unit = read.more, read.line_P, read.unit
    if blank := int(np.isnan(read.x_P).sum()):
        raise DataError(f"{path}: {blank:,} of its {len(line_P):,} points have no geometry; give each its place")
    if empty := int((read.cells == "").sum()):
        raise DataError(f"{path}: {empty:,} of its {len(line_P):,} points have no class yet; fill in the column {label_column or CLASS}")
    read.check_classes(opened.legend)
    truth_P = read.class_P.astype(np.int64)
    probability_P = _probabilities(path, cells, unit, line_P)
    stratum_P = cells[STRATUM].to_numpy(str) if STRATUM in cells else np.full(len(cells), "", dtype="<U1")
    digests = sorted(set(cells[DIGEST]) - {""}) if DIGEST in cells else []
    if len(digests) > 1:
        raise DataError(f"{path}: its points were drawn from {len(digests)} maps (column {DIGEST}); give the sample of one map")
    place = transform_points(read.crs, opened.grid.crs, read.x_P, read.y_P) if read.crs else (read.x_P, read.y_P)
    row_P, col_P = opened.grid.index(*place)
    outside_P = row_P < 0
    mapped_P = np.full(len(row_P), NODATA_CLASS, np.int64)
    mapped_P[~outside_P] = opened.classes_at(row_P[~outside_P], col_P[~outside_P])
    used_P = mapped_P != NODATA_CLASS
    lost = [(outside_P, "outside the map"), (~outside_P & ~used_P, "where the map is nodata")]
    notes = [f"{where_P.sum():,} of its {len(row_P):,} points lie {where}" for where_P, where in lost if where_P.any()]
    if not used_P.any():
        step = "give the map that the sample was drawn from" if digests else "check the points' CRS"
        bounds = ", ".join(f"{value:,.6g}" for value in opened.grid.bounds_xyxy)
        raise DataError(
            f"{path}: {' and '.join(notes)}, none is left; the map reaches over {bounds} (west, south, east, north in {opened.grid.crs}): "
            f"{step}"
        )
    points = ReferencePoints(str(path), row_P, col_P, mapped_P, truth_P, stratum_P, probability_P, "".join(digests), tuple(notes))
    if points.is_sample and notes:
        raise DataError(f"{path}: {' and '.join(notes)}, but a sample is drawn from the mapped pixels; give the map it was drawn from")
    _refuse_doubled(points, used_P, line_P, unit, opened.grid.width)
    return points.only(used_P)


def _probabilities(path: Path, cells: pd.DataFrame, unit: str, line_P: Indices) -> Floats:
    if PROBABILITY not in cells:
        return np.full(len(cells), np.nan)
    values = numbers(str(path), cells[PROBABILITY], 1.0, unit)
    wrong_P = (cells[PROBABILITY] != "").to_numpy() & ~((values > 0) & (values <= 1))
    if wrong_P.any():
        first = int(np.flatnonzero(wrong_P)[0])
        raise DataError(
            f"{path}, {unit} {line_P[first]}: {PROBABILITY} is {cells[PROBABILITY].iloc[first]!r}; it must be above 0 and at most 1"
        )
    return np.asarray(values)


def _refuse_doubled(points: ReferencePoints, used_P: npt.NDArray[np.bool_], line_P: Indices, unit: str, width: int) -> None:
    pixel_P = pd.Series(np.where(used_P, points.row_P * width + points.col_P, -1 - np.arange(len(used_P))))
    if (twice_P := pixel_P.duplicated(keep=False)).any():
        lines = line_P[(pixel_P == pixel_P[twice_P].iloc[0]).to_numpy()][:2]
        more = int(pixel_P.duplicated().sum())
        raise DataError(
            f"{points.path}, {unit}s {lines[0]} and {lines[1]}: two points in one pixel ({more:,} such in all); keep one of each"
        )
