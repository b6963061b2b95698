"""Label rasters as one: codes and weights on one grid, from files of any grid. Lazy: a window is read on request, from any thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.code_table import Codes, CodeTable
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import ALIGNED_PX, PixelGrid, Window, covering_window, lattice_offset, resample_nearest, same_place
from cropcam.pipeline.legend_sources import cdl
from cropcam.pipeline.rasters.label_codes import PERCENT
from cropcam.pipeline.rasters.mosaic import intersection
from cropcam.pipeline.rasters.raster import Raster, open_raster


@dataclass(frozen=True)
class LabelMosaic:
    """Label codes on one grid by exact nearest resampling, from one or several files on any grid; `table` is of all codes there are.

    `weights` are the same files' weights in per cent, where labels have any.
    """

    grid: PixelGrid
    rasters: tuple[Raster, ...]
    table: CodeTable = field(default_factory=cdl)
    weights: LabelMosaic | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Files, in order."""
        return tuple(raster.path for raster in self.rasters)

    def read_weights(self, window: Window, codes: Codes) -> npt.NDArray[np.uint8] | None:
        """Weights (y, x) of a window in per cent, 0 where its codes are no label; None without weights. Raises as `read`."""
        return None if self.weights is None else np.where(self.table.labels[codes], self.weights.read(window), np.uint8(0))

    def read(self, window: Window, out: Codes | None = None) -> Codes:
        """Codes (y, x) of a window inside the grid, of the table's type, its `fill` = no label; written to `out` where given. Thread-safe.

        Raises:
            DataError: a file cannot be read, or a value is no code of the table.
        """
        target, table = self.grid.window(window), self.table
        codes: Codes = np.empty(target.shape_yx, table.dtype) if out is None else out
        places = [(raster, _on_lattice(raster.grid, self.grid)) for raster in self.rasters]
        shared = [(raster, place, place and intersection(window, place)) for raster, place in places]
        if len(shared) == 1 and (whole := shared[0][2]) is not None and whole[0][2:] == window[2:]:
            shared[0][0].read_codes(whole[0], codes, table)
            return codes
        codes[:] = table.fill
        for raster, place, both in shared:
            if both is not None:
                there, here = both
                piece = np.empty(here[2:], table.dtype)
                raster.read_codes(there, piece, table)
                np.copyto(codes[here.slices], piece, where=piece != table.fill)
            part = covering_window(raster.grid, target) if place is None else None
            if part is not None:
                source_codes = np.empty(part[2:], table.dtype)
                raster.read_codes(part, source_codes, table)
                resampled = resample_nearest(source_codes, raster.grid.window(part), target, fill=table.fill)
                np.copyto(codes, resampled, where=resampled != table.fill)
        return codes


def open_labels(
    paths: Sequence[Path], grid: PixelGrid, table: CodeTable | None = None, band: int | str = "", weight: int | str = ""
) -> LabelMosaic:
    """Label rasters of any CRS and grid, to be read on `grid`.

    Args: `paths`, of which the last counts where they overlap; `table`, the codes there are, CDL's by default; `band` as of `open_raster`;
        `weight`, the band of weights in per cent, if there is one.

    Raises:
        DataError: a file is missing or damaged, holds no integers, several bands or not that one, or none meets the grid.
    """
    rasters = tuple(open_raster(path, labels=True, band=band) for path in paths)
    if all(covering_window(raster.grid, grid, margin_px=0) is None for raster in rasters):
        raise DataError(
            f"{rasters[0].path}: the labels do not overlap the image: labels {_bounds(rasters[0].grid)}, image {_bounds(grid)}; "
            "check that both show the same place"
        )
    return LabelMosaic(grid, rasters, table or cdl(), open_weights(paths, grid, weight) if weight else None)


def open_weights(paths: Sequence[Path], grid: PixelGrid, band: int | str) -> LabelMosaic:
    """The weights of labels, a band of their files: per cents, 0 without one; arguments as of `open_labels`."""
    return LabelMosaic(grid, tuple(open_raster(path, labels=True, band=band, key="weight") for path in paths), PERCENT)


@lru_cache(maxsize=4096)
def _on_lattice(source_grid: PixelGrid, grid: PixelGrid) -> Window | None:
    """The window of a raster on `grid` if their pixels agree to a thousandth; None where it must be resampled."""
    if not same_place(source_grid, grid.crs) or (offset := lattice_offset(grid, source_grid)) is None:
        return None
    row, col = offset
    if abs(col - round(col)) > ALIGNED_PX or abs(row - round(row)) > ALIGNED_PX:
        return None
    return Window(round(row), round(col), source_grid.height, source_grid.width)


def _bounds(grid: PixelGrid) -> str:
    return f"{tuple(round(value, 4) for value in grid.bounds_xyxy)} {grid.crs if len(grid.crs) < 20 else 'in its own CRS'}"
