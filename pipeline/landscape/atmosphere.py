"""The air of one pass: haze, thin cirrus, clouds with displaced shadows, snow; and their QA bits.

Source of the bits: USGS, Landsat 8-9 Collection 2 Level 2 Science Product Guide (LSDS-1619), table 6-3; the codes
are those of real scenes (21824 clear land, 21952 clear water, 22280 cloud, 23888 shadow, 54596 cirrus ...).
"""

from __future__ import annotations

import datetime
import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.landscape.noise import Floats, Metres, mix, octaves, salt, unit

FILL, DILATED, CIRRUS, CLOUD, SHADOW, SNOW, CLEAR, WATER = range(8)
_LOW, _MEDIUM, _HIGH = 1, 2, 3
_CONFIDENCE_SHIFTS = (8, 10, 12, 14)  # cloud, shadow, snow, cirrus
Flags = npt.NDArray[np.bool_]
_CLOUD = (0.60, 0.61, 0.60, 0.62, 0.68, 0.52, 0.40)
_CIRRUS = (0.36, 0.35, 0.34, 0.34, 0.36, 0.18, 0.14)
_HAZE = (1.0, 0.85, 0.62, 0.48, 0.30, 0.12, 0.07)
_SHADOW_KEEPS = (0.62, 0.58, 0.50, 0.46, 0.42, 0.42, 0.44)
SATURATED = 0.86  # reflectance from which the simulated sensor saturates


class Sky(NamedTuple):
    """One pass's weather, the same for every block of it."""

    date: datetime.date
    key: int
    cloud_level: float  # noise above it is cloud
    wavelengths_m: tuple[float, ...]
    shadow_xy_m: tuple[float, float]  # from a shadow to its cloud
    cirrus: bool
    haze: float
    gain: float
    offset: float
    snow_depth: float  # 0: none


class Air(NamedTuple):
    """The weather over one block; float32 opacities in 0..1 and where QA flags them."""

    cloud: Floats
    shadow: Floats
    cirrus: Floats
    haze: Floats
    snow: Floats | None
    is_cloud: Flags
    is_thin_cloud: Flags
    is_dilated: Flags
    is_shadow: Flags
    is_cirrus: Flags
    bright: Floats


def sky(date: datetime.date, key: int) -> Sky:
    """The weather of a pass, drawn from its key."""
    draws = [float(unit(mix(np.array(salt(key, i))))) for i in range(9)]
    if draws[0] < 0.28:
        share = 0.04 * draws[1] ** 2
    elif draws[0] < 0.72:
        share = 0.04 + 0.42 * draws[1]
    else:
        share = 0.46 + 0.5 * draws[1]
    # height of the sun about 10:45 local time at 40 N
    height = math.radians(44.0 + 21.0 * math.cos(2 * math.pi * (date.timetuple().tm_yday - 172) / 365))
    away_m = (700.0 + 1500.0 * draws[2]) / math.tan(height)
    day = date.timetuple().tm_yday
    is_winter = day < 76 or day > 334
    normal = NormalDist()
    return Sky(
        date=date,
        key=key,
        cloud_level=normal.inv_cdf(1 - max(share, 1e-4)),
        wavelengths_m=(9_000.0, 3_200.0, 1_200.0, 450.0) if draws[3] < 0.45 else (28_000.0, 9_000.0, 3_000.0, 1_000.0),
        shadow_xy_m=(0.62 * away_m, -0.78 * away_m),
        cirrus=draws[4] < 0.3,
        haze=0.002 + 0.014 * draws[5] ** 2,
        gain=1 + 0.012 * normal.inv_cdf(min(max(draws[6], 0.01), 0.99)),
        offset=0.0015 * normal.inv_cdf(min(max(draws[7], 0.01), 0.99)),
        snow_depth=0.75 + 0.25 * draws[8] if is_winter and draws[8] < 0.4 else 0.0,
    )


