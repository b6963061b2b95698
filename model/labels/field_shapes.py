"""Polygons of fields as pure geometry: shrunk by metres, without overlap, as pixels, as points, as exact shares of patches."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from cropcam.model.labels.derive import Classes
from cropcam.pipeline.coverage import coverage
from cropcam.pipeline.crs import same_crs, transform_points
from cropcam.pipeline.grid import PatchGrid
from cropcam.pipeline.legend import UNLABELLED

Shapes = npt.NDArray[np.object_]  # shapely geometries
Floats = npt.NDArray[np.float64]
_SEMI_MAJOR_M, _ECCENTRICITY_2 = 6_378_137.0, 0.006_694_379_990_141  # WGS 84


class Disjoint(NamedTuple):
    """Polygons without overlap."""

    shape_F: Shapes  # some may be empty now
    conflict_F: npt.NDArray[np.bool_]  # whether a polygon of another class overlapped it


def reprojected(shape_F: Shapes, source_crs: str, target_crs: str) -> Shapes:
    """The polygons with every vertex in another CRS."""
    if same_crs(source_crs, target_crs):
        return shape_F
    return np.asarray(shapely.transform(shape_F, lambda x, y: transform_points(source_crs, target_crs, x, y), interleaved=False))


def shrunk(shape_F: Shapes, buffer_m: float) -> Shapes:
    """Polygons in degrees (EPSG:4326) without what lies within `buffer_m` metres of their edge; empty where nothing is left.

    Metres are those of the ellipsoid at the middle of each polygon, so a field needs no projection of its own.
    """
    west, south, east, north = shapely.bounds(shape_F).T
    lon_F, lat_F = (west + east) / 2, (south + north) / 2
    root = 1 - _ECCENTRICITY_2 * np.sin(np.radians(lat_F)) ** 2  # radii of curvature, e.g. Snyder 1987 (4-18, 4-20)
    metres_F2 = (
        np.radians(1) * _SEMI_MAJOR_M * np.stack([np.cos(np.radians(lat_F)) / np.sqrt(root), (1 - _ECCENTRICITY_2) / root**1.5], axis=1)
    )
    centre_F2 = np.stack([lon_F, lat_F], axis=1)

    def scaled(shapes: Shapes, factor_F2: Floats, from_F2: Floats, to_F2: Floats) -> Shapes:
        xy, of = shapely.get_coordinates(shapes, return_index=True)
        return np.asarray(shapely.set_coordinates(shapes.copy(), (xy - from_F2[of]) * factor_F2[of] + to_F2[of]))

    zero = np.zeros_like(centre_F2)
    inner = shapely.buffer(scaled(shape_F, metres_F2, centre_F2, zero), -buffer_m)
    return scaled(inner, 1 / metres_F2, zero, centre_F2)


def disjoint(shape_F: Shapes, class_F: Classes) -> Disjoint:
    """The polygons without what they share: with another class no one keeps it, with the same class the first."""
    first, second = shapely.STRtree(shape_F).query(shape_F)
    first, second = first[first < second], second[first < second]
    overlapping = shapely.relate_pattern(shape_F[first], shape_F[second], "T********")
    first, second = first[overlapping], second[overlapping]
    others = defaultdict[int, list[int]](list)
    conflict_F = np.zeros(len(shape_F), bool)
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        others[b].append(a)
        if class_F[a] != class_F[b]:
            others[a].append(b)
            conflict_F[[a, b]] = True
    result = shape_F.copy()
    for each, cut in others.items():
        result[each] = shapely.difference(shape_F[each], shapely.union_all(shape_F[cut]))
    return Disjoint(result, conflict_F)


def inner_points(shape_F: Shapes) -> tuple[Floats, Floats]:
    """One point inside each polygon: x and y in its CRS."""
    points = shapely.point_on_surface(shape_F)
    return shapely.get_x(points), shapely.get_y(points)


def burnt(shape_F: Shapes, class_F: Classes, grid: PatchGrid, place_N2: npt.NDArray[np.int32]) -> Classes:
    """The class index of each pixel (N, size, size) whose centre lies in a polygon; `UNLABELLED` (255) elsewhere.

    `place_N2` is the row and column of each patch on `grid`, whose CRS the polygons have. Polygons do not overlap.
    """
    import rasterio  # noqa: PLC0415 - GDAL
    from rasterio.features import rasterize  # noqa: PLC0415

    size, tree = grid.size_px, shapely.STRtree(shape_F)
    pixel_NHW = np.full((len(place_N2), size, size), UNLABELLED, np.uint8)
    for row in np.unique(place_N2[:, 0]):
        patches = np.flatnonzero(place_N2[:, 0] == row)
        col_B = place_N2[patches, 1]
        left, right = int(col_B.min()), int(col_B.max()) + 1
        strip = grid.pixels.window(grid.window(int(row), left)._replace(width=(right - left) * size))
        boxes = [shapely.box(*grid.pixels.window(grid.window(int(row), int(col))).bounds_xyxy) for col in col_B]
        if (inside := np.unique(tree.query(boxes)[1])).size:
            values = ((shape, int(index) + 1) for shape, index in zip(shape_F[inside], class_F[inside], strict=True))
            burned = rasterize(values, strip.shape_yx, transform=rasterio.Affine(*strip.transform), dtype=np.uint8)
            burned -= np.uint8(1)  # 0, where no polygon lies, becomes 255
            pixel_NHW[patches] = burned.reshape(size, -1, size).swapaxes(0, 1)[col_B - left]
    return pixel_NHW


def covers(shape_F: Shapes, class_F: Classes, classes: int, grid: PatchGrid) -> npt.NDArray[np.float32]:
    """The share of each patch (rows, columns, K) that the polygons of each class cover, exactly. Polygons do not overlap; CRS as of `grid`."""
    present = np.unique(class_F)
    shapes = [shapely.multipolygons(shapely.get_parts(shape_F[class_F == index])) for index in present]
    west, _, _, north = grid.pixels.bounds_xyxy
    a, _, _, _, e, _ = grid.pixels.transform
    east, south = west + a * grid.size_px * grid.columns, north + e * grid.size_px * grid.rows
    cover = np.zeros((grid.rows, grid.columns, classes), np.float32)
    found_KYX = coverage(shapes, (west, south, east, north), (grid.rows, grid.columns), grid.pixels.crs)
    cover[..., present] = np.moveaxis(found_KYX, 0, -1)
    return cover
