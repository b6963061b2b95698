"""The part of a raster that a map covers: polygons of a vector file, on the raster's grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
import shapely.geometry

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.study.polygons import meets, on_grid, read_polygons


@dataclass(frozen=True)
class Region:
    """Polygons over a raster. A pixel is inside where its centre is.

    Attributes:
        path: the file they were read from.
        grid: of the raster.
        text: the polygons as canonical GeoJSON text, in degrees.
        shape: the polygons in the grid's CRS, prepared.
    """

    path: Path
    grid: PixelGrid
    text: str
    shape: Any  # a shapely geometry

    def meets(self, window: Window) -> bool:
        """Whether a window may hold a pixel inside."""
        return meets(self.text, self.grid, window)

    def inside(self, window: Window) -> npt.NDArray[np.bool_]:
        """Which pixels (y, x) of a window lie inside."""
        x, y = np.meshgrid(*self.grid.window(window).centres())
        inside: npt.NDArray[np.bool_] = shapely.contains_xy(self.shape, x, y)  # rasterio's masks warn when many threads make them
        return inside


def open_region(path: Path, grid: PixelGrid) -> Region:
    """The polygons of a GeoJSON file (degrees, RFC 7946), or of a GeoPackage or GeoParquet file in any CRS.

    Raises:
        ConfigError: no such file, or no polygon in it.
        DataError: the polygons do not meet the raster.
    """
    text = read_polygons(path, "--region")
    found = on_grid(text, grid)
    shape = shapely.geometry.shape(found) if found is not None else None
    shapely.prepare(shape)
    region = Region(path, grid, text, shape)
    if shape is None or not region.meets(Window(0, 0, *grid.shape_yx)):
        west, south, east, north = grid.bounds_xyxy
        raise DataError(
            f"{path}: no polygon meets the raster, which lies at {west:g}, {south:g}, {east:g}, {north:g} in {grid.crs}; "
            "give polygons of the same place, in GeoJSON as longitude and latitude"
        )
    return region
