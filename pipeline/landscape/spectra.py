"""Reflectance per land cover class: its level, spread and correlation between bands in late August, and its year.

`AUGUST` was measured; every other spectrum below and the calendar are set by hand from general knowledge of the
corn belt, so that a May to September median resembles the published ones (see docs/landscape.md for the differences).

Bands in order: SR_B1 ultra blue, SR_B2 blue, SR_B3 green, SR_B4 red, SR_B5 NIR, SR_B6 SWIR1, SR_B7 SWIR2.
All spectra are in 1/10,000 of reflectance.
"""

from __future__ import annotations

import datetime
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Spectrum = tuple[int, int, int, int, int, int, int]
BANDS = 7
SHIFTS = 49  # days late, -24..24, that the calendar is tabulated for
AUGUST_DAY = 243  # the day of year that AUGUST describes

# class: (mean, three loadings). covariance = sum of outer products of the loadings, which hold 97 to 99.9 % of it.
# Source: Landsat 8 C2 L2 LC08_L2SP_023032_20230831 (central Illinois) under CDL 2023, pixels whose 3 x 3 neighbours
# share the class (big classes) between the 0.5th and 99.5th percentile of every band (1st to 99th, small classes).
# `water` and `stubble` (spring wheat after harvest): Landsat 8 surface reflectance of 2 September 2015, North Dakota.
AUGUST: dict[str, tuple[Spectrum, tuple[Spectrum, Spectrum, Spectrum]]] = {
    "corn": ((118, 161, 391, 276, 3516, 1535, 705), ((-10, -14, -21, -42, 293, -72, -84), (15, 19, 38, 38, 58, 113, 73), (5, 7, 25, 18, 0, -11, -8))),
    "soybean": ((132, 166, 432, 251, 4821, 1745, 755), ((-12, -19, -57, -56, 430, 43, -19), (14, 18, 45, 37, 3, 125, 77), (8, 11, 58, 35, 15, -29, -8))),
    "small_grain": ((234, 303, 569, 564, 3170, 2332, 1353), ((110, 145, 173, 324, -582, 505, 532), (24, 30, 50, 59, 325, 166, 132), (19, 31, 53, 57, 7, -50, -9))),
    "alfalfa": ((243, 319, 641, 590, 3505, 2498, 1430), ((91, 126, 148, 296, -460, 615, 593), (24, 29, 36, 38, 394, 160, 101), (17, 26, 37, 61, 5, -40, -2))),
    "hay": ((186, 243, 544, 432, 3409, 2096, 1075), ((58, 79, 93, 173, -253, 439, 381), (19, 22, 37, 19, 459, 162, 94), (19, 26, 41, 52, 5, -41, 9))),
    "grass": ((163, 216, 511, 387, 3291, 1894, 927), ((-20, -26, -19, -62, 423, -102, -110), (41, 53, 74, 99, 146, 285, 207), (26, 32, 42, 50, 4, -48, 12))),
    "deciduous": ((80, 106, 309, 177, 3189, 1339, 531), ((7, 9, 26, 13, 287, 92, 30), (10, 14, 35, 30, -44, 100, 69), (7, 9, 25, 19, 2, -17, 1))),
    "woody_wetland": ((88, 118, 326, 200, 2879, 1244, 525), ((2, 0, 9, -5, 396, 129, 42), (16, 21, 39, 40, -45, 112, 79), (10, 15, 31, 30, 7, -24, 1))),
    "herbaceous_wetland": ((129, 175, 449, 309, 3071, 1477, 687), ((7, 4, 34, -2, 727, 234, 84), (35, 42, 62, 82, -95, 228, 162), (19, 33, 75, 61, 11, -47, 0))),
    "water": ((122, 203, 444, 303, 220, 62, 40), ((10, 31, 123, 76, 45, 0, 0), (-7, -7, -23, -2, 73, 6, 4), (2, -3, -13, 25, -4, 8, 6))),
    "open": ((222, 288, 578, 477, 3640, 1884, 996), ((-2, -5, 1, -30, 516, 16, -30), (55, 68, 99, 119, 11, 215, 178), (39, 44, 50, 52, 4, -61, -17))),
    "low": ((268, 353, 662, 598, 3363, 1989, 1137), ((37, 50, 55, 104, -456, 96, 139), (69, 87, 124, 141, 171, 235, 194), (59, 61, 57, 59, 5, -82, -32))),
    "medium": ((406, 520, 855, 844, 3283, 2219, 1417), ((218, 262, 303, 392, -267, 348, 433), (61, 62, 79, 54, 451, 93, 30), (101, 97, 72, 66, -10, -149, -106))),
    "high": ((710, 868, 1226, 1287, 3217, 2519, 1842), ((496, 567, 627, 753, -110, 601, 736), (74, 58, 53, -2, 633, 68, -99), (-145, -135, -88, -73, 49, 185, 208))),
    "barren": ((722, 895, 1282, 1367, 3150, 2679, 2044), ((487, 577, 681, 830, -23, 743, 943), (73, 61, 54, 17, 522, 36, -144), (172, 161, 93, 66, -87, -193, -163))),
    "stubble": ((479, 681, 1063, 1458, 2636, 3525, 2551), ((78, 114, 186, 291, 483, 413, 121), (12, 19, 14, 11, -133, 79, 186), (24, 40, 51, 70, -23, -60, -4))),
}  # fmt: skip
# Conifers are too rare in the measured scene: deciduous, darkened in NIR and SWIR.
AUGUST["evergreen"] = ((85, 112, 290, 190, 2450, 1050, 450), AUGUST["deciduous"][1])
AUGUST["mixed"] = ((82, 109, 300, 184, 2820, 1195, 490), AUGUST["deciduous"][1])
AUGUST["shrub"] = ((120, 160, 410, 280, 3240, 1610, 730), AUGUST["grass"][1])
CLASSES = tuple(AUGUST)

