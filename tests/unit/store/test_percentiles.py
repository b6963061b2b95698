"""Percentiles from histograms, against the pixels that were counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.patches.measure import bin_edges
from cropcam.pipeline.store.percentiles import percentiles
from oracles import patches as oracle


def of_histogram(values: np.ndarray, dtype: str, scale: float = 1.0) -> tuple[dict[str, Any], BandEncoding]:
    edges = bin_edges(dtype)
    counts = oracle.histogram(values, edges)
    return {"histogram": {"counts": [counts.tolist()], "edges": edges.tolist()}}, BandEncoding.uniform(dtype, 1, scale, 0.0, None)


def around(values: list[Any], share: float) -> tuple[float, float]:
    """The values between which the percentile lies: one value, but where the share falls between two."""
    place = share * len(values)
    ordered = sorted(values)
    return ordered[max(int(np.ceil(place)) - 1, 0)], ordered[min(int(np.floor(place)), len(values) - 1)]


@given(st.lists(st.integers(1, 65535), min_size=1, max_size=300), st.sampled_from([0.02, 0.5, 0.98]))
def test_percentiles_are_those_of_the_pixels_to_a_bin(values: list[int], share: float) -> None:
    ((found,),) = percentiles(*of_histogram(np.array(values), "uint16"), (share,))
    low, high = around(values, share)
    assert low - 256 <= found <= high + 256


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=300), st.sampled_from([0.02, 0.5, 0.98]))
def test_percentiles_of_floats_are_exact_to_an_eighth(values: list[float], share: float) -> None:
    ((found,),) = percentiles(*of_histogram(np.array(values), "float64"), (share,))
    low, high = around(values, share)
    assert low - abs(low) / 8 - 2.0**-13 <= found <= high + abs(high) / 8 + 2.0**-13


def test_a_negative_scale_turns_percentiles_round() -> None:
    values = np.arange(1, 10_001)
    ((low, middle, high),) = percentiles(*of_histogram(values, "uint16", -1.0))
    assert low < middle < high
    assert (low, middle, high) == pytest.approx((-9800, -5000, -200), abs=256)
