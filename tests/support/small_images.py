"""Two small images of a test archive: three bands of 4 x 3 px, and a ramp of 40 x 30 px, both in UTM zone 16."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ee
import numpy as np

from cropcam.pipeline.grid import PixelGrid
from support.scenes import Client, write_asset

ASSET, RAMP_ASSET = "T/image", "T/ramp"
GRID = PixelGrid("EPSG:32616", (30.0, 0.0, 400_000.0, 0.0, -30.0, 4_500_000.0), 4, 3)
A = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000  # nodata 0
B = np.arange(12, 0, -1).astype(np.int16).reshape(3, 4) - 6
C = np.linspace(-2.5, 3, 12, dtype=np.float32).reshape(3, 4)
RAMP_GRID = PixelGrid("EPSG:32616", GRID.transform, 40, 30)
RAMP = np.arange(1200, dtype=np.uint16).reshape(30, 40) + 1  # nodata 0
DEGREES = PixelGrid("EPSG:4326", (0.0004, 0.0, -88.185, 0.0, -0.0003, 40.648), 40, 30)  # across the ramp


def write_small_images(archive: Path) -> None:
    """Write both images into an archive."""
    properties = {"system:time_start": 0, "n": 3, "name": "x"}
    write_asset(archive / ASSET, {"a": A, "b": B, "c": C}, GRID, {"a": 0}, **properties)
    write_asset(archive / RAMP_ASSET, {"a": RAMP}, RAMP_GRID, {"a": 0})


def image() -> Any:
    """The client's image with the bands a, b and c."""
    return ee.Image(ASSET)


def ramp() -> Any:
    """The client's image of the ramp, band a."""
    return ee.Image(RAMP_ASSET)


def box(grid: PixelGrid) -> Any:
    """The client's rectangle of a grid's bounds, edges straight in its CRS."""
    west, south, east, north = grid.bounds_xyxy
    return ee.Geometry.Rectangle([west, south, east, north], grid.crs, False)


def data_types(client: Client, made: Any) -> list[tuple[Any, ...]]:
    """(precision, min, max) of each band, as `getInfo` describes them."""
    described = [band["data_type"] for band in client.value(made)["bands"]]
    return [(kind["precision"], kind.get("min"), kind.get("max")) for kind in described]
