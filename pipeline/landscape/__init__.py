"""A simulated corn belt: land cover, its year, its weather, and an archive of Landsat scenes and CDL made from them.

Everything is a pure function of position, date and seed. `simulate` writes the archive; `truth` and `reflectance`
give the same land on any grid, for tests and benchmarks that need no scenes.
"""

from __future__ import annotations

import datetime

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.landscape.archive import ArchiveSummary, simulate
from cropcam.pipeline.landscape.cover import land_cover
from cropcam.pipeline.landscape.scenes import positions
from cropcam.pipeline.landscape.surface import Surface

__all__ = ["ArchiveSummary", "reflectance", "simulate", "truth"]


def truth(grid: PixelGrid, seed: int = 0, year: int = 2016) -> npt.NDArray[np.uint8]:
    """True CDL codes (uint8, the grid's shape, never 0) of one crop year, without CDL's mistakes; any CRS.

    Memory is about 100 bytes a pixel; use windows of large grids.
    """
    return land_cover(*positions(grid), seed, year).code


def reflectance(grid: PixelGrid, dates: list[datetime.date], seed: int = 0) -> npt.NDArray[np.float32]:
    """Cloudless surface reflectance (dates, 7 bands, rows, columns) of one calendar year's dates; any CRS.

    No air, no point spread, no look noise: the input of the scenes of `simulate`.
    """
    x_m, y_m = positions(grid)
    surfaces = {year: Surface(land_cover(x_m, y_m, seed, year), x_m, y_m, seed) for year in {date.year for date in dates}}
    return np.stack([surfaces[date.year].at(date) for date in dates])
