"""Land cover as a pure function of position in EPSG:5070 metres, seed and year."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.landscape.drainage import CREEKS, RIVERS, bank_distance
from cropcam.pipeline.landscape.fields import GRASS, MILE_M, QUARTER_M, Fields, Survey, fields, relief, survey
from cropcam.pipeline.landscape.noise import Floats, Metres, lattice_hash, mix, octaves, salt, unit, value_noise

Codes = npt.NDArray[np.uint8]
WATER, OPEN, LOW, MEDIUM, HIGH, BARREN = 111, 121, 122, 123, 124, 131
DECIDUOUS, EVERGREEN, MIXED, SHRUB, WOODY_WETLAND, HERBACEOUS_WETLAND = 141, 142, 143, 152, 190, 195
_TOWN_M, _CITY_M = 8_500.0, 42_000.0


class Cover(NamedTuple):
    """Land cover at each point: CDL code (uint8, never 0) and the field."""

    code: Codes
    fields: Fields


def land_cover(x_m: Metres, y_m: Metres, seed: int, year: int) -> Cover:
    """The true land cover at EPSG:5070 points (float64, 2-D, equal shapes) in one crop year."""
    at = survey(x_m, y_m)
    under = fields(at, seed, year)
    rough = relief(x_m, y_m, seed)
    river_m, creek_m = _drainage(x_m, y_m, seed)
    code = _woods(under.code, x_m, y_m, rough, river_m, creek_m, seed)
    code = _wetlands(code, x_m, y_m, river_m, creek_m, seed)
    code = _farmsteads(code, at, seed)
    code = _towns(code, x_m, y_m, at, seed)
    wet = (river_m < 0) | (creek_m < 0)
    code = np.where(wet, WATER, code)
    code = _roads(code, at, rough, wet, seed)
    return Cover(code.astype(np.uint8), under)


def _drainage(x_m: Metres, y_m: Metres, seed: int) -> tuple[Floats, Floats]:
    """Metres to the bank of the nearest river and of the nearest creek, negative in the water; both meander."""

    def lowland(x: Metres, y: Metres) -> Floats:
        slope = (x * 0.3 + y * 0.9) * 6e-6
        return np.asarray(slope.astype(np.float32) + np.float32(0.8) * octaves(x, y, (60_000.0, 24_000.0), salt(seed, "lowland"), 0.7))

    def upland(x: Metres, y: Metres) -> Floats:
        valley = np.minimum(bank_distance(x, y, RIVERS, lowland, seed) / np.float32(5000), 1)
        return np.asarray(valley + np.float32(0.35) * octaves(x, y, (9_000.0, 3_500.0), salt(seed, "upland"), 0.7))

    bends = [octaves(x_m, y_m, (1_900.0, 700.0, 260.0), salt(seed, "bend", axis), 0.5) for axis in "xy"]
    wide = [x_m + 330.0 * bends[0], y_m + 330.0 * bends[1]]
    narrow = [x_m + 115.0 * bends[1], y_m + 115.0 * bends[0]]
    return bank_distance(wide[0], wide[1], RIVERS, lowland, seed), bank_distance(narrow[0], narrow[1], CREEKS, upland, seed)


def _woods(code: Codes, x_m: Metres, y_m: Metres, rough: Floats, river_m: Floats, creek_m: Floats, seed: int) -> Codes:
    """Woodland along drainage and on dissected land, with grass and shrub at its edge."""
    near = np.exp(np.maximum(creek_m, 0) * np.float32(-1 / 130.0)) + np.exp(np.maximum(river_m, 0) * np.float32(-1 / 420.0))
    detail = octaves(x_m, y_m, (1_700.0, 600.0, 200.0, 80.0), salt(seed, "woods"), 0.72)
    amount = np.float32(0.95) * rough + np.float32(0.62) * detail + np.float32(1.3) * near - np.float32(1.42)
    edge = value_noise(x_m, y_m, 340.0, salt(seed, "edge"))
    rows = (creek_m < 20) & (rough > -0.9)  # grassed waterways
    code = np.where((amount > -0.26 + 0.3 * edge) | rows, GRASS, code)
    kind = octaves(x_m, y_m, (2_500.0, 400.0), salt(seed, "conifers"))
    wood = np.where(kind > 2.0, EVERGREEN, np.where(kind > 1.65, MIXED, DECIDUOUS))
    code = np.where((amount > -0.03) & (edge > 0.8), SHRUB, code)
    return np.where(amount > 0, wood, code).astype(np.uint8)


def _wetlands(code: Codes, x_m: Metres, y_m: Metres, river_m: Floats, creek_m: Floats, seed: int) -> Codes:
    """Flooded woods and marsh on the flood plain and around lakes."""
    soak = octaves(x_m, y_m, (1_200.0, 300.0), salt(seed, "soak"), 0.7)
    plain = np.float32(260) + np.float32(170) * soak
    code = np.where((river_m < plain) & (code >= DECIDUOUS) & (code <= MIXED), WOODY_WETLAND, code)
    marsh = ((river_m < plain - 200) & (soak > 0.9)) | ((creek_m < 25) & (soak > 1.5))
    return np.where(marsh, HERBACEOUS_WETLAND, code).astype(np.uint8)


def _farmsteads(code: Codes, at: Survey, seed: int) -> Codes:
    """A yard with buildings and a windbreak beside the road, in two of five quarter sections."""
    c0, r0 = int(at.column.min()), int(at.row.min())
    columns, rows = np.meshgrid(np.arange(c0, int(at.column.max()) + 1), np.arange(r0, int(at.row.max()) + 1))
    where = (at.row - r0) * columns.shape[1] + (at.column - c0)
    h = lattice_hash(columns, rows, salt(seed, "farm"))
    place_u = np.where(columns % 2 == 0, 75.0, QUARTER_M - 75.0)
    place_v = 90.0 + 620.0 * unit(mix(h))
    half_m = np.where(unit(h) < 0.4, 28.0 + 34.0 * unit(mix(h + np.uint32(1))), -1e6)
    du = np.abs(at.u_m - at.column * QUARTER_M - place_u.ravel().take(where))
    dv = at.v_m - at.row * QUARTER_M - place_v.ravel().take(where)
    half = half_m.ravel().take(where)
    open_land = code < WATER
    yard = (du < half) & (np.abs(dv) < half) & open_land
    trees = (du < half) & (dv >= half) & (dv < half + 30) & open_land
    return np.where(yard, OPEN, np.where(trees, DECIDUOUS, code)).astype(np.uint8)


def _towns(code: Codes, x_m: Metres, y_m: Metres, at: Survey, seed: int) -> Codes:
    """Villages and cities: open lots outside, dense in the middle; quarries here and there."""
    built = np.full(x_m.shape, -1.0, np.float32)
    for cell_m, share, low_m, high_m, name in ((_TOWN_M, 0.42, 250.0, 1_300.0, "town"), (_CITY_M, 0.55, 2_200.0, 5_500.0, "city")):
        built = np.maximum(built, _settlement(x_m, y_m, cell_m, share, low_m, high_m, salt(seed, name)))
    block = unit(lattice_hash(np.floor(at.u_m / 62.0).astype(np.int32), np.floor(at.v_m / 62.0).astype(np.int32), salt(seed, "block")))
    built += np.float32(0.2) * octaves(x_m, y_m, (1_500.0, 420.0), salt(seed, "sprawl"))
    dense = built + np.float32(0.55) * (block - np.float32(0.5))
    lots = np.where(dense > 0.98, HIGH, np.where(dense > 0.68, MEDIUM, np.where(dense > 0.22, LOW, OPEN)))
    code = np.where((built > 0) & ((code < DECIDUOUS) | (code > MIXED) | (built > 0.35)), lots, code)
    pit = _settlement(x_m, y_m, 16_000.0, 0.3, 120.0, 420.0, salt(seed, "quarry")) > 0.25
    return np.where(pit, BARREN, code).astype(np.uint8)


def _settlement(x_m: Metres, y_m: Metres, cell_m: float, share: float, low_m: float, high_m: float, key: int) -> Floats:
    """1 - distance / radius of the nearest settlement's middle, scaled so that bigger ones are denser; -1 far away."""
    cx, cy = np.floor(x_m / cell_m), np.floor(y_m / cell_m)
    x0, y0 = int(cx.min()) - 1, int(cy.min()) - 1
    ix, iy = np.meshgrid(np.arange(x0, int(cx.max()) + 2), np.arange(y0, int(cy.max()) + 2))
    h = lattice_hash(ix, iy, key)
    cover = np.full(x_m.shape, -1.0, np.float32)
    size = unit(mix(h + np.uint32(1))) ** 3
    for i in np.flatnonzero(unit(h).ravel() < share):
        radius_m = low_m + (high_m - low_m) * float(size.ravel()[i])
        mx = (float(ix.ravel()[i]) + 0.2 + 0.6 * float(unit(mix(h + np.uint32(2))).ravel()[i])) * cell_m
        my = (float(iy.ravel()[i]) + 0.2 + 0.6 * float(unit(mix(h + np.uint32(3))).ravel()[i])) * cell_m
        reach = 2 * radius_m
        if mx + reach < x_m.min() or mx - reach > x_m.max() or my + reach < y_m.min() or my - reach > y_m.max():
            continue
        away = np.hypot(x_m - mx, y_m - my) / radius_m
        dense = 0.62 + 0.5 * min(radius_m / 2_500.0, 1.0)
        np.maximum(cover, ((1 - away) * dense).astype(np.float32), out=cover)
    return np.maximum(cover, np.float32(-1))


