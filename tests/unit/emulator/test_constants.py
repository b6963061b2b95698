"""Constant images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.emulator.constants import constant_image
from support.small_images import GRID


@pytest.mark.parametrize(
    ("value", "precision", "dtype"),
    [(5, "int", "uint8"), (5.0, "int", "uint8"), (-1, "int", "int8"), (70_000, "int", "uint32"), (0.5, "double", "float64"), (1e300, "double", "float64")],
)  # fmt: skip
def test_a_whole_number_is_an_int_however_it_is_written(value: float, precision: str, dtype: str) -> None:
    (band,) = constant_image(value).bands
    assert (band.name, band.type.precision, band.type.dtype.name) == ("constant", precision, dtype)
    assert band.type.bounds == (value, value)


@given(st.lists(st.integers(-1000, 1000) | st.floats(-1e6, 1e6), min_size=1, max_size=4))
def test_several_numbers_are_numbered_bands_valid_everywhere(numbers: list[float]) -> None:
    image = constant_image(numbers)
    assert image.names == tuple(f"constant_{number}" for number in range(len(numbers)))
    assert image.grid is None
    values, mask = image.read(GRID)
    assert mask.all()
    np.testing.assert_array_equal(values, np.broadcast_to(np.array(numbers)[:, None, None], values.shape))
