"""Harmonized Landsat Sentinel-2: the passes of Landsat 8 and 9 and of Sentinel-2 as reflectance in one grid of 30 m, with Fmask.

The sky of a pass is that of the same pass in the archives of Landsat and Sentinel-2. Pixels are computed at 30 m, not resampled.

Source: NASA LP DAAC, HLS User Guide v2.0 (tiles of 109.8 km in UTM, bands in Landsat 8's band passes, int16 times 0.0001, bits of Fmask);
Earth Engine Data Catalog, NASA_HLS_HLSL30_v002, NASA_HLS_HLSS30_v002.
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

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.grid import tiles
from cropcam.pipeline.landscape import atmosphere as sky
from cropcam.pipeline.landscape.assets import asset_folder, block_count, create, finish, in_parts, is_complete, raster_window
from cropcam.pipeline.landscape.frames import Frame, Scene, scenes
from cropcam.pipeline.landscape.scenes import LOOK_NOISE, Land
from cropcam.pipeline.landscape.sentinel import BANDS as SENTINEL_BANDS
from cropcam.pipeline.landscape.sentinel import LOOK_NOISE as SENTINEL_NOISE
from cropcam.pipeline.landscape.sentinel import SIDE_M, SPACING_M, Pass, between, passes
from cropcam.pipeline.landscape.utm_tiles import Tile, coarser, utm_tiles
from cropcam.pipeline.study.study import Study

LANDSAT, SENTINEL = "NASA/HLS/HLSL30/v002", "NASA/HLS/HLSS30/v002"
_FACTOR = 3  # 10 m pixels of a tile's grid in one of 30 m
# band: (share of the way from the first Landsat band to the second, their indices); HLS adjusts B8A to Landsat's near infrared
COLLECTIONS: Mapping[str, Mapping[str, tuple[float, int, int]]] = {
    LANDSAT: {f"B{band + 1}": (0.0, band, band) for band in range(7)},
    SENTINEL: {"B1": (0.0, 0, 0)}
    | {band: (share, first, second) for band, (_, share, first, second) in SENTINEL_BANDS.items()}
    | {"B8A": (0.0, 4, 4)},
}
_LANDSATS = {"LANDSAT/LC08/C02/T1_L2": datetime.date.min, "LANDSAT/LC09/C02/T1_L2": datetime.date(2021, 10, 31)}  # first scene
_CLOUD, _ADJACENT, _SHADOW, _SNOW, _WATER = range(1, 6)
_NODATA, _FMASK_NODATA = -9999, 255
_SCALE = 0.0001


@dataclass(frozen=True)
class Granule:
    """One acquisition of a tile."""

    collection: str
    tile: Tile
    sensed: Pass | Scene
    rows: tuple[Scene, ...] = ()  # of Landsat: the rows of the path, which are seen in one pass; Sentinel-2 sees the tile whole

    @property
    def time_start_ms(self) -> int:
        """system:time_start: milliseconds since 1970, UTC."""
        return self.sensed.time_start_ms

    @property
    def index(self) -> str:
        """system:index, such as T15TYH_20180705T165849."""
        return f"T{self.tile.name}_{datetime.datetime.fromtimestamp(self.time_start_ms / 1000, datetime.UTC):%Y%m%dT%H%M%S}"

    @property
    def asset(self) -> str:
        """The asset id."""
        return f"{self.collection}/{self.index}"


class Product(NamedTuple):
    """One window of a granule."""

    bands: dict[str, npt.NDArray[np.float32]]  # reflectance, -9999 = not seen
    fmask: npt.NDArray[np.uint8]  # 255 = not seen


class GranuleJob:
    """Several granules of one tile, written together."""

    def __init__(self, tile: Tile, granules: Sequence[Granule]) -> None:
        self._granules, self._grid = granules, coarser(tile.grid, _FACTOR)
        self.assets = tuple(each.asset for each in granules)

    def blocks(self, block_px: int) -> int:
        """How many blocks `run` goes through."""
        return block_count(self._grid, block_px)

    def run(self, archive: Path, made_by: Mapping[str, Any], seed: int, year: int, block_px: int) -> Iterator[str]:  # noqa: ARG002 - one shape for all jobs
        """Write the granules; yields the first asset's id after each block."""
        grid, (hidden, pixels) = self._grid, np.zeros((2, len(self._granules)))
        with ExitStack() as stack:
            folders = [stack.enter_context(asset_folder(archive / asset)) for asset in self.assets]
            with ExitStack() as files:
                writers = [
                    {band: files.enter_context(create(folder, band, grid, "float32", _NODATA)) for band in COLLECTIONS[each.collection]}
                    | {"Fmask": files.enter_context(create(folder, "Fmask", grid, "uint8", _FMASK_NODATA))}
                    for folder, each in zip(folders, self._granules, strict=True)
                ]
                for window in tiles(grid.shape_yx, (block_px, block_px)):
                    ground = Ground(grid, window, seed)
                    for i, each in enumerate(self._granules):
                        product = ground.product(each)
                        for band, values in (product.bands | {"Fmask": product.fmask}).items():
                            writers[i][band].write(values, 1, window=raster_window(window))
                        is_seen = product.fmask != _FMASK_NODATA
                        pixels[i] += int(is_seen.sum())
                        hidden[i] += int((is_seen & (product.fmask & (1 << _CLOUD | 1 << _SHADOW) > 0)).sum())
                    yield self.assets[0]
            for i, each in enumerate(self._granules):
                about = {
                    "system:time_start": each.time_start_ms,
                    "system:index": each.index,
                    "CLOUD_COVERAGE": round(100 * hidden[i] / max(pixels[i], 1)),
                }
                finish(folders[i], archive / each.asset, dict.fromkeys(writers[i], grid), about, made_by)


