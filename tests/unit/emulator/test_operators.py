"""Operations on pixel values against Python's, and the types of their results."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cropcam.pipeline.emulator.images import BandType
from cropcam.pipeline.emulator.operators import BINARY

EXACT: dict[str, Any] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "min": min, "max": max, "bitwiseAnd": operator.and_,
    "bitwiseOr": operator.or_, "bitwiseXor": operator.xor, "leftShift": operator.lshift, "rightShift": operator.rshift, "mod": math.fmod,
    "eq": operator.eq, "neq": operator.ne, "lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge,
    "and": lambda a, b: bool(a and b), "or": lambda a, b: bool(a or b), "divide": operator.truediv, "hypot": math.hypot, "atan2": math.atan2,
    "pow": lambda a, b: float(a) ** b,
}  # fmt: skip  # fmt: skip


whole = st.sampled_from([0, 1, -1, 127, 128, 255, 256, 32767, 65535, 65536, -(2**20)]) | st.integers(-(2**20), 2**20)


@pytest.mark.parametrize("name", sorted(BINARY))
@settings(deadline=None, max_examples=50)
@given(one=whole, two=whole, spare=st.tuples(*[st.sampled_from([0, 1, 300, 70_000])] * 4))
def test_whole_numbers_are_exact_and_within_their_type(name: str, one: int, two: int, spare: tuple[int, int, int, int]) -> None:
    if "Shift" in name or name == "pow":
        one, two, spare = abs(one), abs(two) % 20, (0, spare[1], 0, 0)
    assume(two != 0 or name not in ("divide", "mod"))
    first, second = BandType("int", one - spare[0], one + spare[1]), BandType("int", two - spare[2], two + spare[3])
    kind = BINARY[name].type(first, second)
    made = BINARY[name].function(first, second, kind.dtype)(np.asarray(one, first.dtype), np.asarray(two, second.dtype)).item()
    assert kind.bounds[0] <= made <= kind.bounds[1]
    assert made == pytest.approx(float(EXACT[name](one, two)), rel=1e-14)
