"""A legend, a grid and rasters in memory, for the tests of maps. Without torch, so that a subprocess starts quickly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from cropcam.pipeline.encoding import OFFSET, SCALE, BandEncoding
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.legend import Legend

LEGEND = Legend.from_codes({"corn": [1], "soybean": [5], "forest": [63], "grassland": [37]})


@dataclass(frozen=True)
class Memory:
    """A raster in memory: stored values (band, y, x), 0 = nodata; DN, unless `scale` and `offset` say otherwise."""

    values_CYX: npt.NDArray[Any]
    names: tuple[str, ...] = ("memory.tif",)
    scale: float = SCALE
    offset: float = OFFSET

    @property
    def grid(self) -> PixelGrid:
        return make_grid(self.values_CYX.shape[1], self.values_CYX.shape[2])

    @property
    def bands(self) -> tuple[str, ...]:
        return tuple(f"band {index}" for index in range(len(self.values_CYX)))

    @property
    def encoding(self) -> BandEncoding:
        return BandEncoding.uniform(self.values_CYX.dtype.name, len(self.values_CYX), self.scale, self.offset, 0.0)

    def read(self, window: Window) -> npt.NDArray[Any]:
        assert window.row >= 0
        assert window.col >= 0
        assert window.row + window.height <= self.grid.height
        assert window.col + window.width <= self.grid.width
        return self.values_CYX[:, window.slices[0], window.slices[1]]


def make_grid(height: int, width: int) -> PixelGrid:
    return PixelGrid("EPSG:32616", (30.0, 0.0, 500_010.0, 0.0, -30.0, 4_500_000.0), width, height)
