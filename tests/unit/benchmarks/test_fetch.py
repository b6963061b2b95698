from __future__ import annotations

import pytest

from benchmarks.fetch import bench_study, measure


def test_the_files_have_the_size_that_was_asked_for() -> None:
    study = bench_study(4, 2.0)
    assert study.labels is None
    assert 4 * 1.8e6 < study.grid.height * study.grid.width * 14 < 4 * 2.2e6


@pytest.mark.parametrize("place", ["drive", "gs"])
def test_both_ways_bring_the_same_bytes(place: str) -> None:
    found = measure(place, 3, 0.1, 1, 2)
    assert found["files"] == 3
    assert found["bytes"] > 3 * 90_000
    assert found["ratio"] > 0
    assert found["plain_mb_s"] > 0
    assert found["fetch_mb_s"] > 0
