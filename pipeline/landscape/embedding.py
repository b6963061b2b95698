"""Annual embeddings of the landscape: vectors of 64 numbers that depend on a pixel's spectra through the year.

A stand-in with the form of the AlphaEarth embeddings, not their model: a fixed random projection of reflectance at six dates, bent by
tanh and scaled to length 1.

Source: Earth Engine Data Catalog, GOOGLE_SATELLITE_EMBEDDING_V1_ANNUAL (tiles of 163,840 m in UTM, bands A00 to A63, one image a year).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.grid import Window, tiles
from cropcam.pipeline.landscape.assets import asset_folder, block_count, create, finish, is_complete, raster_window
from cropcam.pipeline.landscape.label_assets import of_year
from cropcam.pipeline.landscape.noise import salt
from cropcam.pipeline.landscape.scenes import Land
from cropcam.pipeline.landscape.surface import blur
from cropcam.pipeline.landscape.utm_tiles import Tile, utm_tiles
from cropcam.pipeline.study.study import Study

COLLECTION = "GOOGLE/SATELLITE_EMBEDDING/V1/ANNUAL"
SIDE_M = 163_840.0
BANDS = tuple(f"A{axis:02d}" for axis in range(64))
_NODATA = -9999
_DAYS = ((4, 15), (5, 20), (6, 20), (7, 20), (8, 25), (9, 25))
_OF_SPECTRA = (2, 3, 4, 5, 6)  # green to SWIR2
_MIDDLE, _SPREAD = (0.07, 0.07, 0.30, 0.24, 0.16), (0.03, 0.05, 0.12, 0.08, 0.08)
_NOISE = 0.05


class EmbeddingJob:
    """The image of one tile and year."""

    def __init__(self, tile: Tile, year: int) -> None:
        self._tile, self._year = tile, year
        self.assets: tuple[str, ...] = (asset(tile, year),)

    def blocks(self, block_px: int) -> int:
        """How many blocks `run` goes through."""
        return block_count(self._tile.grid, min(block_px, 256))

    def run(self, archive: Path, made_by: Mapping[str, Any], seed: int, year: int, block_px: int) -> Iterator[str]:  # noqa: ARG002 - that of the labels
        """Write the image; yields its id after each block."""
        grid, final = self._tile.grid, archive / self.assets[0]
        with asset_folder(final) as folder:
            with ExitStack() as files:
                writers = [files.enter_context(create(folder, band, grid, "float32", _NODATA)) for band in BANDS]
                for window in tiles(grid.shape_yx, (min(block_px, 256),) * 2):
                    for writer, values in zip(writers, vectors(self._tile, window, seed, self._year), strict=True):
                        writer.write(values, 1, window=raster_window(window))
                    yield self.assets[0]
            about = of_year(self._year) | {"system:index": self.assets[0].rpartition("/")[2], "UTM_ZONE": f"{self._tile.zone}N"}
            finish(folder, final, dict.fromkeys(BANDS, grid), about, made_by)


def vectors(tile: Tile, window: Window, seed: int, year: int) -> npt.NDArray[np.float32]:
    """The embeddings (64, rows, columns) of a window of a tile, of length 1."""
    land = Land(tile.grid, window, seed)
    surface = land.surface(year)
    seen = np.concatenate([blur(surface.at(datetime.date(year, *day)))[list(_OF_SPECTRA)] for day in _DAYS])
    middle, spread = (np.tile(np.array(values, np.float32), len(_DAYS))[:, None, None] for values in (_MIDDLE, _SPREAD))
    axes = np.tanh(np.tensordot(_projection(), (seen - middle) / spread, axes=1))
    for axis, noise in enumerate(land.noise([salt(seed, COLLECTION, year, part) for part in range(len(BANDS) // 4)])):
        axes[axis] += noise * np.float32(_NOISE)
    return np.asarray((axes / np.sqrt(np.square(axes).sum(axis=0))).astype(np.float32))


def jobs(study: Study, archive: Path, dates_at_once: int) -> list[EmbeddingJob]:  # noqa: ARG001 - one image at a time
    """The images of the study's area and years that the archive lacks."""
    return [EmbeddingJob(tile, year) for tile, year in _planned(study) if not is_complete(archive / asset(tile, year))]


def assets(study: Study) -> list[str]:
    """Ids of all assets that `jobs` makes in an empty archive."""
    return [asset(tile, year) for tile, year in _planned(study)]


def asset(tile: Tile, year: int) -> str:
    """The id of a tile's image of one year."""
    return f"{COLLECTION}/x{tile.zone:02d}{tile.name[2:]}_{year}"


def _planned(study: Study) -> list[tuple[Tile, int]]:
    """Tiles and the years that begin in a season."""
    days = [tuple(map(datetime.date.fromisoformat, season)) for season in study.image.seasons]
    years = sorted({year for start, end in days for year in range(start.year, end.year + 1) if start <= datetime.date(year, 1, 1) < end})
    return [(tile, year) for tile in utm_tiles(study.area.bounds, SIDE_M, SIDE_M) for year in years]


@cache
def _projection() -> npt.NDArray[np.float32]:
    """The same weights (64, features) for every seed and place."""
    weights = np.random.default_rng(2018).normal(size=(len(BANDS), len(_DAYS) * len(_OF_SPECTRA)))
    return np.asarray((weights / np.sqrt(weights.shape[1])).astype(np.float32))
