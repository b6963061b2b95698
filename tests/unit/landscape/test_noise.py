"""Noise as a pure function of position: in range, continuous, the same through any window."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.landscape.noise import lattice_hash, mix, normal, octaves, salt, uniform_bytes, unit, value_noise

positions = st.floats(-2.4e6, 2.3e6)


keys = st.integers(0, 2**32 - 1)


@given(x=positions, y=positions, wavelength_m=st.floats(60, 1e5), key=keys)
def test_value_noise_is_in_range_and_a_function_of_position_only(x: float, y: float, wavelength_m: float, key: int) -> None:
    xs, ys = np.meshgrid(x + np.arange(7) * 30.0, y - np.arange(5) * 30.0)
    whole = value_noise(xs, ys, wavelength_m, key)
    assert whole.dtype == np.float32
    assert whole.min() >= 0
    assert whole.max() < 1
    for row, col in ((0, 0), (4, 6), (2, 3)):
        one = (slice(row, row + 1), slice(col, col + 1))
        np.testing.assert_array_equal(value_noise(xs[one], ys[one], wavelength_m, key), whole[one])
    np.testing.assert_array_equal(value_noise(xs[::-1, ::-1], ys[::-1, ::-1], wavelength_m, key), whole[::-1, ::-1])


@given(key=keys, x=positions, y=positions)
def test_value_noise_is_continuous(key: int, x: float, y: float) -> None:
    step = np.array([[0.0, 0.01]])
    near = value_noise(x + step, y + 0 * step, 300.0, key)
    assert abs(float(near[0, 1] - near[0, 0])) < 1e-3


@given(ix=st.integers(-(2**31), 2**31 - 1), iy=st.integers(-(2**31), 2**31 - 1), key=keys)
def test_lattice_hash_units_stay_below_one(ix: int, iy: int, key: int) -> None:
    value = float(unit(lattice_hash(np.array([ix]), np.array([iy]), key))[0])
    assert 0 <= value < 1


def test_value_noise_of_nothing_is_nothing() -> None:
    assert value_noise(np.zeros((0, 4)), np.zeros((0, 4)), 100.0, 1).shape == (0, 4)


def test_mix_is_a_bijection_where_tried() -> None:
    assert np.unique(mix(np.arange(200_000))).size == 200_000


def test_draws_are_standard() -> None:
    h = lattice_hash(np.arange(400)[None, :], np.arange(400)[:, None], 5)
    for values in (normal(h), *uniform_bytes(h)):
        assert abs(float(values.mean())) < 0.01
        assert abs(float(values.std()) - 1) < 0.01
    x, y = np.meshgrid(np.arange(0, 4e5, 500.0), np.arange(0, 4e5, 500.0))
    noise = octaves(x, y, (3000.0, 700.0), 9)
    assert abs(float(noise.mean())) < 0.05
    assert abs(float(noise.std()) - 1) < 0.05


def test_salts_differ_by_seed_and_name() -> None:
    found = {salt(seed, *names) for seed in (0, 1, -1, 2**32, 2**40) for names in (("a",), ("b",), ("a", "b"), ("ab",), ("a", 1))}
    assert len(found) == 25
