"""Regular expressions: what they match, and that they end."""

from __future__ import annotations

import pytest

from cropcam.pipeline.emulator import budget, patterns
from cropcam.pipeline.emulator.errors import EngineError


def test_an_expression_matches_the_whole_text() -> None:
    assert patterns.matches("B[1-4]", "B3")
    assert not patterns.matches("B[1-4]", "B30")


@pytest.mark.parametrize(
    ("replacement", "every", "result"),
    [("_", True, "_an_n_"), ("_", False, "_anana"), ("<$1>", True, "<b>an<a>n<a>")],
)
def test_matches_are_replaced(replacement: str, every: bool, result: str) -> None:
    text = "banana"
    pattern = "(b|(?<=n)a)"
    found = patterns.replaced(pattern, replacement, text, every=every)
    assert found == result


def test_flags() -> None:
    assert patterns.apply("search", "AN", "banana", flags="i").group() == "an"
    assert patterns.apply("search", "AN", "banana", flags="x") is None


@pytest.mark.parametrize(("pattern", "message"), [("(", "Invalid regular expression"), ("a" * 1001, "1001 characters: 1000 are allowed")])
def test_no_expression_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        patterns.matches(pattern, "a")


def test_an_expression_that_would_take_years_ends_with_the_budget() -> None:
    with budget.limited(0.1), pytest.raises(EngineError, match=r"^Computation timed out\.$"):
        patterns.apply("search", "(a|a)*$", "a" * 34 + "b")
