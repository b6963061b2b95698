"""Budgets: time, sizes before anything is made, what is kept."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from cropcam.pipeline.emulator import budget
from cropcam.pipeline.emulator.engine import Engine
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.geometry import Geometry
from support.expressions import compute, invoke, reference

MEMORY, TIME = r"^User memory limit exceeded\.$", r"^Computation timed out\.$"


def constant(value: Any) -> dict[str, Any]:
    return {"constantValue": value}


def test_the_limits() -> None:
    assert (budget.ITEMS, budget.RETAINED) == (1_000_000, 4_000_000)


def test_time_is_over_within_the_block_and_not_behind_it() -> None:
    with budget.limited(-1.0):
        with pytest.raises(EngineError, match=TIME):
            budget.check_time()
        assert budget.seconds_left(5.0) == 0.001
    budget.check_time()
    assert budget.seconds_left(5.0) == 5.0


def test_sizes_are_refused_at_the_limit_and_not_before() -> None:
    budget.check_items(1_000_000)
    budget.check_text(8_000_000)
    budget.check_steps(100_000_000)
    for check, size, text in (
        (budget.check_items, 1_000_001, MEMORY),
        (budget.check_text, 8_000_009, MEMORY),
        (budget.check_steps, 1e8 + 1, TIME),
    ):
        with pytest.raises(EngineError, match=text):
            check(size)


def test_endless_items_are_not_gathered() -> None:
    assert budget.gathered(range(5)) == [0, 1, 2, 3, 4]
    with pytest.raises(EngineError, match=MEMORY):
        budget.gathered(itertools.count())


def test_a_value_weighs_all_that_it_would_be_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    square = Geometry.rectangle((0.0, 0.0, 1.0, 1.0))
    assert [budget.weight(value) for value in (7, "", "x" * 80, [1, 2, 3], {"a": [1, 2]}, [[1], [2, [3]]])] == [0, 0, 10, 3, 3, 6]
    assert budget.weight(square) == 1 + 5 + 10  # a ring, its points, their coordinates
    nested: list[Any] = [1]
    for _ in range(60):
        nested = [nested, nested]  # 2^60 leaves in 61 lists
    monkeypatch.setattr(budget, "ITEMS", 100_000)
    with pytest.raises(EngineError, match=MEMORY):
        budget.weight(nested)


def test_what_is_kept_counts_together_and_what_is_freed_no_more() -> None:
    with budget.limited(60.0):
        for _ in range(10):
            budget.keep(3_000_000)
            budget.keep(-3_000_000)
        budget.keep(4_000_000)
        with pytest.raises(EngineError, match=MEMORY):
            budget.keep(1)


DOUBLED = {str(i): invoke("String.cat", string1=reference(str(i - 1)), string2=reference(str(i - 1))) for i in range(1, 41)}
LISTS = {str(i): {"arrayValue": {"values": [reference(str(i - 1))] * 2}} for i in range(1, 41)}
BANDS = {str(i): invoke("Image.addBands", dstImg=reference(str(i - 1)), srcImg=reference(str(i - 1))) for i in range(1, 41)}
FILTERS = {str(i): invoke("Filter.and", filters={"arrayValue": {"values": [reference(str(i - 1))] * 2}}) for i in range(1, 41)}
CALLS = {
    str(i): {
        "functionDefinitionValue": {"argumentNames": ["x"], "body": f"b{i}"},
    }
    for i in range(1, 41)
} | {
    f"b{i}": {
        "functionInvocationValue": {
            "functionReference": str(i - 1),
            "arguments": {
                "x": {"functionInvocationValue": {"functionReference": str(i - 1), "arguments": {"x": {"argumentReference": "x"}}}}
            },
        }
    }
    for i in range(1, 41)
}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({**DOUBLED, "0": constant("aaaaaaaa"), "root": invoke("String.length", string=reference("40"))}, MEMORY),
        ({**LISTS, "0": constant([1]), "root": invoke("List.size", list=reference("40"))}, MEMORY),
        ({**LISTS, "0": constant([1]), "root": invoke("List.flatten", list=reference("12"))}, None),
        ({"root": invoke("List.repeat", value=constant(1), count=constant(200_000_000))}, MEMORY),
        ({"root": invoke("List.repeat", value=constant([1] * 100), count=constant(20_000))}, MEMORY),
        ({"root": invoke("List.sequence", start=constant(0), end=constant(500_000_000))}, MEMORY),
        ({"root": invoke("List.sequence", start=constant(0), count=constant(500_000_000))}, MEMORY),
        ({"root": invoke("List.sequence", start=constant(0), end=constant(1), step=constant(1e-300))}, MEMORY),
        ({"root": invoke("List.join", list=constant(["a"] * 10_000), separator=constant("x" * 10_000))}, MEMORY),
        ({"root": invoke("List.distinct", list=invoke("List.sequence", start=constant(0), end=constant(90_000)))}, TIME),
        ({"root": invoke("Number.format", number=constant(1), pattern=constant("%1000000000d"))}, "is not implemented"),
        ({"root": invoke("Number.format", number=constant(1), pattern=constant("%*d"))}, "is not implemented"),
        (
            {"root": invoke("String.replace", input=constant("a" * 3000), regex=constant("(a)"), replacement=constant("$1" * 3000), flags=constant("g"))},
            MEMORY,
        ),
        ({**BANDS, "0": invoke("Image.constant", value=constant(1)), "root": invoke("Image.bandNames", image=reference("40"))}, "allows 5000"),
        ({"root": invoke("Image.constant", value=constant([1] * 5001))}, "5001 bands; the embedded engine allows 5000"),
    ],
)  # fmt: skip
def test_values_that_explode_are_refused_before_they_are_made(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], message: str | None
) -> None:
    monkeypatch.setattr(budget, "ITEMS", 100_000)
    if message is None:
        assert len(compute(**values)) == 2**12
        return
    with pytest.raises(EngineError, match=message):
        compute(**values)


@pytest.mark.parametrize(
    "values",
    [
        {
            **FILTERS,
            "0": invoke("Filter.always"),
            "root": invoke("List.filter", list=constant([1]), filter=reference("40")),
        },
        {
            **CALLS,
            "0": {"functionDefinitionValue": {"argumentNames": ["x"], "body": "b0"}},
            "b0": invoke("Number.add", left={"argumentReference": "x"}, right=constant(1)),
            "root": {"functionInvocationValue": {"functionReference": "40", "arguments": {"x": constant(1)}}},
        },
    ],
    ids=["filters", "calls"],
)
def test_what_takes_for_ever_ends_with_the_budget(values: dict[str, Any], archive: Any) -> None:
    with budget.limited(0.2), pytest.raises(EngineError, match=TIME):
        Engine(archive).compute({"result": "root", "values": values})
