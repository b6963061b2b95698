"""Square tiles of UTM zones over an area, as Sentinel-2 and the annual embeddings are delivered."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.landscape.frames import MARGIN_M, check_within, utm_zone

PIXEL_M = 10.0
_STEP_M = 60.0  # of the clipped tiles' edges: whole pixels of 10, 20 and 60 m
_COLUMNS = ("ABCDEFGH", "JKLMNPQR", "STUVWXYZ")
_ROWS, _BANDS = "ABCDEFGHJKLMNPQRSTUV", "CDEFGHJKLMNPQRSTUVWX"


@dataclass(frozen=True)
class Tile:
    """One tile, clipped to the area and a margin: its name and its grid of 10 m pixels."""

    name: str
    zone: int
    grid: PixelGrid


def utm_tiles(bounds_xyxy: tuple[float, float, float, float], spacing_m: float, side_m: float) -> list[Tile]:
    """The tiles that see an area (degrees), in each UTM zone of it: upper left corners at multiples of `spacing_m`, `side_m` wide.

    Neighbours overlap where the side is larger than the spacing. At a border of zones both have tiles.

    Raises:
        ConfigError: the area lies outside the contiguous United States.
    """
    check_within(bounds_xyxy)
    west, south, east, north = bounds_xyxy
    found = []
    for zone in range(utm_zone(west), utm_zone(math.nextafter(east, west)) + 1):
        crs = f"EPSG:{32600 + zone}"
        lon = np.linspace(max(west, 6.0 * zone - 186), min(east, 6.0 * zone - 180), 61)
        lon, lat = np.meshgrid(lon, np.linspace(south, north, 61))
        x, y = transform_points("EPSG:4326", crs, lon, lat)
        left, right, bottom, top = x.min() - MARGIN_M, x.max() + MARGIN_M, y.min() - MARGIN_M, y.max() + MARGIN_M
        for row in range(math.floor(bottom / spacing_m) + 1, math.floor((top + side_m) / spacing_m) + 1):
            for col in range(math.floor((left - side_m) / spacing_m) + 1, math.floor(right / spacing_m) + 1):
                edges = (
                    max(left, col * spacing_m),
                    min(right, col * spacing_m + side_m),
                    max(bottom, row * spacing_m - side_m),
                    min(top, row * spacing_m),
                )
                grid = _grid(crs, edges)
                if grid is not None:
                    middle = transform_points(crs, "EPSG:4326", (edges[0] + edges[1]) / 2, (edges[2] + edges[3]) / 2)[1]
                    found.append(Tile(_name(zone, float(middle), col, row), zone, grid))
    return found


def _grid(crs: str, edges: tuple[float, float, float, float]) -> PixelGrid | None:
    left, right, bottom, top = edges
    west, north = math.ceil(left / _STEP_M) * _STEP_M, math.floor(top / _STEP_M) * _STEP_M
    width, height = math.floor((right - west) / _STEP_M), math.floor((north - bottom) / _STEP_M)
    if width < 1 or height < 1:
        return None
    times = round(_STEP_M / PIXEL_M)
    return PixelGrid(crs, (PIXEL_M, 0.0, west, 0.0, -PIXEL_M, north), width * times, height * times)


def coarser(grid: PixelGrid, factor: int) -> PixelGrid:
    """The same place in pixels `factor` times as large."""
    a, b, c, d, e, f = grid.transform
    return PixelGrid(grid.crs, (a * factor, b, c, d, e * factor, f), grid.width // factor, grid.height // factor)


def _name(zone: int, lat: float, col: int, row: int) -> str:
    """The tile's name in the Military Grid Reference System, where spacing is 100 km."""
    letters = _COLUMNS[(zone - 1) % 3]
    return f"{zone:02d}{_BANDS[min(int((lat + 80) // 8), 19)]}{letters[(col - 1) % 8]}{_ROWS[(row - 1 + (0 if zone % 2 else 5)) % 20]}"