SOIL: Spectrum = (550, 720, 1000, 1270, 2150, 2720, 2180)
RESIDUE: Spectrum = (520, 690, 1000, 1280, 2480, 3080, 2330)
CORN_TALL: Spectrum = (110, 150, 410, 240, 4450, 1640, 660)
CORN_RIPE: Spectrum = (270, 380, 680, 800, 2750, 2450, 1400)
SOY_YOUNG: Spectrum = (250, 330, 640, 560, 3300, 2300, 1350)
SOY_YELLOW: Spectrum = (240, 330, 800, 760, 3700, 2450, 1350)
SOY_RIPE: Spectrum = (430, 580, 850, 1120, 2450, 3150, 2250)
BARE_WOOD: Spectrum = (340, 420, 600, 690, 2050, 2200, 1380)
WOOD_SPRING: Spectrum = (110, 145, 420, 230, 4050, 1650, 680)
WOOD_AUTUMN: Spectrum = (170, 230, 500, 520, 2850, 1850, 900)
GRASS_DORMANT: Spectrum = (430, 560, 830, 1030, 2250, 2950, 1950)
GRASS_SPRING: Spectrum = (190, 260, 590, 430, 3750, 2150, 1050)
WHEAT_GREEN: Spectrum = (170, 230, 540, 360, 4150, 1900, 850)
WHEAT_RIPE: Spectrum = (460, 650, 1020, 1380, 2950, 3450, 2350)
CUT: Spectrum = (330, 440, 750, 850, 2700, 2900, 1800)
TOWN_DORMANT: Spectrum = (420, 520, 760, 880, 2350, 2500, 1800)
SNOW: Spectrum = (7600, 7900, 7900, 7800, 7000, 1200, 1000)

Calendar = tuple[tuple[int, Spectrum], ...]


def _blend(first: Spectrum, second: Spectrum, share: float) -> Spectrum:
    values = [round(a + (b - a) * share) for a, b in zip(first, second, strict=True)]
    return (values[0], values[1], values[2], values[3], values[4], values[5], values[6])


def _seasonal(name: str, dormant: Spectrum, spring: Spectrum, days: tuple[int, int, int, int, int]) -> Calendar:
    start, full, summer, fall, end = days
    august = AUGUST[name][0]
    return ((1, dormant), (start, dormant), (full, spring), (summer, august), (fall, august), (end, dormant), (366, dormant))


