"""A finished class map against independent points: accuracy, F1, IoU and the confusion matrix, each with an interval.

Points near each other share fields, weather and errors. So the bootstrap draws cells of 10 km with all their points, as
`cropcam.model.evaluation.bootstrap` draws blocks of patches. The figures describe these points; they are those of the
map's area only where the points were drawn from it at random, all places alike (Olofsson et al. 2014, Remote Sensing of
Environment 148, 42-57; Wadoux et al. 2021, Ecological Modelling 457, 109692).
Axis suffixes: P point, B cell with a point, K class.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cropcam.model.evaluation import bootstrap, results
from cropcam.model.evaluation.bootstrap import Bootstrap
from cropcam.model.evaluation.metrics import Counts, Floats, confusions
from cropcam.model.evaluation.notes import join_words
from cropcam.model.labels.files import resolve_label_file
from cropcam.model.labels.point_files import doubled_note, first_in_pixel, pixels_of, read_point_file
from cropcam.model.labels.weak_labels import LabelSpec
from cropcam.pipeline.crs import transform_bounds, transform_points
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import METRES_PER_DEGREE
from cropcam.pipeline.maps.class_map import FinishedMap, open_map
from cropcam.pipeline.maps.windows import NODATA_CLASS
from cropcam.pipeline.points import Indices
from cropcam.pipeline.runtime.outputs import json_object

CELL_KM = 10.0
FEW_POINTS = 10
NOT_BY_DESIGN = (
    "These figures describe the points. They are estimates for the map's area only if the points were drawn from it at random, "
    "each place with the same chance."
)


def evaluate_map(path: Path, points: Path, label_column: str = "") -> dict[str, Any]:
    """Score a class map that `cropcam map` wrote against a file of points. Nothing is written.

    Args:
        path: the map.
        points: CSV (lon, lat or x, y in the map's CRS, and a class), GeoPackage, GeoParquet or GeoJSON. A class is the name
            of one of the map's classes, a code or a name of its legend; of a map without the tag `legend` the name alone.
        label_column: the column of the class; empty = found by its name.

    Returns:
        JSON values: `map` and `points` (what was compared and what was left out), the metrics of
        `segmentation.methods.*` of metrics.json, `majority_accuracy`, `majority`, and `intervals`.

    Raises:
        ConfigError: the file of points cannot be read.
        DataError: no map of cropcam, points that are not valid or contradict each other, or none of them on a mapped pixel.
    """
    opened = open_map(path)
    file, digest = resolve_label_file(str(points), "--points")
    legend, names = opened.legend, opened.legend.names
    table = read_point_file(LabelSpec(labels="points", points=str(points), label_column=label_column), legend, owner="map")
    row_P, col_P = pixels_of(table, opened.grid, legend)
    single_P = first_in_pixel(opened.grid, row_P, col_P)
    if not single_P.any():
        raise DataError(f"{points}: none of its {len(row_P):,} points lies in the map {path}, {_extent(opened)}; give points of that area")
    mapped_P = np.full(len(row_P), NODATA_CLASS, np.uint8)
    mapped_P[single_P] = opened.classes_at(row_P[single_P], col_P[single_P])
    used_P = mapped_P != NODATA_CLASS
    if not used_P.any():
        raise DataError(
            f"{points}: its {single_P.sum():,} points in the map {path} all lie where it is nodata; give points of mapped places"
        )
    cell_P = cells(*_degrees(opened, row_P[used_P], col_P[used_P]))
    truth_P, blocks = table.class_P[used_P], int(cell_P.max()) + 1
    confusion_BKK = confusions(cell_P, truth_P, mapped_P[used_P], blocks, len(names))
    drawn = Bootstrap.of(blocks)
    outside_P = row_P < 0
    return {
        "map": {"path": str(path), "crs": opened.grid.crs, "classes": list(names), "tags": dict(opened.tags)},
        "points": {
            "path": file,
            "digest": digest,
            "read": len(row_P),
            "used": int(used_P.sum()),
            "outside": int(outside_P.sum()),
            "nodata": int((single_P & ~used_P).sum()),
            "doubled": int((~outside_P & ~single_P).sum()),
            "per_class": dict(zip(names, np.bincount(truth_P, minlength=len(names)).tolist(), strict=True)),
            "notes": [*table.notes, *doubled_note(opened.grid, row_P, col_P)],
        },
        **results.method(confusion_BKK, names, drawn),
        **results.majority(drawn.sums(confusion_BKK), names),
        "intervals": bootstrap.described(
            "percentile bootstrap over cells of points", "cell", blocks, {"cell_km": CELL_KM}, "give points that are farther apart"
        ),
    }


def is_scores(path: Path) -> bool:
    """Whether a file holds the result of `evaluate_map`."""
    return {"map", "points", "intervals"} <= json_object(path).keys()


def cells(lon_P: Floats, lat_P: Floats) -> Counts:
    """The number (P,) of the cell of 10 x 10 km of each point, from 0, only cells with a point counted.

    Cells lie in rows of equal latitude. The columns of a row are as wide as its middle latitude makes them.

    Args:
        lon_P: longitude in degrees.
        lat_P: latitude in degrees.
    """
    height = 1000 * CELL_KM / METRES_PER_DEGREE
    row_P = np.floor(lat_P / height)
    width_P = height / np.cos(np.radians(np.clip((row_P + 0.5) * height, -89.0, 89.0)))
    cell_P2 = np.stack([row_P, np.floor(lon_P / width_P)], axis=1)
    return np.unique(cell_P2, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def point_notes(scores: Mapping[str, Any]) -> list[str]:
    """What limits the result of `evaluate_map`, a sentence each; the last is about what such figures are estimates of."""
    points, note = scores["points"], scores["intervals"].get("note")
    lost = [
        f"{points[key]:,} of {points['read']:,} points lie {where} and are not scored."
        for key, where in (("outside", "outside the map"), ("nodata", "where the map is nodata"))
        if points[key]
    ]
    absent = [name for name, count in points["per_class"].items() if not count]
    few = [f"{name} ({count})" for name, count in points["per_class"].items() if 0 < count < FEW_POINTS]
    return [
        *(f"{points['path']}: {line}." for line in points["notes"]),
        *lost,
        *(
            [f"No point has the class {join_words(absent)}: accuracies, F1 and IoU of it are undefined and no part of the means."]
            if absent
            else []
        ),
        *([f"Fewer than {FEW_POINTS} points have the class {join_words(few)}."] if few else []),
        *([f"{note[:1].upper()}{note[1:]}."] if note else []),
        NOT_BY_DESIGN,
    ]


def _degrees(opened: FinishedMap, row_P: Indices, col_P: Indices) -> tuple[Floats, Floats]:
    """Longitude and latitude of the centres of pixels."""
    x_W, y_H = opened.grid.centres()
    return transform_points(opened.grid.crs, "EPSG:4326", x_W[col_P], y_H[row_P])


def _extent(opened: FinishedMap) -> str:
    west, south, east, north = transform_bounds(opened.grid.crs, "EPSG:4326", opened.grid.bounds_xyxy)
    return f"longitude {west:.4f} to {east:.4f}, latitude {south:.4f} to {north:.4f}"
