"""Label assets of an archive: the Cropland Data Layer and WorldCover, of the same land."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.code_table import DEFAULT
from cropcam.pipeline.grid import PixelGrid, tiles
from cropcam.pipeline.landscape.assets import asset_folder, block_count, create, finish, is_complete, label_asset, raster_window
from cropcam.pipeline.landscape.frames import MARGIN_M
from cropcam.pipeline.landscape.scenes import covered, label_grid, labels
from cropcam.pipeline.legend_sources import cdl
from cropcam.pipeline.study.study import Study

_PER_DEGREE = 12_000  # pixels of WorldCover
_METRES = 111_320
# code of WorldCover: codes of the landscape, which are CDL's; any other is cropland
_COVER = {10: (63, 141, 142, 143, 190), 20: (152,), 30: (37, 176), 50: (82, 121, 122, 123, 124), 60: (131,), 80: (111,), 90: (195,)}
_CROPLAND = 40


class CdlJob:
    """The CDL of the study."""

    def __init__(self, asset: str, study: Study) -> None:
        self.assets: tuple[str, ...] = (asset,)
        self._grid = label_grid(study.area.bounds)
        self._bounds = study.area.bounds

    def blocks(self, block_px: int) -> int:
        """How many blocks `run` goes through."""
        return block_count(self._grid, block_px)

    def run(self, archive: Path, made_by: Mapping[str, Any], seed: int, year: int, block_px: int) -> Iterator[str]:
        """Write the map; yields its id after each block."""
        final = archive / self.assets[0]
        with asset_folder(final) as folder:
            with (
                create(folder, "cropland", self._grid, "uint8", 0) as cropland,
                create(folder, "confidence", self._grid, "uint8", 0) as confidence,
            ):
                cropland.write_colormap(1, dict.fromkeys(range(256), (0, 0, 0, 255)) | _colors())
                for window in tiles(self._grid.shape_yx, (block_px, block_px)):
                    part = self._grid.window(window)
                    codes, sure = labels(part, seed, year)
                    inside = covered(part, self._bounds)
                    cropland.write(np.where(inside, codes, 0).astype(np.uint8), 1, window=raster_window(window))
                    confidence.write(np.where(inside, sure, 0).astype(np.uint8), 1, window=raster_window(window))
                    yield self.assets[0]
            finish(folder, final, {"cropland": self._grid, "confidence": self._grid}, of_year(year), made_by)


class WorldCoverJob:
    """WorldCover of the study: `Map`, uint8, 0 = no data, on its own lattice of 1/12,000 degree."""

    def __init__(self, asset: str, study: Study) -> None:
        self.assets: tuple[str, ...] = (asset,)
        west, south, east, north = study.area.bounds
        spare = MARGIN_M / _METRES
        wide = spare / math.cos(math.radians(max(abs(south), abs(north))))
        left, top = math.floor((west - wide) * _PER_DEGREE), math.ceil((north + spare) * _PER_DEGREE)
        width, height = math.ceil((east + wide) * _PER_DEGREE) - left, top - math.floor((south - spare) * _PER_DEGREE)
        step = 1 / _PER_DEGREE
        self._grid = PixelGrid("EPSG:4326", (step, 0.0, left * step, 0.0, -step, top * step), width, height)

    def blocks(self, block_px: int) -> int:
        """How many blocks `run` goes through."""
        return block_count(self._grid, block_px)

    def run(self, archive: Path, made_by: Mapping[str, Any], seed: int, year: int, block_px: int) -> Iterator[str]:
        """Write the map; yields its id after each block."""
        final, classes = archive / self.assets[0], cover_classes()
        with asset_folder(final) as folder:
            with create(folder, "Map", self._grid, "uint8", 0) as cover:
                for window in tiles(self._grid.shape_yx, (block_px, block_px)):
                    codes, _ = labels(self._grid.window(window), seed, year)
                    cover.write(classes.take(codes), 1, window=raster_window(window))
                    yield self.assets[0]
            finish(folder, final, {"Map": self._grid}, of_year(year), made_by)


def cover_classes() -> npt.NDArray[np.uint8]:
    """WorldCover's code of each code of the landscape, (256,)."""
    table = np.full(256, _CROPLAND, np.uint8)
    for cover, codes in _COVER.items():
        table[list(codes)] = cover
    return table


def of_year(year: int) -> dict[str, Any]:
    """The properties of an annual asset."""
    start, end = (int(datetime.datetime(number, 1, 1, tzinfo=datetime.UTC).timestamp()) * 1000 for number in (year, year + 1))
    return {"system:time_start": start, "system:time_end": end, "system:index": str(year)}


def jobs(study: Study, archive: Path) -> list[CdlJob | WorldCoverJob]:
    """The study's label asset, where it has one that the archive lacks."""
    asset = label_asset(study)
    if not asset or is_complete(archive / asset):
        return []
    return [CdlJob(asset, study) if study.labels and study.labels.legend == DEFAULT else WorldCoverJob(asset, study)]


def _colors() -> dict[int, tuple[int, int, int, int]]:
    return {item.code: (*item.color, 255) for item in cdl().codes if item.color}
