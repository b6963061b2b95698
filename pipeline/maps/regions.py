"""Polygons in which the areas of a map are measured: read, brought to the map's CRS, and their share of each pixel."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely

from cropcam.pipeline.class_names import texts
from cropcam.pipeline.coverage import coverage
from cropcam.pipeline.crs import is_geographic, same_crs
from cropcam.pipeline.errors import CropcamWarning, DataError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.longitudes import near_grid
from cropcam.pipeline.vectors import VectorFile, open_vectors

NAME_COLUMNS = ("name", "region", "id")  # the first that the file has, in any case of letters
_EDGE = {True: 0.005, False: 500.0}  # longest straight piece of an edge before it is projected, in degrees or units: bends below 0.1 m
Shapes = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Regions:
    """Polygons in the map's CRS.

    Attributes:
        names: of each, from the file's column name, region or id; else the number of the feature.
        shapes: valid polygons.
        inside: share of each that lies within the map's grid, from 0 to 1.
    """

    names: tuple[str, ...]
    shapes: Shapes
    inside: tuple[float, ...]

    def covers(self, part: PixelGrid) -> list[tuple[int, npt.NDArray[np.float64]]]:
        """The regions that meet a window of the grid, by number, and the share (Y, X) of each of its pixels that they cover."""
        box = shapely.box(*part.bounds_xyxy)
        found = []
        for index in np.sort(self._tree.query(box, predicate="intersects")):
            shape = self.shapes[index]
            whole = shapely.contains(shape, box)
            found.append((int(index), np.ones(part.shape_yx) if whole else coverage([shape], part.bounds_xyxy, part.shape_yx, part.crs)[0]))
        return found

    def holds(self, index: int, x_P: npt.NDArray[np.float64], y_P: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Which points (P,), in the map's CRS, lie in a region."""
        return np.asarray(shapely.contains_xy(self.shapes[index], x_P, y_P), bool)

    @cached_property
    def _tree(self) -> shapely.STRtree:
        shapely.prepare(self.shapes)
        return shapely.STRtree(self.shapes)


def read_regions(path: Path, grid: PixelGrid) -> Regions:
    """The polygons of a vector file in any CRS; long edges are bent as the map's CRS bends them.

    Raises:
        DataError: the file cannot be used, holds something else than polygons, or no polygon meets the map.
    """
    file = open_vectors(path)
    column = _name_column(file)
    frame = file.read([column] if column else [])
    blank_F = frame.geometry.isna().to_numpy() | frame.geometry.is_empty.to_numpy()
    if blank_F.any():
        warnings.warn(
            f"{path}: {blank_F.sum():,} of its {len(frame):,} features have no geometry and are left out", CropcamWarning, stacklevel=2
        )
    if blank_F.all():
        raise DataError(f"{path}: none of its {len(frame):,} features has a geometry; give polygons")
    frame = frame[~blank_F].reset_index(drop=True)
    shape_F = frame.geometry.to_numpy()
    polygons = np.isin(shapely.get_type_id(shape_F), (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON))
    if not polygons.all():
        first = shape_F[np.flatnonzero(~polygons)[0]]
        count = int((~polygons).sum())
        raise DataError(
            f"{path}: {count:,} of its {len(shape_F):,} features are no polygons, the first is a {first.geom_type}; give polygons alone"
        )
    if not same_crs(file.crs, grid.crs):
        frame = frame.set_geometry(shapely.segmentize(shape_F, _EDGE[is_geographic(file.crs)])).set_crs(file.crs, allow_override=True)
        shape_F = frame.to_crs(grid.crs).geometry.to_numpy()
    shape_F = near_grid(shape_F, grid)
    with np.errstate(all="ignore"):  # places beyond the reach of the map's CRS are infinite: no part of them is inside
        shape_F = shapely.make_valid(shape_F, method="structure", keep_collapsed=False)
        inside_F = np.nan_to_num(shapely.area(shapely.intersection(shape_F, shapely.box(*grid.bounds_xyxy))) / shapely.area(shape_F))
    if not inside_F.any():
        bounds = [", ".join(f"{value:,.6g}" for value in each) for each in (shapely.total_bounds(shape_F), grid.bounds_xyxy)]
        raise DataError(
            f"{path}: none of its {len(shape_F):,} regions lies in the map: they reach over {bounds[0]}, the map over {bounds[1]} "
            f"(west, south, east, north in {grid.crs}); check the CRS of the file, {file.crs}"
        )
    names = texts(frame[column]).tolist() if column else list(map(str, np.flatnonzero(~blank_F) + 1))
    return Regions(tuple(names), shape_F, tuple(inside_F.tolist()))


def _name_column(file: VectorFile) -> str:
    known = {column.casefold(): column for column in reversed(file.columns)}
    return next((known[name] for name in NAME_COLUMNS if name in known), "")
