"""Algorithms on text, through the real client's objects."""

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
        (lambda: ee.String("LC08_x").slice(0, 4).cat("!").toLowerCase(), "lc08!"),
        (lambda: ee.String("a1b2").replace("[0-9]", "#", "g"), "a#b#"),
        (lambda: ee.String("a,b").split(","), ["a", "b"]),
        (lambda: ee.String("a_12").match("_([0-9]+)"), ["_12", "12"]),
        (lambda: ee.String("abc").index("c"), 2),
        (lambda: ee.String("abab").rindex("b"), 3),
        (lambda: ee.String("a").compareTo("b"), -1),
        (lambda: ee.String("ab").toUpperCase().equals("AB"), True),
        (lambda: ee.String(" a ").trim().length(), 1),
        (lambda: ee.String.encodeJSON(ee.Dictionary({"a": [1]})), '{"a":[1]}'),
        (lambda: ee.String('{"a": 2}').decodeJSON(), {"a": 2}),
    ],
)  # fmt: skip
def test_operations_on_text(client: Client, made: Any, expected: Any) -> None:
    assert client.value(made()) == expected


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: ee.String("x").decodeJSON(), "not JSON"),
        (lambda: ee.String("x").match("("), "Invalid regular expression"),
    ],
)  # fmt: skip
def test_bad_text_operations_are_refused(client: Client, made: Any, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        client.value(made())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text("ab ", max_size=6), st.text("ab", min_size=1, max_size=2))
def test_positions_and_comparison_are_those_of_python(client: Client, text: str, part: str) -> None:
    made = [ee.String(text).index(part), ee.String(text).rindex(part), ee.String(text).compareTo(part)]
    assert client.value(ee.List(made)) == [text.find(part), text.rfind(part), (text > part) - (text < part)]