# (day of year, mean spectrum), joined by straight lines; a field late by n days reads its line up to n days earlier.
CALENDAR: dict[str, Calendar] = {
    "corn": ((1, RESIDUE), (105, RESIDUE), (122, SOIL), (146, _blend(SOIL, CORN_TALL, 0.18)), (168, _blend(SOIL, CORN_TALL, 0.72)), (186, CORN_TALL), (216, CORN_TALL),
             (236, AUGUST["corn"][0]), (251, AUGUST["corn"][0]), (268, CORN_RIPE), (290, RESIDUE), (366, RESIDUE)),
    "soybean": ((1, RESIDUE), (115, RESIDUE), (136, SOIL), (164, _blend(SOIL, SOY_YOUNG, 0.35)), (182, SOY_YOUNG), (206, AUGUST["soybean"][0]), (252, AUGUST["soybean"][0]),
                (264, SOY_YELLOW), (274, SOY_RIPE), (292, RESIDUE), (366, RESIDUE)),
    "small_grain": ((1, GRASS_DORMANT), (80, GRASS_DORMANT), (115, WHEAT_GREEN), (146, WHEAT_GREEN), (172, WHEAT_RIPE), (186, AUGUST["stubble"][0]), (210, AUGUST["stubble"][0]),
                    (236, AUGUST["small_grain"][0]), (250, AUGUST["small_grain"][0]), (280, GRASS_SPRING), (330, GRASS_DORMANT), (366, GRASS_DORMANT)),
    "alfalfa": ((1, GRASS_DORMANT), (90, GRASS_DORMANT), (130, WHEAT_GREEN), (150, WHEAT_GREEN), (157, CUT), (180, WHEAT_GREEN), (192, CUT), (215, WHEAT_GREEN),
                (236, AUGUST["alfalfa"][0]), (250, AUGUST["alfalfa"][0]), (285, GRASS_SPRING), (325, GRASS_DORMANT), (366, GRASS_DORMANT)),
    "hay": ((1, GRASS_DORMANT), (85, GRASS_DORMANT), (125, GRASS_SPRING), (160, GRASS_SPRING), (172, CUT), (205, AUGUST["hay"][0]), (270, AUGUST["hay"][0]), (325, GRASS_DORMANT), (366, GRASS_DORMANT)),
    "grass": _seasonal("grass", GRASS_DORMANT, GRASS_SPRING, (82, 128, 190, 268, 322)),
    "deciduous": ((1, BARE_WOOD), (104, BARE_WOOD), (138, WOOD_SPRING), (185, _blend(WOOD_SPRING, AUGUST["deciduous"][0], 0.5)), (AUGUST_DAY, AUGUST["deciduous"][0]),
                  (275, AUGUST["deciduous"][0]), (293, WOOD_AUTUMN), (315, BARE_WOOD), (366, BARE_WOOD)),
    "woody_wetland": _seasonal("woody_wetland", BARE_WOOD, _blend(WOOD_SPRING, AUGUST["woody_wetland"][0], 0.5), (106, 142, 200, 272, 312)),
    "herbaceous_wetland": _seasonal("herbaceous_wetland", GRASS_DORMANT, AUGUST["herbaceous_wetland"][0], (100, 165, 200, 258, 305)),
    "water": ((1, AUGUST["water"][0]), (366, AUGUST["water"][0])),
    "open": _seasonal("open", TOWN_DORMANT, AUGUST["open"][0], (85, 130, 190, 275, 322)),
    "low": _seasonal("low", _blend(TOWN_DORMANT, AUGUST["low"][0], 0.3), AUGUST["low"][0], (88, 132, 190, 275, 320)),
    "medium": _seasonal("medium", _blend(TOWN_DORMANT, AUGUST["medium"][0], 0.5), AUGUST["medium"][0], (90, 134, 190, 275, 318)),
    "high": ((1, AUGUST["high"][0]), (366, AUGUST["high"][0])),
    "barren": ((1, AUGUST["barren"][0]), (366, AUGUST["barren"][0])),
    "stubble": ((1, RESIDUE), (120, RESIDUE), (165, _blend(RESIDUE, GRASS_SPRING, 0.5)), (234, AUGUST["stubble"][0]), (252, AUGUST["stubble"][0]), (366, RESIDUE)),
    "evergreen": ((1, AUGUST["evergreen"][0]), (366, AUGUST["evergreen"][0])),
    "mixed": _seasonal("mixed", _blend(BARE_WOOD, AUGUST["evergreen"][0], 0.5), AUGUST["mixed"][0], (104, 140, 190, 275, 315)),
    "shrub": _seasonal("shrub", GRASS_DORMANT, AUGUST["shrub"][0], (90, 140, 190, 268, 318)),
}  # fmt: skip
# CDL code to class, for every code that the landscape draws.
CLASS_OF_CODE: dict[int, str] = {
    1: "corn", 5: "soybean", 24: "small_grain", 26: "small_grain", 28: "small_grain", 36: "alfalfa", 37: "hay", 61: "stubble", 176: "grass", 152: "shrub",
    141: "deciduous", 142: "evergreen", 143: "mixed", 190: "woody_wetland", 195: "herbaceous_wetland", 111: "water",
    121: "open", 122: "low", 123: "medium", 124: "high", 131: "barren",
}  # fmt: skip
# Share of the variance that a whole field (or quarter section) has in common, and that its texture and its single
# pixels add: measured within and between connected patches of the same scene, rounded.
_FIELD_TEXTURE_PIXEL: dict[str, tuple[float, float, float]] = {
    "corn": (0.50, 0.44, 0.06), "soybean": (0.50, 0.44, 0.06), "small_grain": (0.62, 0.32, 0.06), "grass": (0.48, 0.40, 0.12), "hay": (0.5, 0.4, 0.1), "alfalfa": (0.6, 0.3, 0.1),
    "open": (0.05, 0.45, 0.50), "low": (0.05, 0.45, 0.50), "medium": (0.05, 0.35, 0.60), "high": (0.05, 0.35, 0.60), "barren": (0.3, 0.4, 0.3),
    "deciduous": (0.06, 0.74, 0.20), "woody_wetland": (0.10, 0.60, 0.30), "water": (0.55, 0.35, 0.10),
}  # fmt: skip
_DEFAULT_SHARES = (0.2, 0.6, 0.2)
# How strongly a field's lateness moves its calendar: crops are planted, woods and towns are not.
_LATENESS: dict[str, float] = {"corn": 1.0, "soybean": 1.15, "small_grain": 0.6, "alfalfa": 1.0, "hay": 0.9, "grass": 0.7, "stubble": 0.6}
# Late fields catch up in the heat of summer: share of the lateness that is left on a day of year.
_CATCHING_UP = ((1, 1.0), (170, 1.0), (232, 0.3), (255, 0.35), (285, 0.6), (366, 0.6))


