"""Reference points of a map: places and classes, and, where a sample was drawn, stratum, inclusion probability and the map's digest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cropcam.pipeline.class_names import NO_CLASS, allowed, class_indices, texts
from cropcam.pipeline.csv_cells import read_cells
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import transform_points
from cropcam.pipeline.maps.class_map import FinishedMap
from cropcam.pipeline.maps.windows import NODATA_CLASS
from cropcam.pipeline.vectors import SUFFIXES, open_vectors

CLASS, STRATUM, PROBABILITY, DIGEST = "class", "stratum", "inclusion_probability", "map_sha256"
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


def read_reference(path: Path, opened: FinishedMap) -> ReferencePoints:
    """The points of a CSV (lon, lat or x, y in the map's CRS), a GeoPackage, a GeoParquet or a GeoJSON in any CRS.

    Points of a sample must all lie on pixels with a class; other points that do not are left out and counted.

    Raises:
        DataError: the file cannot be used, a class is unknown or missing, a pixel has two points, or no point lies on the map.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file of reference points; draw a sample with cropcam sample MAP --out POINTS.csv")
    cells, x_P, y_P, crs, unit = _features(path) if path.suffix.casefold() in SUFFIXES else _lines(path, opened)
    line_P = cells.index.to_numpy(np.int64)
    truth_P = _classes(path, cells[CLASS], opened, unit, line_P)
    probability_P = _probabilities(path, cells, unit, line_P)
    stratum_P = cells[STRATUM].to_numpy(str) if STRATUM in cells else np.full(len(cells), "", dtype="<U1")
    digests = sorted(set(cells[DIGEST]) - {""}) if DIGEST in cells else []
    if len(digests) > 1:
        raise DataError(f"{path}: its points were drawn from {len(digests)} maps (column {DIGEST}); give the sample of one map")
    row_P, col_P = opened.grid.index(*(transform_points(crs, opened.grid.crs, x_P, y_P) if crs else (x_P, y_P)))
    outside_P = row_P < 0
    mapped_P = np.full(len(row_P), NODATA_CLASS, np.int64)
    mapped_P[~outside_P] = opened.classes_at(row_P[~outside_P], col_P[~outside_P])
    used_P = mapped_P != NODATA_CLASS
    lost = [(outside_P, "outside the map"), (~outside_P & ~used_P, "where the map is nodata")]
    notes = [f"{where_P.sum():,} of its {len(row_P):,} points lie {where}" for where_P, where in lost if where_P.any()]
    if not used_P.any():
        bounds = ", ".join(f"{value:,.6g}" for value in opened.grid.bounds_xyxy)
        raise DataError(
            f"{path}: {' and '.join(notes)}, none is left; the map reaches over {bounds} (west, south, east, north in {opened.grid.crs}): "
            "check the points' CRS"
        )
    points = ReferencePoints(str(path), row_P, col_P, mapped_P, truth_P, stratum_P, probability_P, "".join(digests), tuple(notes))
    if points.is_sample and notes:
        raise DataError(f"{path}: {' and '.join(notes)}, but a sample is drawn from the mapped pixels; give the map it was drawn from")
    _refuse_doubled(points, used_P, line_P, unit, opened.grid.width)
    return points.only(used_P)


def _lines(path: Path, opened: FinishedMap) -> tuple[pd.DataFrame, Floats, Floats, str, str]:
    needs = f"it needs the columns lon and lat in degrees (or x and y in {opened.grid.crs}) and {CLASS}"
    cells = read_cells(str(path), path.read_bytes(), needs)
    names = [str(name) for name in cells.columns]
    pair = next((pair for pair in (("lon", "lat"), ("x", "y")) if all(name in names for name in pair)), None)
    missing = "lon and lat" if pair is None else CLASS if CLASS not in names else ""
    if pair is None or missing:
        raise DataError(f"{path}, line 1: no column {missing} among {', '.join(names)}; {needs}")
    wanted = [*pair, CLASS, *(name for name in _OPTIONAL if name in names)]
    if twice := [name for name in wanted if names.count(name) > 1]:
        raise DataError(f"{path}, line 1: the column {twice[0]!r} is there twice; keep one")
    if not len(cells):
        raise DataError(f"{path}: holds no point; {needs}")
    x_P, y_P = (pd.to_numeric(cells[name], errors="coerce").to_numpy(np.float64) for name in pair)
    degrees = pair == ("lon", "lat")
    wrong_P = ~(np.isfinite(x_P) & np.isfinite(y_P)) | (degrees & ((np.abs(x_P) > 180) | (np.abs(y_P) > 90)))
    if wrong_P.any():
        first = np.flatnonzero(wrong_P)[0]
        found = ", ".join(repr(cells[name].iloc[first]) for name in pair)
        unit = "degrees" if degrees else f"numbers in the units of {opened.grid.crs}"
        raise DataError(f"{path}, line {cells.index[first]}: {' and '.join(pair)} are {found}; they must be {unit}")
    return cells, x_P, y_P, "EPSG:4326" if degrees else "", "line"


def _features(path: Path) -> tuple[pd.DataFrame, Floats, Floats, str, str]:
    file = open_vectors(path)
    frame = file.read([file.column(CLASS), *(name for name in _OPTIONAL if name in file.columns)])
    geometry = frame.geometry.to_numpy()
    wrong = np.flatnonzero((shapely.get_type_id(geometry) != shapely.GeometryType.POINT) | shapely.is_empty(geometry))
    if wrong.size:
        raise DataError(
            f"{path}: {len(wrong):,} of its {file.count:,} features are no points, the first is feature {wrong[0] + 1}; give points"
        )
    cells = pd.DataFrame({name: texts(frame[name]) for name in frame.columns if name != frame.geometry.name})
    cells.index = cells.index + 1
    return cells, shapely.get_x(geometry), shapely.get_y(geometry), file.crs, "feature"


def _classes(path: Path, cells: pd.Series[str], opened: FinishedMap, unit: str, line_P: Indices) -> Indices:
    if empty := int((cells == "").sum()):
        raise DataError(f"{path}: {empty:,} of its {len(cells):,} points have no class yet; fill in the column {CLASS}")
    truth_P, unknown = class_indices(cells, opened.legend)
    if unknown:
        first = int(np.flatnonzero(truth_P == NO_CLASS)[0])
        raise DataError(f"{path}, {unit} {line_P[first]}: class {cells.iloc[first]!r} is not known; it must be {allowed(opened.legend)}")
    return truth_P.astype(np.int64)


def _probabilities(path: Path, cells: pd.DataFrame, unit: str, line_P: Indices) -> Floats:
    if PROBABILITY not in cells:
        return np.full(len(cells), np.nan)
    values = pd.to_numeric(cells[PROBABILITY], errors="coerce").to_numpy(np.float64)
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
