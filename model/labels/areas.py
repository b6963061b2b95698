"""Class areas per polygon, as in county statistics: labels of proportions for the patches in each polygon."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cropcam.model.labels.derive import Shares
from cropcam.model.labels.files import check_label_file
from cropcam.model.labels.tables import joined_table
from cropcam.model.labels.weak_labels import LabelSpec, WeakLabels
from cropcam.pipeline.class_names import class_index, key, texts
from cropcam.pipeline.crs import is_geographic, transform_points
from cropcam.pipeline.csv_cells import number as as_number
from cropcam.pipeline.csv_cells import numbers
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PatchGrid
from cropcam.pipeline.legend import BACKGROUND, Legend
from cropcam.pipeline.longitudes import within_half_turn
from cropcam.pipeline.vectors import VectorFile, names, open_vectors

TOTAL = "total"
TOLERANCE = 0.01  # of the total: areas in statistics are rounded


class Areas(NamedTuple):
    """Polygons with class proportions."""

    names: list[str]  # of each feature, for a message
    polygon_F: npt.NDArray[np.object_]  # in `crs`
    crs: str
    share_FK: Shares
    row_F: npt.NDArray[np.int64]  # features of one line of a table have one number
    notes: tuple[str, ...]  # what was left out


def area_labels(spec: LabelSpec, legend: Legend, grid: PatchGrid, place_N2: npt.NDArray[np.int32]) -> WeakLabels:
    """The proportions of the polygon that holds each patch's centre. A patch in no polygon has no label and is a bag of its own.

    `spec` names the files and their sha256 (hex; one without is not checked), `place_N2` is the row and column of each patch on the patch grid.

    Raises:
        DataError: a file is missing or has changed, the areas of a feature are not possible, or two polygons hold the same patch.
    """
    path = spec.areas
    areas = read_areas(spec, legend)
    a, _, c, _, e, f = grid.pixels.transform
    x_N, y_N = c + a * grid.size_px * (place_N2[:, 1] + 0.5), f + e * grid.size_px * (place_N2[:, 0] + 0.5)
    centre_N = shapely.points(*transform_points(grid.pixels.crs, areas.crs, x_N, y_N))
    patch, feature = shapely.STRtree(areas.polygon_F).query(centre_N, predicate="within")
    order = np.lexsort((feature, patch))
    patch, feature = patch[order], feature[order]
    if (twice := np.flatnonzero(patch[1:] == patch[:-1])).size:
        first = twice[0]
        raise DataError(
            f"{path}: {areas.names[feature[first]]} and {areas.names[feature[first + 1]]} overlap: "
            f"patch {tuple(place_N2[patch[first]].tolist())} lies in both; keep one of them"
        )
    image_NK = np.full((len(place_N2), len(legend)), np.nan, np.float32)
    image_NK[patch] = areas.share_FK[feature]
    bag_N = len(areas.names) + np.arange(len(place_N2))
    bag_N[patch] = areas.row_F[feature]
    return WeakLabels("shares", image_NK=image_NK, bag_N=bag_N, n_unmatched=len(place_N2) - len(patch), notes=areas.notes)


def read_areas(spec: LabelSpec, legend: Legend) -> Areas:
    """The polygons of a vector file with the areas that stand in its columns, or in a table that is joined to it.

    A column has the name of a class, or is a code or name of the legend; columns of one class add up.

    Raises:
        DataError: no polygons, or areas that are missing, negative or do not add up; names the feature.
    """
    path = spec.areas
    check_label_file(path, spec.digests.get("areas", ""))
    file = open_vectors(path)
    frame = file.read(file.columns)
    rows = frame.drop(columns=frame.geometry.name)
    labels = [f"feature {number}{_name(row)}" for number, row in enumerate(rows.to_dict("records"), 1)]
    used, row_F, notes = np.arange(len(rows)), np.arange(len(rows)), list[str]()
    values, joined_to = rows, path
    if spec.label_table:
        values, used, row_F, notes = _joined(spec, file, rows)
        joined_to = spec.label_table
    columns = _class_columns(list(map(str, values.columns)), legend)
    if spec.label_table:
        for name in columns:
            number_R = numbers(joined_to, values[name], unit="line of")
            values[name] = np.where(np.isfinite(number_R), number_R, values[name])
    if spec.label_table and (rest := [str(name) for name in values.columns if name not in columns]):
        notes.append(f"columns of {Path(joined_to).name} that are no class and are not used: {names(rest)}")
    blank_F = np.array([shape is None or shape.is_empty for shape in frame.geometry], bool)
    if lost := int(blank_F[used].sum()):
        notes.append(f"{lost:,} of its {len(used):,} polygons have no geometry")
        used, row_F = used[~blank_F[used]], row_F[~blank_F[used]]
    if not len(used):
        raise DataError(f"{path}: {'; '.join(notes)}; give polygons with areas")
    polygons = [_polygon(f"{path}, {labels[each]}", frame.geometry.iloc[each], is_geographic(file.crs)) for each in used]
    records = values.to_dict("records")
    shares = [
        _proportions(f"{joined_to}, {labels[each]}", _of_classes(f"{joined_to}, {labels[each]}", records[row], columns), legend)
        for each, row in zip(used, row_F, strict=True)
    ]
    share_FK = np.array(shares, np.float32).reshape(-1, len(legend))
    polygon_F = within_half_turn(np.array(polygons, object), file.crs)
    return Areas([labels[each] for each in used], polygon_F, file.crs, share_FK, row_F, tuple(notes))


def _joined(
    spec: LabelSpec, file: VectorFile, rows: pd.DataFrame
) -> tuple[pd.DataFrame, npt.NDArray[np.int64], npt.NDArray[np.int64], list[str]]:
    """The table of areas, the features that it has a line for, the line (from 0) of each, and what has no partner."""
    check_label_file(spec.label_table, spec.digests.get("label_table", ""))
    table, column = joined_table(spec.label_table, file, spec.label_column)
    line_F = table.index.get_indexer(pd.Index(texts(rows[column]).map(key)))
    used = np.flatnonzero(line_F >= 0)
    if not used.size:
        raise DataError(
            f"{spec.label_table}: no line has a {column} of {file.path}: "
            f"{names(list(map(str, table.index)), most=3)} against {names(texts(rows[column]).tolist(), most=3)}; join them by another column"
        )
    lost, alone = len(table) - len(np.unique(line_F[used])), len(rows) - len(used)
    notes = [f"{lost:,} of the {len(table):,} lines of {Path(spec.label_table).name} have no polygon"] * (lost > 0)
    notes += [f"{alone:,} of its {len(rows):,} polygons have no line in {Path(spec.label_table).name}"] * (alone > 0)
    return table, used, line_F[used], notes


def _class_columns(columns: list[str], legend: Legend) -> dict[str, str]:
    """The class, or the total, whose area stands in a column; by column. Where every class has a column of its name, only these count."""
    own = {name: name for name in (*legend.names, TOTAL) if name in columns}
    if all(name in own for name in legend.names if name != BACKGROUND):
        return own
    coded = {name: class_index(name, legend) for name in columns if name not in own}
    return own | {name: legend.names[index] for name, index in coded.items() if index is not None}


def _of_classes(where: str, record: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, float]:
    """The areas of a feature by class (or total); a class without a value is left out."""
    area: dict[str, float] = {}
    for column, name in columns.items():
        value = record[column]
        if value is not None and value != "" and not (isinstance(value, float) and math.isnan(value)):
            area[name] = area.get(name, 0.0) + _area(where, column, value)
    return area


def _name(record: Mapping[str, Any]) -> str:
    name = record.get("name", record.get("id"))
    return "" if pd.isna(name) else f" ({name})"


def _polygon(where: str, polygon: shapely.Geometry | None, degrees: bool) -> shapely.Geometry:
    if polygon is None:
        raise DataError(f"{where}: no polygon in it; its geometry must be a Polygon or a MultiPolygon")
    if polygon.geom_type not in ("Polygon", "MultiPolygon"):
        raise DataError(f"{where}: its geometry is a {polygon.geom_type}; it must be a Polygon or a MultiPolygon")
    if polygon.is_empty or not polygon.is_valid:
        raise DataError(f"{where}: its polygon is not valid ({shapely.is_valid_reason(polygon)}); repair it")
    west, south, east, north = polygon.bounds
    if degrees and not (-360 <= west <= east <= 360 and -90 <= south <= north <= 90):
        raise DataError(f"{where}: its coordinates are not degrees, as its coordinate reference system has; write it with its own")
    return polygon


def _proportions(where: str, area: dict[str, float], legend: Legend) -> list[float]:
    """Proportions in the legend's order; background is given, or the rest up to the total."""
    crops = [name for name in legend.names if name != BACKGROUND]
    if missing := [name for name in crops if name not in area]:
        raise DataError(f"{where}: no area of {', '.join(missing)}; every class but background needs an area (0 where there is none)")
    total = None if TOTAL in crops else area.pop(TOTAL, None)
    if total is None and BACKGROUND not in area:
        raise DataError(f"{where}: neither {BACKGROUND} nor {TOTAL}: the area of {BACKGROUND} is not known; add one of the two")
    known = sum(area.values())
    if total is not None and BACKGROUND in area and known < total * (1 - TOLERANCE):
        raise DataError(f"{where}: the areas add up to {known:g}, less than the total of {total:g}")
    if total is not None and known > total * (1 + TOLERANCE):
        raise DataError(f"{where}: the areas add up to {known:g}, more than the total of {total:g}")
    area.setdefault(BACKGROUND, max((total or 0.0) - known, 0.0))
    whole = sum(area.values())
    if not whole:
        raise DataError(f"{where}: every area is 0; leave the feature out")
    return [area[name] / whole for name in legend.names]


def _area(where: str, name: str, value: Any) -> float:  # noqa: ANN401 - a cell
    try:
        number = math.nan if isinstance(value, bool) else as_number(value) if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise DataError(f"{where}: {name} is {value!r}; an area must be a number of at least 0")
    return number
