"""Algorithms on lists, through the real client's objects."""

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
        (lambda: ee.List.sequence(1, 4), [1, 2, 3, 4]),
        (lambda: ee.List.sequence(0, 1, None, 3), [0, 0.5, 1]),
        (lambda: ee.List([3, 1, 2]).sort().reverse(), [3, 2, 1]),
        (lambda: ee.List([3, 1, 2]).sort([1, 3, 2]), [3, 2, 1]),
        (lambda: ee.List([1, 2, 3]).slice(1), [2, 3]),
        (lambda: ee.List([1, 2, 3]).get(-1), 3),
        (lambda: ee.List([1, [2, [3]]]).flatten(), [1, 2, 3]),
        (lambda: ee.List([1, 1, 2]).distinct().cat([5]).add(6), [1, 2, 5, 6]),
        (lambda: ee.List([1, 2]).zip([3, 4]), [[1, 3], [2, 4]]),
        (lambda: ee.List([1, 2, 3]).map(lambda x: ee.Number(x).multiply(2)), [2, 4, 6]),
        (lambda: ee.List([1, 2, 3]).iterate(lambda x, s: ee.Number(x).add(s), 10), 16),
        (lambda: ee.List([1, 2, 3]).reduce(ee.Reducer.mean()), 2.0),
        (lambda: ee.List([1, 5, 3]).filter(ee.Filter.gt("item", 2)), [5, 3]),
        (lambda: ee.List([1, 2, 3]).set(-1, 9).insert(0, 7).remove(2), [7, 1, 9]),
        (lambda: ee.List([1, 2, 1]).indexOf(2), 1),
        (lambda: ee.List([1, 2, 1]).frequency(1), 2),
        (lambda: ee.List(["a", "b"]).join("-"), "a-b"),
        (lambda: ee.List.repeat(0, 3), [0, 0, 0]),
        (lambda: ee.List([1, 2]).contains(2), True),
        (lambda: ee.List([1, 2]).containsAll([2, 3]), False),
        (lambda: ee.List([1, 2]).equals([1, 2]), True),
        (lambda: ee.List([1, 2, 1]).removeAll([1]), [2]),
        (lambda: ee.List([1, 2, 1]).replaceAll(1, 5), [5, 2, 5]),
        (lambda: ee.List([[1, 2], [3, 4]]).unzip(), [[1, 3], [2, 4]]),
        (lambda: ee.List.sequence(5, None, 2, 3), [5, 7, 9]),
        (lambda: ee.List([1, 2]).map(lambda x: ee.Algorithms.If(ee.Number(x).gt(1), x, None), True), [2]),
    ],
)  # fmt: skip
def test_operations_on_lists(client: Client, made: Any, expected: Any) -> None:
    assert client.value(made()) == expected


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: ee.List([1]).get(3), "List index must be between 0 and 0"),
        (lambda: ee.List([1]).sort([1, 2]), "1 elements and 2 keys"),
        (lambda: ee.List.sequence(1), "Either 'end' or 'count' is required"),
    ],
)  # fmt: skip
def test_bad_list_operations_are_refused(client: Client, made: Any, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        client.value(made())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(-9, 9), max_size=6), st.integers(-7, 7), st.none() | st.integers(-7, 7))
def test_slices_are_those_of_python(client: Client, values: list[int], start: int, end: int | None) -> None:
    assert client.value(ee.List(values).slice(start, end)) == values[start:end]
