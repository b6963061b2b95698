"""A legend, a grid and rasters in memory, for the tests of maps. Without torch, so that a subprocess starts quickly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.legend import Legend

LEGEND = Legend.from_codes({"corn": [1], "soybean": [5], "forest": [63], "grassland": [37]})


@dataclass(frozen=True)
class Memory:
    """A raster in memory: DN (band, y, x)."""

    dn_CYX: npt.NDArray[np.uint16]
    names: tuple[str, ...] = ("memory.tif",)

    @property
    def grid(self) -> PixelGrid:
        return make_grid(self.dn_CYX.shape[1], self.dn_CYX.shape[2])

    @property
    def bands(self) -> tuple[str, ...]:
        return tuple(f"band {index}" for index in range(len(self.dn_CYX)))

    def read(self, window: Window) -> npt.NDArray[np.uint16]:
        assert window.row >= 0
        assert window.col >= 0
        assert window.row + window.height <= self.grid.height
        assert window.col + window.width <= self.grid.width
        return self.dn_CYX[:, window.slices[0], window.slices[1]]


def make_grid(height: int, width: int) -> PixelGrid:
    return PixelGrid("EPSG:32616", (30.0, 0.0, 500_010.0, 0.0, -30.0, 4_500_000.0), width, height)
