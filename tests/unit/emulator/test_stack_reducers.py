"""Reductions of stacks against plain loops, pixel by pixel."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter

import numpy as np
import pytest
from hypothesis import given

from cropcam.pipeline.emulator.pixels import Pixels
from cropcam.pipeline.emulator.stack_reducers import count, median, mode, network
from support.layers import columns, result, stacks


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


@given(stacks(("uint8", "uint16", "int32", "float64")))
def test_the_median_is_that_of_the_standard_library(layers: list[Pixels]) -> None:
    expected = [float(statistics.median([v.item() for v in column])) if column else None for column in columns(layers)]
    assert result(median(layers)) == expected


def test_the_median_of_a_long_plane_is_computed_in_pieces() -> None:
    rng = np.random.default_rng(0)
    values, mask = rng.integers(0, 65536, (21, 70_001)).astype(np.uint16), rng.random((21, 70_001)) < 0.6
    found = median([Pixels(v, m) for v, m in zip(values, mask, strict=True)])
    expected = np.ma.median(np.ma.MaskedArray(values.astype(float), ~mask), axis=0)
    np.testing.assert_array_equal(found.values, expected.filled(0))


def test_nan_is_no_observation() -> None:
    layers = [Pixels(np.array([np.nan, 1.0])), Pixels(np.array([3.0, np.nan])), Pixels(np.array([5.0, np.nan]), np.array([True, False]))]
    assert np.broadcast_to(median(layers).values, (2,)).tolist() == [4.0, 1.0]


@given(stacks(("uint16", "int32")))
def test_the_count_is_that_of_the_valid_layers(layers: list[Pixels]) -> None:
    assert result(count(layers)) == [len(column) for column in columns(layers)]


@given(stacks(("uint8", "int32", "float64")))
def test_the_mode_is_the_commonest_value_and_the_smallest_of_equals(layers: list[Pixels]) -> None:
    expected = []
    for column in columns(layers):
        counted = Counter(value.item() for value in column)
        expected.append(min(value for value, number in counted.items() if number == max(counted.values())) if counted else None)
    assert result(mode(layers)) == expected
