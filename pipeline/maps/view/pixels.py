"""The facts about one pixel: its place, class, truth, shares and band values, as JSON values."""

from __future__ import annotations

from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window as RasterWindow

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.maps.class_map import FinishedMap
from cropcam.pipeline.maps.quantised import STEPS
from cropcam.pipeline.maps.view.layers import Scene
from cropcam.pipeline.maps.view.tiles import unreadable
from cropcam.pipeline.maps.windows import NODATA_CLASS
from cropcam.pipeline.raster_errors import UNREADABLE


def pixel(scene: Scene, lon: float, lat: float) -> dict[str, Any]:
    """The pixel of the scene's grid that holds a point.

    Args:
        scene: the scene.
        lon: degrees east, WGS 84.
        lat: degrees north.

    Returns:
        `inside`, `lon`, `lat`; inside the grid also `row`, `col`, `outline` (latitude and longitude of the corners), and as far as they are
        known `class` and `truth` (names, None = nodata), `probability` and `activation` (by class, 0 to 1), `uncertainty`, and `bands`
        (physical values by name, None = missing).

    Raises:
        DataError: a file cannot be read, a chunk of the store is damaged, or a map holds an index that is no class.
    """
    found: dict[str, Any] = {"inside": False, "lon": lon, "lat": lat}
    at = _index(scene.grid, lon, lat)
    if at is None:
        return found
    row, col = at
    found |= {"inside": True, "row": row, "col": col, "outline": _outline(scene.grid, row, col)}
    if scene.classes:
        found["class"] = _class(scene.classes, lon, lat)
    if scene.truth:
        found["truth"] = _class(scene.truth, lon, lat)
    for kind, path in scene.shares.items():
        try:
            with rasterio.open(path) as file:
                stored = file.read(window=RasterWindow(col, row, 1, 1)).ravel().tolist()
        except UNREADABLE as error:
            raise unreadable(path) from error
        values = [None if value == NODATA_CLASS else value / STEPS for value in stored]
        found[kind] = values[0] if len(values) == 1 else values
    if scene.store and (inside := _index(scene.store.grid, lon, lat)):
        values_C = scene.store.encoding.physical(scene.store.read(Window(*inside, 1, 1))).ravel()
        found["bands"] = {
            name: float(value) if np.isfinite(value) else None for name, value in zip(scene.store.bands, values_C, strict=True)
        }
    return found


def _index(grid: PixelGrid, lon: float, lat: float) -> tuple[int, int] | None:
    x, y = transform_points("EPSG:4326", grid.crs, lon, lat)
    row, col = grid.index(x, y)
    return (int(row), int(col)) if row >= 0 else None


def _outline(grid: PixelGrid, row: int, col: int) -> list[list[float]]:
    a, _, c, _, e, f = grid.transform
    x, y = [c + a * (col + step) for step in (0, 1, 1, 0)], [f + e * (row + step) for step in (0, 0, 1, 1)]
    lon, lat = transform_points(grid.crs, "EPSG:4326", x, y)
    return [[float(north), float(east)] for north, east in zip(lat, lon, strict=True)]


def _class(opened: FinishedMap, lon: float, lat: float) -> str | None:
    at = _index(opened.grid, lon, lat)
    if at is None:
        return None
    index = int(opened.classes_at(np.array([at[0]]), np.array([at[1]]))[0])
    return None if index == NODATA_CLASS else opened.legend.names[index]
