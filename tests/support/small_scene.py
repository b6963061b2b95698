"""A small image of one file and its labels, beside a study, as a user has them."""

from __future__ import annotations

from pathlib import Path

from cropcam.pipeline.grid import PixelGrid
from support.rasters import random_codes, random_dn, write_raster

GRID = PixelGrid("EPSG:32616", (30.0, 0.0, 419_000.0, 0.0, -30.0, 4_466_720.0), 96, 96)
STUDY = """[study]
name = "mine"
[area]
bounds = [-88.1, 40.1, -87.6, 40.5]
[image]
seasons = [["2016-05-01", "2016-10-01"]]
[labels]
asset = "USDA/NASS/CDL/2016"
[patches]
size_px = 16
[splits]
method = "random"
"""


def write_small_scene(folder: Path) -> None:
    """Write mine.toml, cdl.tif and img.tif (7 bands, 96 x 96 px)."""
    (folder / "mine.toml").write_text(STUDY)
    write_raster(folder / "cdl.tif", random_codes(GRID.shape_yx), GRID)
    write_raster(folder / "img.tif", random_dn((7, *GRID.shape_yx), 1), GRID, nodata=0)
