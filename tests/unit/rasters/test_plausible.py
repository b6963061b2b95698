"""Values that a sensor cannot have are found, and the scale that mends them; values that it can have never are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.rasters.plausible import Fault, Meaning, block_fault, first_fault, mends, stored_limits
from cropcam.pipeline.sensor import Range, packaged

SR = Range(-0.19999, 1.61, -0.05, 1.3)
KELVIN = Range(150, 380, 200, 350)
C2, E4, ONE, PERCENT = (0.0000275, -0.2), (0.0001, 0.0), (1.0, 0.0), (0.01, 0.0)
RNG = np.random.default_rng(0)
REFLECTANCE = [RNG.uniform(low, high, 5000) for low, high in ((0.01, 0.06), (0.02, 0.12), (0.2, 0.5))]


def encoded(pair: tuple[float, float], dtype: str = "float64", bands: int = 3, nodata: float | None = None) -> BandEncoding:
    return BandEncoding.uniform(dtype, bands, *pair, nodata)


def meaning(own: tuple[float, float] = C2) -> Meaning:
    return Meaning(("a", "b", "c"), (SR,) * 3, (own,) * 3, "Landsat")


@pytest.mark.parametrize(
    ("stored_with", "read_with"),
    [(C2, ONE), (C2, E4), (E4, C2), (E4, ONE), (PERCENT, ONE), (ONE, C2), (ONE, E4), (PERCENT, E4), (C2, PERCENT), (E4, PERCENT)],
)
def test_a_wrong_scale_is_found_and_its_mend_is_right(stored_with: tuple[float, float], read_with: tuple[float, float]) -> None:
    values = [(band - stored_with[1]) / stored_with[0] for band in REFLECTANCE]
    assert first_fault(values, encoded(read_with), (SR,) * 3) is not None
    assert mends(values, meaning()) == [stored_with] * 3
    assert first_fault(values, encoded(stored_with), (SR,) * 3) is None


@given(st.floats(0.001, 0.9), st.floats(0.05, 0.3), st.sampled_from([C2, E4, ONE, PERCENT]))
def test_reflectance_of_any_ground_is_accepted(middle: float, spread: float, pair: tuple[float, float]) -> None:
    band = np.random.default_rng(1).normal(middle, spread * middle + 0.01, 3000).clip(-0.1, 1.6)
    assert first_fault([(band - pair[1]) / pair[0]] * 3, encoded(pair), (SR,) * 3) is None


def test_up_to_a_hundredth_outside_is_noise_and_a_few_values_are_no_sample() -> None:
    values = np.full(10_000, 0.3)
    values[:100] = np.linspace(2, 3, 100)
    assert first_fault([values], encoded(ONE, bands=1), (SR,)) is None
    values[100:102] = 5
    assert first_fault([values], encoded(ONE, bands=1), (SR,)) == Fault(0, 0.0102, 0.3, 5.0)
    assert first_fault([np.full(49, 9.0)], encoded(ONE, bands=1), (SR,)) is None
    assert first_fault([np.full(50, 9.0)], encoded(ONE, bands=1), (SR,)) == Fault(0, 1.0, 9.0, 9.0)
    assert first_fault([np.full(50, 9.0)], encoded(ONE, bands=1), (None,)) is None


def test_one_value_outside_is_fill() -> None:
    values = np.concatenate([REFLECTANCE[2] * 10_000, np.full(300, -3000.0)])
    assert first_fault([values], encoded(E4, bands=1), (SR,)) == Fault(0, 300 / 5300, -3000.0, float(values.max()), fill=-3000.0)
    both = np.concatenate([REFLECTANCE[2], np.full(300, -3000.0)])  # also scaled otherwise: the scale first
    fault = first_fault([both], encoded(C2, bands=1), (SR,))
    assert fault is not None
    assert fault.fill is None or fault.fill == -3000


def test_bands_that_are_all_almost_constant_were_scaled_twice() -> None:
    twice = [band * 0.0001 for band in REFLECTANCE]
    fault = first_fault(twice, encoded(ONE), (SR,) * 3)
    assert fault is not None
    assert fault.is_narrow
    assert first_fault([np.full(500, 0.3)], encoded(ONE, bands=1), (SR,)) is None  # constant: nothing can be told
    assert first_fault([twice[0], REFLECTANCE[2]], encoded(ONE, bands=2), (SR,) * 2) is None  # one dark band is one


def test_the_middle_of_a_band_lies_where_the_sensor_has_it() -> None:
    values = RNG.uniform(300, 4000, 5000)  # reflectance times 10,000, read as DN: -0.19 to -0.09
    fault = first_fault([values], encoded(C2, bands=1), (SR,))
    assert fault is not None
    assert (fault.fill, fault.is_narrow, fault.share < 0.01) == (None, False, True)


def test_temperatures_have_a_mend_of_their_own() -> None:
    about = Meaning(("red", "thermal"), (SR, KELVIN), (C2, (0.00341802, 149.0)), "Landsat")
    dn = [(REFLECTANCE[1] + 0.2) / 0.0000275, (RNG.uniform(280, 310, 5000) - 149) / 0.00341802]
    assert mends(dn, about) == [C2, (0.00341802, 149.0)]
    assert mends([REFLECTANCE[1], RNG.uniform(5, 35, 5000)], about) == [ONE, (1.0, 273.15)]
    assert mends([RNG.uniform(0, 255, 5000)] * 2, about) is None


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_a_rectangle_of_a_block_is_fill_and_single_pixels_are_not(dtype: str) -> None:
    values = RNG.integers(200, 5000, (2, 400, 400)).astype(dtype)
    values[0, :50] = -9999
    about = encoded(E4, dtype, 2, -9999.0)
    assert block_fault(values, about, (SR,) * 2) is None
    values[1, RNG.integers(0, 400, 20), RNG.integers(0, 400, 20)] = 20_000
    assert block_fault(values, about, (SR,) * 2) is None
    values[1, 100:140, 200:240] = -3000
    fault = block_fault(values, about, (SR,) * 2)
    assert fault is not None
    assert (fault.band, fault.fill) == (1, -3000.0)
    assert block_fault(values, about, (SR, None)) is None
    values[1] = np.abs(values[1]) + 16_200
    fault = block_fault(values, about, (SR,) * 2)
    assert fault is not None
    assert (fault.band, fault.fill) == (1, None)


def test_limits_in_stored_values() -> None:
    assert stored_limits(Range(-0.1, 1.6, 0, 1), -0.0001, 0.0) == (-16000.0, 1000.0)


def test_ranges_of_the_packaged_sensors() -> None:
    assert packaged("landsat").ranges(("SR_B1", "ST_B10", "red")) == (SR, KELVIN, None)
    assert packaged("landsat-4-9").ranges(("red", "thermal")) == (SR, KELVIN)
    assert packaged("hls").ranges(("red",)) == (Range(-0.19995, 1.61, -0.05, 1.3),)
    assert packaged("sentinel-2").ranges(("red",)) == (Range(-0.09995, 2.5, -0.05, 1.5),)
    assert packaged("satellite-embedding").ranges(("A00",)) == (Range(-1, 1, -1, 1),)


@pytest.mark.parametrize(
    ("sensor", "scale", "offset", "lowest"), [("landsat", 0.0000275, -0.2, 1), ("sentinel-2", 0.0001, -0.1, 1), ("hls", 0.0001, 0.0, -1999)]
)
def test_the_lowest_stored_value_is_a_value(sensor: str, scale: float, offset: float, lowest: int) -> None:
    band = {"landsat": "SR_B2"}.get(sensor, "blue")
    low, _ = stored_limits(packaged(sensor).ranges((band,))[0], scale, offset)  # type: ignore[arg-type]
    assert lowest - 1 < low < lowest
