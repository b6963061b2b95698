"""Algorithms on dictionaries, through the real client's objects."""

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
        (lambda: ee.Dictionary({"b": 2, "a": 1}).keys(), ["a", "b"]),
        (lambda: ee.Dictionary({"b": 2, "a": 1}).values(), [1, 2]),
        (lambda: ee.Dictionary.fromLists(["a"], [1]).set("b", 2).combine({"a": 5}), {"a": 5, "b": 2}),
        (lambda: ee.Dictionary({"a": 1}).get("b", 9), 9),
        (lambda: ee.Dictionary({"a": 1, "b": 2}).select(["b"]).rename(["b"], ["c"]), {"c": 2}),
        (lambda: ee.Dictionary({"a": 1}).map(lambda _, v: ee.Number(v).add(1)), {"a": 2}),
        (lambda: ee.Dictionary({"a": 1, "b": 2}).remove(["a"]).contains("a"), False),
        (lambda: ee.Dictionary({"x": 4}).toImage().bandNames(), ["x"]),
        (lambda: ee.Dictionary(["a", 1, "b", 2]), {"a": 1, "b": 2}),
        (lambda: ee.Dictionary({"a": 1}).size(), 1),
        (lambda: ee.Dictionary({"a": 1}).getNumber("a"), 1),
        (lambda: ee.Dictionary({"a": 1}).combine({"a": 2}, False), {"a": 1}),
    ],
)  # fmt: skip
def test_operations_on_dictionaries(client: Client, made: Any, expected: Any) -> None:
    assert client.value(made()) == expected


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: ee.Dictionary({"a": 1}).get("b"), "does not contain key: 'b'"),
        (lambda: ee.Dictionary.fromLists(["a"], [1, 2]), "1 keys and 2 values"),
        (lambda: ee.Dictionary({"a": 1, "b": 2}).rename(["a"], ["b"]), "A new key is there already"),
        (lambda: ee.Dictionary(3), "A dictionary or a list of keys and values is required"),
    ],
)  # fmt: skip
def test_bad_dictionary_operations_are_refused(client: Client, made: Any, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        client.value(made())


entries = st.dictionaries(st.text("abc", min_size=1, max_size=2), st.integers(-9, 9), max_size=4)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries, entries, st.booleans())
def test_combination_is_the_union_of_both(client: Client, one: dict[str, int], two: dict[str, int], overwrite: bool) -> None:
    expected = one | two if overwrite else two | one
    assert client.value(ee.Dictionary(one).combine(ee.Dictionary(two), overwrite)) == expected