def air(weather: Sky, x_m: Metres, y_m: Metres) -> Air:
    """The weather over EPSG:5070 points."""
    key = weather.key

    def depth(x: Metres, y: Metres) -> Floats:
        return octaves(x, y, weather.wavelengths_m, salt(key, "cloud"), 0.68) - np.float32(weather.cloud_level)

    over = depth(x_m, y_m)
    cast = depth(x_m + weather.shadow_xy_m[0], y_m + weather.shadow_xy_m[1])
    cloud = _ramp((over + np.float32(0.12)) / np.float32(0.55))
    shadow = _ramp((cast + np.float32(0.10)) / np.float32(0.40))
    if weather.cirrus:
        streak = octaves(0.8 * x_m + 0.6 * y_m, 3.2 * (0.8 * y_m - 0.6 * x_m), (60_000.0, 18_000.0), salt(key, "cirrus"), 0.6)
        cirrus = np.clip(np.float32(0.16) * (streak - np.float32(0.4)), 0, 0.4)
    else:
        cirrus = np.zeros(x_m.shape, np.float32)
    haze = np.float32(weather.haze) * (1 + np.float32(0.35) * octaves(x_m, y_m, (17_000.0, 6_000.0), salt(key, "haze")))
    snow = None
    if weather.snow_depth:
        snow = np.clip(np.float32(weather.snow_depth) + np.float32(0.25) * octaves(x_m, y_m, (8_000.0, 900.0), salt(key, "snow")), 0, 1)
    is_cloud = over > 0.06
    is_thin_cloud = (over > -0.02) & ~is_cloud
    return Air(
        cloud=cloud,
        shadow=shadow,
        cirrus=cirrus,
        haze=np.maximum(haze, 0),
        snow=snow,
        is_cloud=is_cloud,
        is_thin_cloud=is_thin_cloud,
        is_dilated=(over > -0.16) & ~is_cloud & ~is_thin_cloud,
        is_shadow=(cast > 0.0) & ~is_cloud,
        is_cirrus=cirrus > np.float32(0.035),
        bright=np.float32(0.92) + np.float32(0.12) * np.clip(over, 0, 3.2),
    )


def through(band: int, surface: Floats, weather: Sky, over: Air) -> Floats:
    """The product's reflectance of a surface reflectance (float32) seen through the air."""
    seen = surface * np.float32(weather.gain)
    seen += np.float32(weather.offset * (1.2 - 0.13 * band)) + over.haze * np.float32(_HAZE[band])
    if over.shadow.any():
        seen *= 1 - over.shadow * np.float32(1 - _SHADOW_KEEPS[band])
    if weather.cirrus:
        seen += over.cirrus * (np.float32(_CIRRUS[band]) - seen)
    if over.cloud.any():
        seen += over.cloud * (np.float32(_CLOUD[band]) * over.bright - seen)
    return seen


def qa_pixel(over: Air, is_water: Flags) -> npt.NDArray[np.uint16]:
    """QA_PIXEL of pixels inside the footprint (uint16)."""
    snow = np.zeros(is_water.shape, bool) if over.snow is None else (over.snow > 0.5) & ~over.is_cloud
    clear = ~over.is_cloud & ~over.is_dilated
    bits = {DILATED: over.is_dilated, CIRRUS: over.is_cirrus, CLOUD: over.is_cloud, SHADOW: over.is_shadow, SNOW: snow, CLEAR: clear}
    bits[WATER] = is_water & ~over.is_cloud & ~snow
    qa = np.zeros(is_water.shape, np.uint16)
    for bit, flags in bits.items():
        qa |= flags.astype(np.uint16) << np.uint16(bit)
    cloud = np.where(over.is_cloud, _HIGH, np.where(over.is_thin_cloud, _MEDIUM, _LOW))
    high = (np.where(flags, _HIGH, _LOW) for flags in (over.is_shadow, snow, over.is_cirrus))
    for shift, confidence in zip(_CONFIDENCE_SHIFTS, (cloud, *high), strict=True):
        qa |= confidence.astype(np.uint16) << np.uint16(shift)
    return qa


def _ramp(values: Floats) -> Floats:
    t = np.clip(values, 0, 1)
    return np.asarray(t * t * (3 - 2 * t))