def _roads(code: Codes, at: Survey, rough: Floats, wet: npt.NDArray[np.bool_], seed: int) -> Codes:
    """Section roads every mile, most of them kept up, some wider; fewer on dissected land; they bridge the water if wide."""
    line_u, line_v = np.rint(at.u_m / MILE_M), np.rint(at.v_m / MILE_M)
    off_u, off_v = np.abs(at.u_m - line_u * MILE_M), np.abs(at.v_m - line_v * MILE_M)
    kept = np.float32(0.9) - np.float32(0.22) * np.maximum(rough, 0)
    for off, line, along, name in ((off_u, line_u, at.row >> 1, "road-n"), (off_v, line_v, at.column >> 1, "road-e")):
        key = salt(seed, name)
        near = np.flatnonzero(off < 40)
        whole = unit(lattice_hash(line.ravel()[near].astype(np.int32), 0, key))
        piece = unit(lattice_hash(line.ravel()[near].astype(np.int32), along.ravel()[near], key))
        highway = whole < 0.12
        there = highway | (piece < kept.ravel()[near])
        hit = there & (off.ravel()[near] < np.where(highway, 23.0, 14.5)) & (~wet.ravel()[near] | highway)
        kind = np.where(highway, np.where(piece < 0.2, MEDIUM, LOW), np.where(piece < 0.35, LOW, OPEN))
        flat = code.ravel()
        flat[near[hit]] = kind[hit]
        code = flat.reshape(code.shape)
    return code
