"""Class areas per polygon, as in county statistics: labels of proportions for the patches in each polygon."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from cropcam.model.labels.derive import Shares
from cropcam.model.labels.files import read_label_file
from cropcam.model.labels.weak_labels import WeakLabels
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PatchGrid, transform_points
from cropcam.pipeline.legend import BACKGROUND, Legend

TOTAL = "total"
TOLERANCE = 0.01  # of the total: areas in statistics are rounded


def area_labels(path: str, digest: str, legend: Legend, grid: PatchGrid, place_N2: npt.NDArray[np.int32]) -> WeakLabels:
    """The proportions of the polygon that holds each patch's centre. A patch in no polygon has no label and is a bag of its own.

    `path` is a GeoJSON file, `digest` its sha256 (hex; empty = not checked), `place_N2` the row and column of each patch on the patch grid.

    Raises:
        DataError: the file is missing or has changed, the areas of a feature are not possible, or two polygons hold the same patch.
    """
    names, polygon_F, share_FK = read_areas(path, read_label_file(path, digest), legend)
    a, _, c, _, e, f = grid.pixels.transform
    x_N, y_N = c + a * grid.size_px * (place_N2[:, 1] + 0.5), f + e * grid.size_px * (place_N2[:, 0] + 0.5)
    centre_N = shapely.points(*transform_points(grid.pixels.crs, "EPSG:4326", x_N, y_N))
    patch, feature = shapely.STRtree(polygon_F).query(centre_N, predicate="within")
    order = np.lexsort((feature, patch))
    patch, feature = patch[order], feature[order]
    if (twice := np.flatnonzero(patch[1:] == patch[:-1])).size:
        first = twice[0]
        raise DataError(
            f"{path}: {names[feature[first]]} and {names[feature[first + 1]]} overlap: "
            f"patch {tuple(place_N2[patch[first]].tolist())} lies in both; keep one of them"
        )
    image_NK = np.full((len(place_N2), len(legend)), np.nan, np.float32)
    image_NK[patch] = share_FK[feature]
    bag_N = len(names) + np.arange(len(place_N2))
    bag_N[patch] = feature
    return WeakLabels("shares", image_NK=image_NK, bag_N=bag_N, n_unmatched=len(place_N2) - len(patch))


def read_areas(path: str, content: bytes, legend: Legend) -> tuple[list[str], npt.NDArray[np.object_], Shares]:
    """The name of each feature, its polygon in degrees (EPSG:4326), and its class proportions (F, K).

    Raises:
        DataError: no FeatureCollection of polygons, or areas that are missing, negative or do not add up; names the feature.
    """
    try:
        values = json.loads(content)
        features = values["features"] if values["type"] == "FeatureCollection" else []
    except (ValueError, KeyError, TypeError):
        features = []
    if not (isinstance(features, list) and features and all(isinstance(feature, dict) for feature in features)):
        raise DataError(f"{path}: no GeoJSON FeatureCollection of polygons with areas")
    names, polygons, shares = [], [], []
    for number, feature in enumerate(features, 1):
        properties = feature.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        name = properties.get("name", feature.get("id"))
        names.append(f"feature {number}" + ("" if name is None else f" ({name})"))
        polygons.append(_polygon(f"{path}, {names[-1]}", feature.get("geometry")))
        shares.append(_proportions(f"{path}, {names[-1]}", properties, legend))
    return names, np.array(polygons, object), np.array(shares, np.float32)


def _polygon(where: str, geometry: Any) -> shapely.Geometry:  # noqa: ANN401 - any JSON value
    try:
        if geometry["type"] not in ("Polygon", "MultiPolygon"):
            raise DataError(f"{where}: its geometry is a {geometry['type']}; it must be a Polygon or a MultiPolygon")
        polygon = shapely.from_geojson(json.dumps(geometry))
    except (TypeError, KeyError, shapely.GEOSException):
        raise DataError(f"{where}: no polygon in it; its geometry must be a Polygon or a MultiPolygon") from None
    if polygon.is_empty or not polygon.is_valid:
        raise DataError(f"{where}: its polygon is not valid ({shapely.is_valid_reason(polygon)}); repair it")
    west, south, east, north = polygon.bounds
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise DataError(f"{where}: its coordinates are not degrees; GeoJSON has longitude and latitude")
    return polygon


def _proportions(where: str, properties: Mapping[str, Any], legend: Legend) -> list[float]:
    """Proportions in the legend's order; background is given, or the rest up to the total."""
    crops = [name for name in legend.names if name != BACKGROUND]
    area = {name: _area(where, name, properties[name]) for name in (*legend.names, TOTAL) if properties.get(name) is not None}
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


def _area(where: str, name: str, value: Any) -> float:  # noqa: ANN401 - any JSON value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        raise DataError(f"{where}: {name} is {value!r}; an area must be a number of at least 0")
    return float(value)
