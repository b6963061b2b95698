"""Sentinel-2 scenes and their cloud scores, block by block: the land and the weather of the Landsat scenes in pixels of 10 and 20 m.

Source: ESA, Sentinel-2 User Handbook (bands, tiles of 109.8 km in UTM, SCL); Earth Engine Data Catalog,
COPERNICUS_S2_SR_HARMONIZED, GOOGLE_CLOUD_SCORE_PLUS_V1_S2_HARMONIZED.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.grid import Window, tiles
from cropcam.pipeline.landscape import atmosphere as sky
from cropcam.pipeline.landscape.assets import asset_folder, block_count, create, finish, in_parts, is_complete, raster_window
from cropcam.pipeline.landscape.noise import salt
from cropcam.pipeline.landscape.scenes import Land
from cropcam.pipeline.landscape.utm_tiles import Tile, coarser, utm_tiles
from cropcam.pipeline.study.study import Study

COLLECTION = "COPERNICUS/S2_SR_HARMONIZED"
SCORES = "GOOGLE/CLOUD_SCORE_PLUS/V1/S2_HARMONIZED"
SPACING_M, SIDE_M = 100_000.0, 109_800.0
REPEAT_DAYS = 5  # of both satellites together
_FIRST_PASS = datetime.date(2018, 1, 2).toordinal()
# band: (side of a pixel in 10 m, share of the way from the first Landsat band to the second, their indices)
BANDS: Mapping[str, tuple[int, float, int, int]] = {
    "B2": (1, 0.0, 1, 1), "B3": (1, 0.0, 2, 2), "B4": (1, 0.0, 3, 3), "B8": (1, 0.0, 4, 4),
    "B5": (2, 0.17, 3, 4), "B6": (2, 0.72, 3, 4), "B7": (2, 0.92, 3, 4), "B8A": (2, 1.03, 3, 4), "B11": (2, 0.0, 5, 5), "B12": (2, 0.0, 6, 6),
}  # fmt: skip
LOOK_NOISE = 0.0015  # standard deviation of a single look at 10 m, in reflectance
_SHADOW, _PLANTS, _SOIL, _WATER, _UNSURE, _CLOUD_MEDIUM, _CLOUD_HIGH, _CIRRUS, _SNOW = range(3, 12)
_BRIGHTNESS = 10_000


@dataclass(frozen=True)
class Pass:
    """One acquisition of a tile."""

    tile: Tile
    date: datetime.date

    @property
    def index(self) -> str:
        """system:index, such as 20180705T165849_20180705T170523_T15TYH."""
        return f"{self.date:%Y%m%d}T165849_{self.date:%Y%m%d}T170523_T{self.tile.name}"

    @property
    def time_start_ms(self) -> int:
        """system:time_start: milliseconds since 1970, UTC."""
        return int(datetime.datetime.combine(self.date, datetime.time(16, 58, 49), datetime.UTC).timestamp()) * 1000

    def key(self, seed: int, *names: str) -> int:
        """A salt for the weather of the day, equal in every tile."""
        return salt(seed, COLLECTION, self.date.isoformat(), *names)


class Product(NamedTuple):
    """One window of a scene: values by band in the band's own pixels."""

    bands: dict[str, npt.NDArray[np.uint16]]
    scl: npt.NDArray[np.uint8]  # 20 m
    cs: npt.NDArray[np.float32]  # 10 m, 1 = clear


class TileJob:
    """Several dates of one tile with their cloud scores, written together."""

    def __init__(self, tile: Tile, passes: Sequence[Pass]) -> None:
        self._tile, self._passes = tile, passes
        self.assets = tuple(f"{collection}/{each.index}" for each in passes for collection in (COLLECTION, SCORES))

    def blocks(self, block_px: int) -> int:
        """How many blocks `run` goes through."""
        return block_count(self._tile.grid, block_px)

    def run(self, archive: Path, made_by: Mapping[str, Any], seed: int, year: int, block_px: int) -> Iterator[str]:  # noqa: ARG002 - one shape for all jobs
        """Write the scenes; yields the first asset's id after each block."""
        grid, cloudy = self._tile.grid, np.zeros(len(self._passes))
        half = coarser(grid, 2)
        grids = {band: grid if side == 1 else half for band, (side, *_) in BANDS.items()} | {"SCL": half}
        with ExitStack() as stack:
            folders = [
                [stack.enter_context(asset_folder(archive / collection / each.index)) for collection in (COLLECTION, SCORES)]
                for each in self._passes
            ]
            with ExitStack() as files:
                writers = []
                for scene, scores in folders:
                    of = {band: files.enter_context(create(scene, band, grids[band], "uint16", 0)) for band in BANDS}
                    of["SCL"] = files.enter_context(create(scene, "SCL", half, "uint8", None))
                    writers.append(
                        of | {band: files.enter_context(create(scores, band, grid, "float32", None)) for band in ("cs", "cs_cdf")}
                    )
                for window in tiles(grid.shape_yx, (block_px, block_px)):
                    ground = Ground(grid, window, seed)
                    for number, each in enumerate(self._passes):
                        product = ground.product(each)
                        _write(writers[number], product, window)
                        cloudy[number] += int(np.isin(product.scl, (_CLOUD_MEDIUM, _CLOUD_HIGH, _CIRRUS)).sum()) / (
                            half.width * half.height
                        )
                    yield self.assets[0]
            for (scene, scores), each, share in zip(folders, self._passes, cloudy, strict=True):
                about = {"system:time_start": each.time_start_ms, "system:index": each.index, "MGRS_TILE": self._tile.name}
                more = {
                    "CLOUDY_PIXEL_PERCENTAGE": round(100 * share, 4),
                    "SPACECRAFT_NAME": "Sentinel-2A" if each.date.toordinal() % 2 else "Sentinel-2B",
                }
                finish(scores, archive / SCORES / each.index, {"cs": grid, "cs_cdf": grid}, about, made_by)
                finish(scene, archive / COLLECTION / each.index, grids, about | more, made_by)


