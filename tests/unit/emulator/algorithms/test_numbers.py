"""Algorithms on numbers, through the real client's objects."""

from __future__ import annotations

from typing import Any

import ee
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cropcam.pipeline.emulator.errors import EngineError
from support.scenes import Client


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: ee.Number(7).divide(2), 3.5),
        (lambda: ee.Number(7).mod(4), 3),
        (lambda: ee.Number(7).add(2).multiply(3), 27),
        (lambda: ee.Number(2.5).round(), 3),
        (lambda: ee.Number(-2.7).toInt(), -2),
        (lambda: ee.Number(300).toByte(), 255),
        (lambda: ee.Number(2).pow(10), 1024),
        (lambda: ee.Number(3).gt(2).And(1), 1),
        (lambda: ee.Number(3.0).format("%05d"), "00003"),
        (lambda: ee.Number(3.14159).format("%.2f"), "3.14"),
        (lambda: ee.Number.parse("12"), 12),
        (lambda: ee.Number(7).clamp(1, 5), 5),
        (lambda: ee.Number.parse("ff", 16), 255),
        (lambda: ee.Number.parse("1.5"), 1.5),
    ],
)  # fmt: skip
def test_operations_on_numbers(client: Client, made: Any, expected: Any) -> None:
    assert client.value(made()) == expected


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: ee.Number.parse("x"), "Cannot parse 'x'"),
        (lambda: ee.Number(1).format("%q"), "pattern '%q' is not implemented"),
    ],
)  # fmt: skip
def test_bad_numbers_are_refused(client: Client, made: Any, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        client.value(made())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(-1000, 1000), st.integers(-1000, 1000))
def test_sums_products_and_order_are_those_of_python(client: Client, one: int, two: int) -> None:
    left, right = ee.Number(one), ee.Number(two)
    made = [left.add(right), left.subtract(right), left.multiply(right), left.lt(right), left.eq(right), left.max(right)]
    assert client.value(ee.List(made)) == [one + two, one - two, one * two, one < two, one == two, max(one, two)]
