"""Areas of the user's own: how much of a polygon each class covers, as county statistics say, brought onto the patches of a store.

Axis suffixes: F feature, N patch, K class.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from cropcam.model.labels import files as ownfile
from cropcam.model.labels.derive import Shares
from cropcam.model.labels.weak_labels import WeakLabels
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PatchGrid, transform_points
from cropcam.pipeline.legend import BACKGROUND, Legend

TOTAL = "total"
TOLERANCE = 0.01  # of the total: areas in statistics are rounded
POLYGONS = ("Polygon", "MultiPolygon")


def own_areas(path: str, digest: str, legend: Legend, grid: PatchGrid, place_N2: npt.NDArray[np.int32]) -> WeakLabels:
    """The shares of the polygon that each patch's centre lies in; a patch in none has no label and is a group of its own.

    Args:
        path: the GeoJSON file.
        digest: sha256 (hex) it must have; empty = any.
        legend: the store's classes.
        grid: the store's patch grid.
        place_N2: row and column of each patch on it.

    Raises:
        DataError: the file is gone or another one, a feature's areas cannot be, or two polygons hold one patch.
    """
    names, polygon_F, share_FK = read_areas(path, ownfile.content(path, digest), legend)
    a, _, c, _, e, f = grid.pixels.transform
    x_N, y_N = c + a * grid.size_px * (place_N2[:, 1] + 0.5), f + e * grid.size_px * (place_N2[:, 0] + 0.5)
    centre_N = shapely.points(*transform_points(grid.pixels.crs, "EPSG:4326", x_N, y_N))
    patch, feature = shapely.STRtree(polygon_F).query(centre_N, predicate="within")
    order = np.lexsort((feature, patch))
    patch, feature = patch[order], feature[order]
    if (twice := np.flatnonzero(patch[1:] == patch[:-1])).size:
        one, other = (names[feature[at]] for at in (twice[0], twice[0] + 1))
        raise DataError(
            f"{path}: {one} and {other} overlap: patch {tuple(place_N2[patch[twice[0]]].tolist())} lies in both; keep one of them"
        )
    image_NK = np.full((len(place_N2), len(legend)), np.nan, np.float32)
    image_NK[patch] = share_FK[feature]
    bag_N = len(names) + np.arange(len(place_N2))
    bag_N[patch] = feature
    return WeakLabels("shares", image_NK=image_NK, bag_N=bag_N, n_unmatched=len(place_N2) - len(patch))


def read_areas(path: str, content: bytes, legend: Legend) -> tuple[list[str], npt.NDArray[np.object_], Shares]:
    """What each feature is called, its polygon in degrees and the shares of the classes in it (F, K).

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
        told = feature.get("properties")
        told = told if isinstance(told, dict) else {}
        name = told.get("name", feature.get("id"))
        names.append(f"feature {number}" + ("" if name is None else f" ({name})"))
        polygons.append(_polygon(f"{path}, {names[-1]}", feature.get("geometry")))
        shares.append(_shares(f"{path}, {names[-1]}", told, legend))
    return names, np.array(polygons, object), np.array(shares, np.float32)


def _polygon(where: str, geometry: Any) -> shapely.Geometry:  # noqa: ANN401 - whatever the JSON holds
    try:
        if geometry["type"] not in POLYGONS:
            raise DataError(f"{where}: its geometry is a {geometry['type']}; it must be a Polygon or a MultiPolygon")
        polygon = shapely.from_geojson(json.dumps(geometry))
    except (TypeError, KeyError, shapely.GEOSException):
        raise DataError(f"{where}: no polygon in it; its geometry must be a Polygon or a MultiPolygon") from None
    if polygon.is_empty or not polygon.is_valid:
        raise DataError(f"{where}: its polygon is not valid ({shapely.is_valid_reason(polygon)}); mend it")
    west, south, east, north = polygon.bounds
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise DataError(f"{where}: its coordinates are not degrees; GeoJSON wants longitude and latitude")
    return polygon


def _shares(where: str, told: Mapping[str, Any], legend: Legend) -> list[float]:
    crops = [name for name in legend.names if name != BACKGROUND]
    if missing := [name for name in crops if told.get(name) is None]:
        raise DataError(f"{where}: no area of {', '.join(missing)}; every class but background must be there (0 where there is none)")
    area = {name: _area(where, name, told[name]) for name in crops}
    known = sum(area.values())
    total = _area(where, TOTAL, told[TOTAL]) if TOTAL not in crops and told.get(TOTAL) is not None else None
    if told.get(BACKGROUND) is not None:
        area[BACKGROUND] = _area(where, BACKGROUND, told[BACKGROUND])
        known += area[BACKGROUND]
        if total is not None and known < total * (1 - TOLERANCE):
            raise DataError(f"{where}: the areas add up to {known:g}, less than the total of {total:g}")
    elif total is None:
        raise DataError(f"{where}: neither {BACKGROUND} nor {TOTAL}: what is left for {BACKGROUND} cannot be known; add one of the two")
    if total is not None and known > total * (1 + TOLERANCE):
        raise DataError(f"{where}: the areas add up to {known:g}, more than the total of {total:g}")
    area.setdefault(BACKGROUND, max((total or 0.0) - known, 0.0))
    whole = sum(area.values())
    if not whole:
        raise DataError(f"{where}: every area is 0; leave the feature out")
    return [area[name] / whole for name in legend.names]


def _area(where: str, name: str, value: Any) -> float:  # noqa: ANN401 - whatever the JSON holds
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        raise DataError(f"{where}: {name} is {value!r}; an area must be a number of at least 0")
    return float(value)