class Ground(Land):
    """One window of a tile's grid of 10 m."""

    def product(self, each: Pass) -> Product:
        """The scene and the score of one pass in the window, whose sides are even."""
        seen, over, is_water = self.look(each.date, each.key(self._seed, "sky"))
        noise = self.noise([each.key(self._seed, "look", str(i)) for i in range(3)])
        bands = {}
        for number, (band, (side, share, first, second)) in enumerate(BANDS.items()):
            value = between(seen, share, first, second) + noise[number % len(noise)] * np.float32(LOOK_NOISE)
            bands[band] = _dn(value if side == 1 else _halved(value))
        return Product(bands, _scl(over, is_water, seen), _score(over))


def between(seen: Sequence[npt.NDArray[np.float32]], share: float, first: int, second: int) -> npt.NDArray[np.float32]:
    """Reflectance at a share of the way from one band to another."""
    return np.asarray(seen[first] + np.float32(share) * (seen[second] - seen[first]))


def jobs(study: Study, archive: Path, dates_at_once: int) -> list[TileJob]:
    """The scenes of the study's area and period that the archive lacks."""
    found = []
    for tile in utm_tiles(study.area.bounds, SPACING_M, SIDE_M):
        left = [
            each
            for each in passes(study, tile)
            if not all(is_complete(archive / collection / each.index) for collection in (COLLECTION, SCORES))
        ]
        found += [TileJob(tile, part) for part in in_parts(left, dates_at_once)]
    return found


def passes(study: Study, tile: Tile) -> list[Pass]:
    """Every pass over a tile between the first season's start and the last one's end."""
    first, last = (day.toordinal() for day in study.image.period)
    day = first + (_FIRST_PASS - first) % REPEAT_DAYS
    return [Pass(tile, datetime.date.fromordinal(number)) for number in range(day, last, REPEAT_DAYS)]


def assets(study: Study) -> list[str]:
    """Ids of all assets that `jobs` makes in an empty archive."""
    every = [each for tile in utm_tiles(study.area.bounds, SPACING_M, SIDE_M) for each in passes(study, tile)]
    return [f"{collection}/{each.index}" for each in every for collection in (COLLECTION, SCORES)]


def _write(writers: Mapping[str, Any], product: Product, window: Window) -> None:
    half = Window(window.row // 2, window.col // 2, window.height // 2, window.width // 2)
    for band, values in product.bands.items():
        writers[band].write(values, 1, window=raster_window(window if BANDS[band][0] == 1 else half))
    writers["SCL"].write(product.scl, 1, window=raster_window(half))
    for band in ("cs", "cs_cdf"):
        writers[band].write(product.cs, 1, window=raster_window(window))


def _dn(reflectance: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Stored values (uint16, 1..65535), rounded half up; never 0, which is no data."""
    return np.asarray(np.clip(reflectance * np.float32(_BRIGHTNESS) + np.float32(0.5), 1, 65535).astype(np.uint16))


def _halved(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Means of 2 x 2 pixels."""
    height, width = values.shape
    return np.asarray(values.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3), dtype=np.float32))


def _scl(over: sky.Air, is_water: npt.NDArray[np.bool_], seen: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.uint8]:
    """The scene classification at 20 m, of every second pixel; thin clouds are often missed, as by the real one."""
    ndvi = (seen[4] - seen[3]) / np.maximum(seen[4] + seen[3], 1e-3)
    found = np.where(ndvi > 0.4, _PLANTS, np.where(ndvi < 0.25, _SOIL, _UNSURE))
    found = np.where(is_water, _WATER, found)
    found = found if over.snow is None else np.where(over.snow > 0.5, _SNOW, found)
    for flags, code in (
        (over.is_shadow, _SHADOW),
        (over.is_cirrus, _CIRRUS),
        (over.is_thin_cloud, _CLOUD_MEDIUM),
        (over.is_cloud, _CLOUD_HIGH),
    ):
        found = np.where(flags, code, found)
    return np.asarray(found[::2, ::2].astype(np.uint8))


def _score(over: sky.Air) -> npt.NDArray[np.float32]:
    """How clear a pixel is, float32 from 0 to 1."""
    veil = np.maximum(over.cloud, np.float32(0.8) * over.shadow)
    veil = veil + np.float32(2) * over.cirrus + np.float32(4) * over.haze
    return np.asarray(np.clip(1 - veil, 0, 1).astype(np.float32))
