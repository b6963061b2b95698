"""Scenes and labels as arrays, block by block: the product of a pass, or CDL, in one window of its grid."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.crs import same_crs, transform_points
from cropcam.pipeline.encoding import OFFSET, SCALE
from cropcam.pipeline.grid import CDL_CRS, CDL_ORIGIN_XY, PixelGrid, Window
from cropcam.pipeline.landscape import atmosphere as sky
from cropcam.pipeline.landscape.cover import Codes, Cover, land_cover
from cropcam.pipeline.landscape.frames import MARGIN_M, Frame, Scene
from cropcam.pipeline.landscape.noise import Metres, lattice_hash, salt, uniform_bytes, unit, value_noise
from cropcam.pipeline.landscape.spectra import BANDS
from cropcam.pipeline.landscape.surface import Surface, blur

# Standard deviation of the noise of a single look, per band, in reflectance.
LOOK_NOISE = (0.0009, 0.0009, 0.0012, 0.0013, 0.0045, 0.0028, 0.0020)
_CONFUSED_WITH = {
    1: 5,
    5: 1,
    24: 176,
    26: 24,
    28: 24,
    36: 37,
    37: 176,
    61: 176,
    176: 37,
    141: 143,
    143: 141,
    142: 143,
    190: 141,
    152: 176,
    195: 190,
}


class Block(NamedTuple):
    """One window of a scene."""

    dn: npt.NDArray[np.uint16]  # (BANDS, rows, columns), 0 = fill
    qa_pixel: npt.NDArray[np.uint16]
    qa_radsat: npt.NDArray[np.uint16]


class Look(NamedTuple):
    """What a pass sees of one window through the air."""

    seen: list[npt.NDArray[np.float32]]  # reflectance by band, without the sensor's noise
    over: sky.Air
    is_water: npt.NDArray[np.bool_]


class Land:
    """One window of a grid, one pixel wider on each side: positions, and surfaces by crop year, made once."""

    def __init__(self, grid: PixelGrid, window: Window, seed: int) -> None:
        self.x_m, self.y_m = positions(grid.window(Window(window.row - 1, window.col - 1, window.height + 2, window.width + 2)))
        self._grid, self._window, self._seed = grid, window, seed
        self._surfaces: dict[int, Surface] = {}

    def surface(self, year: int) -> Surface:
        """The surface in one crop year."""
        if year not in self._surfaces:
            self._surfaces[year] = Surface(land_cover(self.x_m, self.y_m, self._seed, year), self.x_m, self.y_m, self._seed)
        return self._surfaces[year]

    def look(self, date: datetime.date, key: int) -> Look:
        """The window on one date under the weather of a key."""
        weather = sky.sky(date, key)
        over = sky.air(weather, self.x_m[1:-1, 1:-1], self.y_m[1:-1, 1:-1])
        surface = self.surface(date.year)
        snow = None if over.snow is None else np.pad(over.snow, 1, mode="edge")
        image = blur(surface.at(date, snow))
        seen = [sky.through(band, image[band], weather, over) for band in range(len(image))]
        return Look(seen, over, surface.is_water[1:-1, 1:-1])

    def noise(self, keys: Sequence[int]) -> list[npt.NDArray[np.float32]]:
        """Noise of single pixels, four layers a key, mean 0, standard deviation 1; by the pixel's place in its CRS."""
        window, (side_m, _, west, _, _, north) = self._window, self._grid.transform
        top, left = round(north / side_m), round(west / side_m)
        rows, columns = np.arange(window.row, window.row + window.height), np.arange(window.col, window.col + window.width)
        return [values for key in keys for values in uniform_bytes(lattice_hash((columns + left)[None, :], (top - rows)[:, None], key))]


class Ground(Land):
    """One window of a frame."""

    def __init__(self, frame: Frame, window: Window, seed: int) -> None:
        super().__init__(frame.grid, window, seed)
        self._frame = frame

    def block(self, scene: Scene) -> Block:
        """The product of one pass in the window."""
        window, seed = self._window, self._seed
        shape = (window.height, window.width)
        x, y = self._frame.grid.window(window).centres()
        is_seen = self._frame.footprint(x[None, :], y[:, None], scene.sway_m(seed))
        if not is_seen.any():
            return Block(np.zeros((BANDS, *shape), np.uint16), np.ones(shape, np.uint16), np.zeros(shape, np.uint16))
        seen, over, is_water = self.look(scene.date, scene.key(seed, "sky"))
        noise = self.noise([scene.key(seed, "look", str(i)) for i in (0, 1)])
        dn = np.empty((BANDS, *shape), np.uint16)
        radsat = np.zeros(shape, np.uint16)
        for band in range(BANDS):
            value = seen[band] + noise[band] * np.float32(LOOK_NOISE[band])
            radsat |= ((value > sky.SATURATED) & is_seen).astype(np.uint16) << np.uint16(band)
            dn[band] = np.where(is_seen, to_dn(value), 0)
        return Block(dn, np.where(is_seen, sky.qa_pixel(over, is_water), np.uint16(1)), radsat)


