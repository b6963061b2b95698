"""Reductions of stacks against plain loops, pixel by pixel."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.pixels import NOTHING, Pixels
from cropcam.pipeline.emulator.reducers import STACKED, Reducer, reduce_numbers, stacking
from cropcam.pipeline.emulator.stack_reducers import count, median, network

PIXELS = 4


@pytest.mark.parametrize("size", range(1, 13))
def test_the_network_sorts(size: int) -> None:
    # a network that sorts every sequence of zeros and ones sorts everything (Knuth's 0-1 principle)
    for bits in itertools.product((0, 1), repeat=size):
        items = list(bits)
        for low, high in network(size):
            items[low], items[high] = min(items[low], items[high]), max(items[low], items[high])
        assert items == sorted(bits)


@pytest.mark.parametrize("size", [31, 64, 100])
def test_long_networks_sort(size: int) -> None:
    items = np.random.default_rng(size).integers(0, 50, size).tolist()
    expected = sorted(items)
    for low, high in network(size):
        items[low], items[high] = min(items[low], items[high]), max(items[low], items[high])
    assert items == expected


@st.composite
def stacks(draw: st.DrawFn, dtypes: tuple[str, ...] = ("uint8", "uint16", "int32", "float32", "float64")) -> list[Pixels]:
    """Up to nine layers of four pixels, some the same everywhere, some empty, some without a mask."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    elements = st.floats(-1e4, 1e4, width=32) if dtype.kind == "f" else None
    layers = []
    for _ in range(draw(st.integers(1, 9))):
        shape = draw(st.sampled_from([(), (PIXELS,)]))
        values = draw(arrays.arrays(dtype, shape, elements=elements))
        mask = draw(st.none() | st.just(NOTHING) | arrays.arrays(np.bool_, (PIXELS,)))
        layers.append(Pixels(values, mask))
    return layers


def columns(layers: list[Pixels]) -> list[list[Any]]:
    """The valid values of each pixel."""
    spread = [(np.broadcast_to(p.values, (PIXELS,)), np.broadcast_to(True if p.mask is None else p.mask, (PIXELS,))) for p in layers]
    return [[values[i] for values, mask in spread if mask[i]] for i in range(PIXELS)]


def result(pixels: Pixels) -> list[Any]:
    values = np.broadcast_to(pixels.values, (PIXELS,))
    mask = np.broadcast_to(True if pixels.mask is None else pixels.mask, (PIXELS,))
    return [value if ok else None for value, ok in zip(values.tolist(), mask, strict=True)]


@given(stacks(("uint8", "uint16", "int32", "float64")))
def test_median_is_the_standard_library_s(layers: list[Pixels]) -> None:
    expected = [float(statistics.median([v.item() for v in column])) if column else None for column in columns(layers)]
    assert result(median(layers)) == expected


def test_the_median_of_a_long_plane_is_worked_out_in_pieces() -> None:
    rng = np.random.default_rng(0)
    values, mask = rng.integers(0, 65536, (21, 70_001)).astype(np.uint16), rng.random((21, 70_001)) < 0.6
    found = median([Pixels(v, m) for v, m in zip(values, mask, strict=True)])
    expected = np.ma.median(np.ma.MaskedArray(values.astype(float), ~mask), axis=0)
    np.testing.assert_array_equal(found.values, expected.filled(0))


def test_nan_is_no_observation() -> None:
    layers = [Pixels(np.array([np.nan, 1.0])), Pixels(np.array([3.0, np.nan])), Pixels(np.array([5.0, np.nan]), np.array([True, False]))]
    assert result_of(median(layers), 2) == [4.0, 1.0]


def result_of(pixels: Pixels, size: int) -> list[float]:
    return np.broadcast_to(pixels.values, (size,)).tolist()


@given(stacks(("uint16", "int32")))
def test_counting(layers: list[Pixels]) -> None:
    assert result(count(layers)) == [len(column) for column in columns(layers)]


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
def test_folds_are_plain_loops(kind: str, layers: list[Pixels]) -> None:
    expected = [None if not column else FOLDS[kind](column) for column in columns(layers)]
    assert result(STACKED[kind].reduce(layers)) == expected


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=12))
def test_reducers_of_lists(values: list[int]) -> None:
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
