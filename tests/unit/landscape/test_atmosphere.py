"""The air of a pass, and the bits of QA_PIXEL."""

from __future__ import annotations

import datetime

import numpy as np

from cropcam.pipeline.landscape.atmosphere import CIRRUS, CLEAR, CLOUD, DILATED, SHADOW, SNOW, air, qa_pixel, sky, through
from cropcam.pipeline.landscape.noise import salt
from support.rasters import albers_square

# QA_PIXEL of real Collection 2 scenes and of USGS LSDS-1619 table 6-3, and the same with dilation or water
REAL_QA = {
    21762,
    21824,
    21890,
    21952,
    22018,
    22080,
    22144,
    22208,
    22280,
    23826,
    23888,
    23954,
    24016,
    24082,
    24144,
    24272,
    30048,
    30242,
    54534,
    54596,
    54724,
    54852,
    54980,
    55052,
    56598,
    56660,
    56788,
    56916,
    57044,
    54662,
    56726,
}


def test_qa_bits_are_consistent_and_real() -> None:
    grid = albers_square(-88.3, 40.2, 0.02)
    x, y = np.meshgrid(*grid.centres())
    found: set[int] = set()
    snowy = 0
    for i in range(60):
        weather = sky(datetime.date(2016, 1, 5) + datetime.timedelta(days=6 * i), salt(1, "pass", i))
        over = air(weather, x * 40, y * 40)  # stretched, to see many kinds of weather in few pixels
        qa = qa_pixel(over, y > y.mean())
        bit = {name: (qa >> np.uint16(name)) & 1 for name in (DILATED, CIRRUS, CLOUD, SHADOW, SNOW, CLEAR)}
        np.testing.assert_array_equal(bit[CLEAR], 1 - (bit[CLOUD] | bit[DILATED]))
        np.testing.assert_array_equal((qa >> 8) & 3 == 3, bit[CLOUD] == 1)
        np.testing.assert_array_equal((qa >> 10) & 3 == 3, bit[SHADOW] == 1)
        np.testing.assert_array_equal((qa >> 12) & 3 == 3, bit[SNOW] == 1)
        np.testing.assert_array_equal((qa >> 14) & 3 == 3, bit[CIRRUS] == 1)
        assert not (bit[CLOUD] & bit[SHADOW]).any()
        assert (qa & 1 == 0).all()
        snowy += bool(bit[SNOW].any())
        if not bit[SNOW].any():
            found |= {int(code) for code in np.unique(qa)}
    assert {21824, 21952, 22280, 23888, 54596} <= found <= REAL_QA
    assert snowy
    assert sky(datetime.date(2016, 7, 1), 3).snow_depth == 0


def test_a_clear_sky_changes_a_spectrum_by_gain_offset_and_haze_alone() -> None:
    x_m, y_m = np.meshgrid(np.arange(4e5, 4.03e5, 30.0), np.arange(1.9e6, 1.903e6, 30.0))
    weather = sky(datetime.date(2016, 7, 1), 3)._replace(cloud_level=99.0, cirrus=False)
    over = air(weather, x_m, y_m)
    for opacity in (over.cloud, over.shadow, over.cirrus, over.is_dilated):
        assert not opacity.any()
    seen = through(0, np.full(x_m.shape, 0.3, np.float32), weather, over)
    np.testing.assert_allclose(seen, 0.3 * weather.gain + 1.2 * weather.offset + over.haze, rtol=1e-5)


def test_an_overcast_sky_hides_the_land() -> None:
    x_m, y_m = np.meshgrid(np.arange(4e5, 4.03e5, 30.0), np.arange(1.9e6, 1.903e6, 30.0))
    weather = sky(datetime.date(2016, 7, 1), 3)._replace(cloud_level=-99.0)
    over = air(weather, x_m, y_m)
    assert over.is_cloud.all()
    dark, bright = (through(3, np.full(x_m.shape, value, np.float32), weather, over) for value in (0.05, 0.6))
    np.testing.assert_allclose(dark, bright, atol=1e-6)


def test_a_pass_has_the_same_weather_whenever_it_is_drawn() -> None:
    day = datetime.date(2016, 1, 5)
    assert sky(day, 11) == sky(day, 11)
    assert len({sky(day, key).cloud_level for key in range(20)}) > 10
