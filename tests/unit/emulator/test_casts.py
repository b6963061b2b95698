"""Casts of pixel values."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.emulator.casts import caster


@given(st.floats(allow_nan=True), st.sampled_from(["uint8", "int8", "uint16", "int16", "uint32", "int32", "int64"]))
def test_casts_clamp_and_cut_towards_zero(value: float, dtype: str) -> None:
    about = np.iinfo(dtype)
    expected = 0 if np.isnan(value) else int(max(about.min, min(about.max, value if np.isinf(value) else int(value))))
    assert caster(dtype)(np.array([value])).tolist() == [expected]
