"""Casts of pixel values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.emulator.casts import CASTS, caster


@given(st.floats(allow_nan=True), st.sampled_from(["uint8", "int8", "uint16", "int16", "uint32", "int32", "int64"]))
def test_casts_clamp_and_cut_towards_zero(value: float, dtype: str) -> None:
    about = np.iinfo(dtype)
    expected = 0 if np.isnan(value) else int(max(about.min, min(about.max, value if np.isinf(value) else int(value))))
    assert caster(dtype)(np.array([value])).tolist() == [expected]


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("toByte", "uint8"), ("toUint8", "uint8"), ("toInt8", "int8"), ("toUint16", "uint16"), ("toShort", "int16"),
        ("toInt16", "int16"), ("toUint32", "uint32"), ("toInt", "int32"), ("toLong", "int64"), ("toFloat", "float32"), ("toDouble", "float64"),
    ],
)  # fmt: skip
def test_each_cast_has_the_type_of_its_name(name: str, dtype: str) -> None:
    kind, cast = CASTS[name]
    assert (kind.dtype, cast(np.array([1.5, -2.5])).dtype) == (np.dtype(dtype), np.dtype(dtype))


@given(st.integers(-(2**31), 2**31 - 1), st.sampled_from(["uint8", "int8", "uint16", "int16", "uint32"]))
def test_whole_numbers_are_clamped(value: int, dtype: str) -> None:
    about = np.iinfo(dtype)
    assert caster(dtype)(np.array([value], np.int32)).tolist() == [min(max(value, about.min), about.max)]