class Ground(Land):
    """One window of a tile's grid of 30 m."""

    def product(self, each: Granule) -> Product:
        """The granule in the window."""
        is_seen = self._footprint(each)
        shape, bands = (self._window.height, self._window.width), COLLECTIONS[each.collection]
        if not is_seen.any():
            return Product({band: np.full(shape, _NODATA, np.float32) for band in bands}, np.full(shape, _FMASK_NODATA, np.uint8))
        seen, over, is_water = self.look(each.sensed.date, each.sensed.key(self._seed, "sky"))
        noise = self.noise([each.sensed.key(self._seed, "harmonized", str(i)) for i in range(3)])
        values = {}
        for number, (band, (share, first, second)) in enumerate(bands.items()):
            spread = LOOK_NOISE[first] if each.rows else SENTINEL_NOISE / _FACTOR  # of the mean of 3 x 3 looks
            value = between(seen, share, first, second) + noise[number] * np.float32(spread)
            values[band] = np.where(
                is_seen, np.floor(value / np.float32(_SCALE) + np.float32(0.5)) * np.float32(_SCALE), np.float32(_NODATA)
            )
        return Product(values, np.where(is_seen, fmask(over, is_water), np.uint8(_FMASK_NODATA)))

    def _footprint(self, each: Granule) -> npt.NDArray[np.bool_]:
        """Where the pass saw the window: in any of its rows."""
        grid = self._grid.window(self._window)
        is_seen = np.full(grid.shape_yx, not each.rows)
        for scene in each.rows:
            x, y = transform_points(grid.crs, scene.frame.grid.crs, *np.meshgrid(*grid.centres()))
            is_seen |= scene.frame.footprint(x, y, scene.sway_m(self._seed))
        return is_seen


def fmask(over: sky.Air, is_water: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Fmask of seen pixels (uint8): cloud with flagged cirrus, beside cloud or shadow, shadow, snow, water. No bits of cirrus or aerosol."""
    cloud = over.is_cloud | over.is_cirrus
    snow = np.zeros(cloud.shape, bool) if over.snow is None else (over.snow > 0.5) & ~cloud
    near = (over.is_thin_cloud | over.is_dilated | (over.shadow > 0)) & ~cloud & ~over.is_shadow
    flags = {_CLOUD: cloud, _ADJACENT: near, _SHADOW: over.is_shadow, _SNOW: snow, _WATER: is_water & ~cloud & ~snow}
    return np.asarray(sum(where.astype(np.uint8) << np.uint8(bit) for bit, where in flags.items()), np.uint8)


def jobs(study: Study, archive: Path, dates_at_once: int) -> list[GranuleJob]:
    """The granules of the study's area, period and collections that the archive lacks."""
    found = []
    for tile, granules in _planned(study):
        left = [each for each in granules if not is_complete(archive / each.asset)]
        found += [GranuleJob(tile, part) for part in in_parts(left, dates_at_once)]
    return found


def assets(study: Study) -> list[str]:
    """Ids of all assets that `jobs` makes in an empty archive."""
    return [each.asset for _, granules in _planned(study) for each in granules]


def _planned(study: Study) -> list[tuple[Tile, list[Granule]]]:
    """The tiles and their granules in the order of time; those of Landsat where the path passes over the tile."""
    collections = study.image.collections
    rows: dict[tuple[int, datetime.date], list[Scene]] = {}
    for scene in scenes(study, tuple(_LANDSATS)) if LANDSAT in collections else []:
        if scene.date >= _LANDSATS[scene.collection]:
            rows.setdefault((scene.frame.path, scene.date), []).append(scene)
    planned = []
    for tile in utm_tiles(study.area.bounds, SPACING_M, SIDE_M):
        found = [Granule(SENTINEL, tile, each) for each in passes(study, tile)] if SENTINEL in collections else []
        over = {frame for frame in {scene.frame for each in rows.values() for scene in each} if _passes_over(frame, tile)}
        parts = (tuple(scene for scene in each if scene.frame in over) for each in rows.values())
        found += [Granule(LANDSAT, tile, part[0], part) for part in parts if part]
        planned.append((tile, sorted(found, key=lambda granule: granule.time_start_ms)))
    return planned


def _passes_over(frame: Frame, tile: Tile) -> bool:
    """Whether an undisplaced pass sees any of 61 x 61 points of a tile."""
    west, south, east, north = tile.grid.bounds_xyxy
    x, y = np.meshgrid(np.linspace(west, east, 61), np.linspace(south, north, 61))
    return bool(frame.footprint(*transform_points(tile.grid.crs, frame.grid.crs, x, y), 0.0).any())