def to_dn(reflectance: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Collection 2 DN (uint16, 1..65535) of reflectance, rounded half up; never 0, which is fill."""
    dn = reflectance * np.float32(1 / SCALE)
    dn += np.float32(-OFFSET / SCALE + 0.5)
    return np.asarray(np.clip(dn, 1, 65535).astype(np.uint16))


def positions(grid: PixelGrid) -> tuple[Metres, Metres]:
    """EPSG:5070 metres of every pixel centre of a grid, each float64 of the grid's shape."""
    x, y = np.meshgrid(*grid.centres())
    return (x, y) if same_crs(grid.crs, CDL_CRS) else transform_points(grid.crs, CDL_CRS, x, y)


def labels(grid: PixelGrid, seed: int, year: int) -> tuple[Codes, npt.NDArray[np.uint8]]:
    """CDL on a grid in EPSG:5070: codes with errors, and confidence in per cent (both uint8).

    Errors are distributed as in CDL: at edges, where a pixel takes its neighbour's code, and in blotches inside the few
    ambiguous fields.
    """
    x_m, y_m = positions(grid.window(Window(-1, -1, grid.height + 2, grid.width + 2)))
    cover = land_cover(x_m, y_m, seed, year)
    truth = cover.code[1:-1, 1:-1]
    ix, iy = np.floor(x_m[1:-1, 1:-1] / 30).astype(np.int32), np.floor(y_m[1:-1, 1:-1] / 30).astype(np.int32)
    draw = lattice_hash(ix, iy, salt(seed, "label", year))
    chance = unit(draw)
    mapped = truth.copy()
    for k, (dy, dx) in enumerate(((0, 1), (2, 1), (1, 0), (1, 2))):
        taken = (chance >= 0.028 * k) & (chance < 0.028 * (k + 1))
        mapped = np.where(taken, cover.code[dy : dy + grid.height, dx : dx + grid.width], mapped)
    edge = np.zeros(truth.shape, bool)
    for dy, dx in ((0, 1), (2, 1), (1, 0), (1, 2)):
        edge |= cover.code[dy : dy + grid.height, dx : dx + grid.width] != truth
    mapped, doubt = _blotches(mapped, cover, x_m, y_m, draw, seed, year)
    firm = 88 + 11 * unit(draw * np.uint32(3))
    confidence = np.where(
        doubt | (mapped != truth), 30 + 35 * unit(draw * np.uint32(5)), np.where(edge, 50 + 40 * unit(draw * np.uint32(7)), firm)
    )
    return mapped.astype(np.uint8), confidence.astype(np.uint8)


def _blotches(
    mapped: Codes, cover: Cover, x_m: Metres, y_m: Metres, draw: npt.NDArray[np.uint32], seed: int, year: int
) -> tuple[Codes, npt.NDArray[np.bool_]]:
    confused = np.arange(256, dtype=np.uint8)
    confused[list(_CONFUSED_WITH)] = list(_CONFUSED_WITH.values())
    inner = (slice(1, -1), slice(1, -1))
    hard = unit(cover.fields.hashes[inner] ^ np.uint32(salt(seed, "hard", year))) < 0.08
    doubt = hard & (value_noise(x_m[inner], y_m[inner], 130.0, salt(seed, "blotch", year)) > 0.66)
    taken = doubt & (unit(draw * np.uint32(9)) < 0.7)
    return np.where(taken, confused.take(mapped), mapped).astype(np.uint8), doubt


def label_grid(bounds_xyxy: tuple[float, float, float, float]) -> PixelGrid:
    """CDL's lattice over an area in degrees and a margin."""
    west, south, east, north = bounds_xyxy
    edge = np.linspace(0, 1, 101)
    lon = np.concatenate([west + edge * (east - west)] * 2 + [np.full(101, west), np.full(101, east)])
    lat = np.concatenate([np.full(101, south), np.full(101, north)] + [south + edge * (north - south)] * 2)
    x, y = transform_points("EPSG:4326", CDL_CRS, lon, lat)
    x0, y0 = CDL_ORIGIN_XY
    left, right = math.floor((x.min() - MARGIN_M - x0) / 30), math.ceil((x.max() + MARGIN_M - x0) / 30)
    bottom, top = math.floor((y.min() - MARGIN_M - y0) / 30), math.ceil((y.max() + MARGIN_M - y0) / 30)
    return PixelGrid(CDL_CRS, (30.0, 0.0, x0 + left * 30.0, 0.0, -30.0, y0 + top * 30.0), right - left, top - bottom)


def covered(grid: PixelGrid, bounds_xyxy: tuple[float, float, float, float]) -> npt.NDArray[np.bool_]:
    """Whether pixels lie within the area and half the margin: CDL is 0 outside its coverage."""
    west, south, east, north = bounds_xyxy
    spare = MARGIN_M / 2 / 111_320
    wide = spare / math.cos(math.radians(max(abs(south), abs(north))))
    x, y = np.meshgrid(*grid.centres())
    lon, lat = transform_points(CDL_CRS, "EPSG:4326", x, y)
    return np.asarray((lon > west - wide) & (lon < east + wide) & (lat > south - spare) & (lat < north + spare))
