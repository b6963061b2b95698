"""The stream network: pure in position, metres to the bank, upstream counts by brute force."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.landscape.drainage import CREEKS, FAR_M, RIVERS, Streams, _upstream, bank_distance
from cropcam.pipeline.landscape.noise import Floats, Metres, octaves


def hills(x_m: Metres, y_m: Metres) -> Floats:
    return octaves(x_m, y_m, (20_000.0, 6_000.0), 7)


def lattice(x0_m: float, y0_m: float, step_m: float, count: int) -> tuple[Metres, Metres]:
    x_m, y_m = np.meshgrid(x0_m + step_m * np.arange(count), y0_m + step_m * np.arange(count))
    return x_m, y_m


@pytest.mark.parametrize("level", [RIVERS, CREEKS])
def test_the_distance_is_the_same_through_any_window(level: Streams) -> None:
    x_m, y_m = lattice(4e5, 1.9e6, level.cell_m / 20, 60)
    whole = bank_distance(x_m, y_m, level, hills, 3)
    assert whole.dtype == np.float32
    assert whole.max() <= FAR_M
    for part in (np.s_[:9, :13], np.s_[25:58, 31:32], np.s_[-1:, -1:]):
        np.testing.assert_array_equal(bank_distance(x_m[part], y_m[part], level, hills, 3), whole[part])
    assert (bank_distance(x_m, y_m, level, hills, 4) != whole).any()


@pytest.mark.parametrize("level", [RIVERS, CREEKS])
def test_the_distance_changes_by_no_more_than_the_way(level: Streams) -> None:
    step_m = level.cell_m / 50
    distance_m = bank_distance(*lattice(4e5, 1.9e6, step_m, 200), level, hills, 0).astype(np.float64)
    assert (distance_m < 0).any()
    near = distance_m < level.cell_m / 2  # exact within a cell
    for axis in (0, 1):
        both = np.minimum(near[:-1], near[1:]) if axis == 0 else np.minimum(near[:, :-1], near[:, 1:])
        assert both.mean() > 0.2
        assert np.abs(np.diff(distance_m, axis=axis))[both].max() <= step_m * (1 + 1e-3)


@st.composite
def forests(draw: st.DrawFn) -> list[int]:
    """The node that each node drains to, -1 for a sink; numbers grow downstream, so there is no circle."""
    count = draw(st.integers(1, 25))
    return [draw(st.one_of(st.just(-1), st.integers(node + 1, count - 1))) if node + 1 < count else -1 for node in range(count)]


@given(forests(), st.integers(0, 8))
def test_upstream_nodes_are_those_of_a_walk_downstream(drains_to: list[int], steps: int) -> None:
    expected = [0] * len(drains_to)
    for start in range(len(drains_to)):
        node = start
        for _ in range(steps + 1):
            expected[node] += 1
            node = drains_to[node]
            if node < 0:
                break
    flow: npt.NDArray[np.bool_] = np.array(drains_to) >= 0
    found = _upstream(np.array(drains_to)[flow].astype(np.int64), flow, steps)
    assert found.tolist() == expected
