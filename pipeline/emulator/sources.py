"""Nodes at the bottom of every graph: bands of the archive's rasters, and where they lie."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterWindow

from cropcam.pipeline.emulator import pyramids
from cropcam.pipeline.emulator.archive_files import open_band
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.pixels import NOTHING, Mask, Node, Pixels, Reading, Values, both
from cropcam.pipeline.grid import PixelGrid, Window, covering_window
from cropcam.pipeline.raster_errors import UNREADABLE

_EMPTY = Pixels(np.zeros((), np.uint8), NOTHING)


class Source(Node):
    """A raster's band, brought onto the grid by the exact nearest rule from the level of its pyramid that the grid's scale asks for.

    Nodata is masked, and so are the pixels that the file's own mask masks. The file is opened and closed at each read: for an archive of any size no file stays open and no
    block of it in GDAL's cache.
    """

    def __init__(self, path: Path, grid: PixelGrid, nodata: float | None, policy: pyramids.Policy, *, has_mask: bool = False) -> None:
        self._path, self._grid, self._nodata, self._policy, self._has_mask = path, grid, nodata, policy, has_mask

    def meets(self, grid: PixelGrid) -> bool:
        """Whether the raster and a grid share ground."""
        return covering_window(self._grid, grid) is not None

    def evaluate(self, grid: PixelGrid, reading: Reading) -> Pixels:
        """Values in the raster's type."""
        level = pyramids.level_of(self._grid, grid)
        place = reading.place(pyramids.level_grid(self._grid, level) if level else self._grid, grid)
        if place is None:
            return _EMPTY
        if level:
            found, has = self._level(place.window, level)
            return Pixels(found.ravel().take(place.flat), both(has.ravel().take(place.flat), place.inside))
        with self._opened() as file:
            values = _read(file, place.window).ravel().take(place.flat)
            valid = self._valid(values)
            if self._has_mask:
                valid = both(valid, _read_mask(file, place.window).ravel().take(place.flat))
        return Pixels(values, both(valid, place.inside))

    def _level(self, window: Window, level: int) -> tuple[Values, Mask]:
        """A window of a level of the pyramid, worked out strip by strip from the raster."""
        parts = []
        with self._opened() as file:
            for strip in pyramids.strips(window, level):
                native = pyramids.native_window(strip, level, self._grid)
                values = _read(file, native)
                valid = self._valid(values)
                if self._has_mask:
                    valid = both(valid, _read_mask(file, native))
                parts.append(pyramids.aggregate(values, np.ones(values.shape, np.bool_) if valid is None else valid, level, self._policy))
        return np.concatenate([values for values, _ in parts]), np.concatenate([valid for _, valid in parts])

    def _valid(self, values: Values) -> Mask | None:
        if self._nodata is None:
            return None
        return ~np.isnan(values) if np.isnan(self._nodata) else np.not_equal(values, self._nodata)

    @contextmanager
    def _opened(self) -> Iterator[DatasetReader]:
        try:
            with open_band(self._path) as file:
                yield file
        except UNREADABLE as error:
            where = f"asset '{self._path.parent.name}' of the archive is damaged: band '{self._path.stem}'"
            raise EngineError(f"Image.load: {where}: {error}.", "FAILED_PRECONDITION") from None


class Inside(Node):
    """Valid where the grid's pixels lie on a source grid: the footprint of its raster."""

    def __init__(self, source: PixelGrid) -> None:
        self._source = source

    def evaluate(self, grid: PixelGrid, reading: Reading) -> Pixels:
        """The footprint as a mask of ones."""
        place = reading.place(self._source, grid)
        return Pixels(np.ones((), np.uint8), NOTHING if place is None else place.inside)


def _read(file: DatasetReader, window: Window) -> Values:
    values: Values = file.read(1, window=RasterWindow(window.col, window.row, window.width, window.height))
    return values


def _read_mask(file: DatasetReader, window: Window) -> Mask:
    mask: Mask = np.not_equal(file.read_masks(1, window=RasterWindow(window.col, window.row, window.width, window.height)), 0)
    return mask
