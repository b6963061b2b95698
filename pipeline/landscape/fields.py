"""Sections, quarter sections and fields, after the Public Land Survey System.

Land is addressed by u (metres east) and v (metres north), both derived from EPSG:5070 alone: Albers is a conic, so
meridians are rays from its apex and parallels are arcs around it. Each tier of four townships (24 miles) has its own
scale of u, which gives section lines that run true north and the survey's correction lines between tiers.

Source: BLM, Manual of Surveying Instructions (2009), chapters 2 and 3: section = 1 mile, quarter section = 1/2 mile,
standard parallels every 24 miles. Constants of EPSG:5070: Snyder (1987), USGS Prof. Paper 1395, eq. 14-1 to 14-6.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.landscape.noise import Floats, Hashes, Metres, lattice_hash, mix, normal, octaves, salt, unit

APEX_Y_M = 9_928_937.004248781  # y of the cone's apex in EPSG:5070
SOUTH_RADIUS_M = 8_600_000.0  # the v axis starts on this arc, about 35 N
MILE_M = 1609.344
QUARTER_M = MILE_M / 2
TIER_M = 24 * MILE_M
PARTS = 4
_NO_SPLIT = np.float32(2.0)
# CDL codes that fields may carry
CORN, SOYBEAN, WHEAT, DOUBLE_CROP, OATS, ALFALFA, HAY, FALLOW, GRASS = 1, 5, 24, 26, 28, 36, 37, 61, 176


class Survey(NamedTuple):
    """Position in the survey: metres east and north (float64), quarter-section column and row (int32)."""

    u_m: Metres
    v_m: Metres
    column: npt.NDArray[np.int32]
    row: npt.NDArray[np.int32]


class Fields(NamedTuple):
    """What a pixel gets from its field; all of the pixels' shape.

    `traits` are three standard normal latent variables, `shift_days` how late the field is, `hashes` its identity.
    """

    code: npt.NDArray[np.uint8]
    shift_days: npt.NDArray[np.int8]
    traits: tuple[Floats, Floats, Floats]
    soil: Floats
    hashes: Hashes


def survey(x_m: Metres, y_m: Metres) -> Survey:
    """The survey position of EPSG:5070 points."""
    north = APEX_Y_M - y_m
    v_m = SOUTH_RADIUS_M - np.hypot(x_m, north)
    u_m = np.arctan2(x_m, north) * (SOUTH_RADIUS_M - np.floor(v_m / TIER_M) * TIER_M)
    return Survey(u_m, v_m, np.floor(u_m / QUARTER_M).astype(np.int32), np.floor(v_m / QUARTER_M).astype(np.int32))


def unsurvey(u_m: Metres, v_m: Metres) -> tuple[Metres, Metres]:
    """EPSG:5070 points of survey positions: the inverse of `survey`."""
    angle = u_m / (SOUTH_RADIUS_M - np.floor(v_m / TIER_M) * TIER_M)
    radius_m = SOUTH_RADIUS_M - v_m
    return radius_m * np.sin(angle), APEX_Y_M - radius_m * np.cos(angle)


def relief(x_m: Metres, y_m: Metres, seed: int) -> Floats:
    """How dissected the land is, mean 0 and standard deviation about 1: wooded and grassy above, flat cropland below."""
    return octaves(x_m, y_m, (30_000.0, 11_000.0, 5_500.0), salt(seed, "relief"), 1.2)


def fields(at: Survey, seed: int, year: int) -> Fields:
    """The field under each pixel in one crop year."""
    c0, r0 = int(at.column.min()), int(at.row.min())
    columns, rows = np.meshgrid(np.arange(c0, int(at.column.max()) + 1), np.arange(r0, int(at.row.max()) + 1))
    base = (at.row - np.int32(r0)) * np.int32(columns.shape[1]) + (at.column - np.int32(c0))
    part = _part(at, base, columns, rows, seed)
    base *= np.int32(PARTS)
    base += part
    identity = mix(lattice_hash(columns, rows, salt(seed, "field"))[..., None] + np.arange(PARTS, dtype=np.uint32) * np.uint32(0x3C6EF372))
    x_m, y_m = unsurvey((columns.astype(np.float64) + 0.5) * QUARTER_M, (rows.astype(np.float64) + 0.5) * QUARTER_M)
    code = _crops(identity, columns, rows, x_m, y_m, seed, year)
    late = octaves(x_m, y_m, (45_000.0, 12_000.0), salt(seed, "late", year))
    # fields of one year differ by how they were planted; the soil under them stays
    yearly = mix(identity ^ np.uint32(salt(seed, "year", year)))
    shift = np.clip(np.rint(np.float32(9) * normal(yearly) + np.float32(5) * late[..., None]), -24, 24).astype(np.int8)
    traits = tuple(normal(mix(yearly + np.uint32(k))).ravel().take(base) for k in (11, 12, 13))
    return Fields(
        code.ravel().take(base),
        shift.ravel().take(base),
        (traits[0], traits[1], traits[2]),
        normal(mix(identity + np.uint32(14))).ravel().take(base),
        identity.ravel().take(base),
    )


def _part(
    at: Survey, base: npt.NDArray[np.int32], columns: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], seed: int
) -> npt.NDArray[np.int32]:
    """Which of up to four parts of its quarter section a pixel lies in: whole, halves, half and forties, forties."""
    draw = unit(lattice_hash(columns, rows, salt(seed, "split")))
    place = np.float32(0.5) + np.float32(0.3) * (unit(lattice_hash(columns, rows, salt(seed, "place"))) - np.float32(0.5)) * (draw > 0.62)
    half = np.full(draw.shape, 0.5, np.float32)
    split_u = np.where(draw < 0.30, _NO_SPLIT, np.where(draw < 0.50, place, np.where(draw < 0.70, _NO_SPLIT, half)))
    west_v = np.where(draw < 0.50, _NO_SPLIT, np.where(draw < 0.70, place, np.where(draw < 0.84, _NO_SPLIT, half)))
    east_v = np.where(draw < 0.50, _NO_SPLIT, np.where(draw < 0.70, place, half))
    fu = (at.u_m / QUARTER_M - at.column).astype(np.float32)
    fv = (at.v_m / QUARTER_M - at.row).astype(np.float32)
    east = fu > split_u.ravel().take(base)
    north = fv > np.where(east, east_v.ravel().take(base), west_v.ravel().take(base))
    return east.astype(np.int32) + np.int32(2) * north


def _crops(
    identity: Hashes, columns: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], x_m: Metres, y_m: Metres, seed: int, year: int
) -> npt.NDArray[np.uint8]:
    """CDL code of each field (rows, columns, parts): grass, hay and small crops by region, else corn or soybean."""
    rough = relief(x_m, y_m, seed)
    grassiness = octaves(x_m, y_m, (15_000.0, 6_000.0), salt(seed, "grass"), 0.8)
    grass = np.clip(0.46 * (0.6 * rough + 0.8 * grassiness) + 0.05, 0, 0.9)[..., None]
    small = np.clip(0.03 + 0.05 * octaves(x_m, y_m, (30_000.0, 7_000.0), salt(seed, "small"), 0.8), 0.004, 0.2)[..., None]
    draw = unit(mix(identity + np.uint32(1)))
    code = _corn_or_soybean(identity, columns, rows, x_m, y_m, seed, year)
    edges = np.cumsum(
        np.broadcast_arrays(0.72 * grass, 0.20 * grass, 0.08 * grass + 0.1 * small, 0.72 * small, 0.06 * small, 0.06 * small, 0.06 * small),
        axis=0,
    )
    kinds = np.array([GRASS, HAY, ALFALFA, WHEAT, DOUBLE_CROP, OATS, FALLOW], np.uint8)
    for edge, kind in reversed(list(zip(edges, kinds, strict=True))):
        code = np.where(draw < edge, kind, code)
    return code


def _corn_or_soybean(
    identity: Hashes, columns: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], x_m: Metres, y_m: Metres, seed: int, year: int
) -> npt.NDArray[np.uint8]:
    """Corn after corn, soybean after soybean, or the two in turn, by region; neighbours often move in step."""
    lean = octaves(x_m, y_m, (26_000.0, 9_000.0, 4_500.0), salt(seed, "corn"), 1.25)
    share = np.clip(0.50 + 0.40 * lean, 0.03, 0.97)[..., None]
    steady = unit(mix(identity + np.uint32(2))) < np.abs(2 * share - 1)
    section = mix(lattice_hash(columns >> 1, rows >> 1, salt(seed, "owner")))[..., None]
    phase = np.where(unit(mix(identity + np.uint32(3))) < 0.6, section, mix(identity + np.uint32(4)))
    turn = (phase + np.uint32(year)) & np.uint32(1) == 1
    return np.where(np.where(steady, share > 0.5, turn), CORN, SOYBEAN).astype(np.uint8)