class Tables(NamedTuple):
    """Lookups by class index (CLASSES order), float32 reflectance: see each comment for the shape."""

    class_of_code: npt.NDArray[np.uint8]  # (256,)
    loadings: npt.NDArray[np.float32]  # (3, BANDS, classes)
    mean: npt.NDArray[np.float32]  # (BANDS, classes)
    shares: npt.NDArray[np.float32]  # (3, classes): square roots of the field, texture and pixel shares


@lru_cache(maxsize=1)
def tables() -> Tables:
    """The measured table as arrays."""
    index = np.full(256, CLASSES.index("stubble"), np.uint8)
    for code, name in CLASS_OF_CODE.items():
        index[code] = CLASSES.index(name)
    loadings = np.array([AUGUST[name][1] for name in CLASSES], np.float64).transpose(1, 2, 0) * 1e-4
    mean = np.array([AUGUST[name][0] for name in CLASSES], np.float64).T * 1e-4
    shares = np.sqrt([_FIELD_TEXTURE_PIXEL.get(name, _DEFAULT_SHARES) for name in CLASSES]).T
    return Tables(index, loadings.astype(np.float32), mean.astype(np.float32), shares.astype(np.float32))


class Season(NamedTuple):
    """Spectra of one date by class and lateness; flattened (classes * SHIFTS), index = class * SHIFTS + days + 24."""

    mean: npt.NDArray[np.float32]  # (BANDS, classes * SHIFTS), reflectance
    spread: npt.NDArray[np.float32]  # (classes * SHIFTS,): factor on the measured spread
    soil: npt.NDArray[np.float32]  # (classes * SHIFTS,): share of bare ground in sight


@lru_cache(maxsize=64)
def season(date: datetime.date) -> Season:
    """The calendar read at one date."""
    day = date.timetuple().tm_yday
    shifts = (np.arange(SHIFTS) - SHIFTS // 2) * np.interp(day, [d for d, _ in _CATCHING_UP], [left for _, left in _CATCHING_UP])
    mean = np.empty((BANDS, len(CLASSES), SHIFTS))
    for c, name in enumerate(CLASSES):
        days = np.clip(day - shifts * _LATENESS.get(name, 0.35), 1, 366)
        knots, spectra = zip(*CALENDAR[name], strict=True)
        for band in range(BANDS):
            mean[band, c] = np.interp(days, knots, [spectrum[band] for spectrum in spectra])
    mean *= 1e-4
    index = (mean[4] - mean[3]) / (mean[4] + mean[3])
    bare = np.clip((0.62 - index) / 0.45, 0, 1)
    bare[[CLASSES.index(name) for name in ("water", "open", "low", "medium", "high", "barren")]] = 0
    flat = len(CLASSES) * SHIFTS
    return Season(
        mean.reshape(BANDS, flat).astype(np.float32),
        (1 - 0.45 * bare).reshape(flat).astype(np.float32),
        bare.reshape(flat).astype(np.float32),
    )
