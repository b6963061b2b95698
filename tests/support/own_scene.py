"""A scene of a user's own: seven single-band files and labels, in fields whose reflectance depends on their class, with a nodata corner."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cropcam.pipeline.grid import PixelGrid
from support.rasters import random_codes, random_dn, write_raster

GRID = PixelGrid("EPSG:32616", (30.0, 0.0, 410_000.0, 0.0, -30.0, 4_475_700.0), 420, 330)
STUDY = """[study]
name = "mine"
[area]
bounds = [-90.0, 40.0, -89.0, 41.0]
[image]
seasons = [["2016-05-01", "2016-10-01"]]
[labels]
asset = "USDA/NASS/CDL/2016"
presence_min_share = 0.2
[splits]
block_patches = [2, 2]
"""


def write_scene(folder: Path) -> None:
    """Write LC08_SR_B1.TIF to LC08_SR_B7.TIF and cdl.tif, 330 x 420 px."""
    codes = random_codes(GRID.shape_yx)
    level = np.select([codes == 1, codes == 5, codes == 141, codes == 176], [9_000, 12_000, 15_000, 18_000], 21_000)
    for band in range(1, 8):
        dn = (level + 300 * band + random_dn((1, *GRID.shape_yx), band)[0] % 500).astype(np.uint16)
        dn[:40, :60] = 0
        write_raster(folder / f"LC08_SR_B{band}.TIF", dn, GRID, nodata=0)
    write_raster(folder / "cdl.tif", codes, GRID)


def image_files(folder: Path) -> list[Path]:
    """The files of the bands, in their order."""
    return sorted(folder.glob("LC08_SR_B?.TIF"))
