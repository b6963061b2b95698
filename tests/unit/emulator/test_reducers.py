"""Reducers of stacks and of lists against plain loops and the standard library."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.pixels import Pixels
from cropcam.pipeline.emulator.reducers import STACKED, Reducer, reduce_numbers, stacking
from support.layers import columns, result, stacks

FOLDS: dict[str, Callable[[list[Any]], Any]] = {
    "min": min,
    "max": max,
    "sum": lambda v: float(sum(int(x) for x in v)),
    "mean": lambda v: sum(int(x) for x in v) / len(v),
    "first": lambda v: v[0],
    "last": lambda v: v[-1],
    "and": lambda v: int(all(v)),
    "or": lambda v: int(any(v)),
}


@pytest.mark.parametrize("kind", sorted(FOLDS))
@given(layers=stacks(("uint8", "uint16", "int32")))
def test_reducers_of_stacks_equal_plain_loops(kind: str, layers: list[Pixels]) -> None:
    expected = [None if not column else FOLDS[kind](column) for column in columns(layers)]
    assert result(STACKED[kind].reduce(layers)) == expected


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=12))
def test_reducers_of_lists_equal_the_standard_library(values: list[int]) -> None:
    assert reduce_numbers(Reducer("toList"), values) == values
    assert reduce_numbers(Reducer("median"), values) == statistics.median(values)
    assert reduce_numbers(Reducer("max"), values) == max(values)
    assert reduce_numbers(Reducer("sum"), values) == sum(values)
    assert reduce_numbers(Reducer("count"), [*values, None]) == len(values)
    assert reduce_numbers(Reducer("stdDev"), values) == pytest.approx(statistics.pstdev(values))
    assert sum(reduce_numbers(Reducer("frequencyHistogram"), values).values()) == len(values)


def test_no_values_reduce_to_null() -> None:
    assert reduce_numbers(Reducer("mean"), []) is None
    assert reduce_numbers(Reducer("first"), [None]) is None
    with pytest.raises(EngineError, match=r"Reducer\.frequencyHistogram over images is not implemented"):
        stacking(Reducer("frequencyHistogram"))


@given(layers=stacks(("uint16", "float32")), most=st.integers(1, 9))
def test_a_named_raw_number_is_exact_up_to_it_and_refused_above(layers: list[Pixels], most: int) -> None:
    reducer = Reducer("median", options=(("maxRaw", most),))
    largest = max((len(column) for column in columns(layers)), default=0)
    if largest <= most:
        assert result(stacking(reducer).reduce(layers)) == result(STACKED["median"].reduce(layers))
    else:
        with pytest.raises(EngineError, match=f"of {largest} values with maxRaw {most} .* is not implemented") as caught:
            stacking(reducer).reduce(layers)
        assert caught.value.status == "UNIMPLEMENTED"
    assert stacking(reducer).type is STACKED["median"].type


def test_a_list_above_the_raw_number_is_refused() -> None:
    reducer = Reducer("median", options=(("maxRaw", 3),))
    assert reduce_numbers(reducer, [4, 1, 9, None]) == 4
    with pytest.raises(EngineError, match=r"Reducer\.median of 4 values with maxRaw 3"):
        reduce_numbers(reducer, [4, 1, 9, 2])
