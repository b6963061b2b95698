"""Compiled loops give the plain loop's result, also where their cache has no folder."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

from cropcam.pipeline.runtime.compiled import compiled, inlined


def total(values: np.ndarray) -> float:
    found = 0.0
    for value in values:
        found += value
    return found


def test_a_compiled_loop_is_the_loop() -> None:
    assert compiled(total)(np.arange(5.0)) == total(np.arange(5.0)) == 10


def test_a_part_is_compiled_into_its_loop() -> None:
    @inlined
    def grow(values: np.ndarray, index: int) -> int:
        if values[index] > 2:
            return -1
        values[index] += 1
        return index

    def loop(values: np.ndarray) -> int:
        changed = 0
        for index in range(len(values)):
            changed += grow(values, index) >= 0
        return changed

    values = np.arange(5)
    assert compiled(loop)(values) == 3
    assert values.tolist() == [1, 2, 3, 3, 4]


def test_without_a_folder_for_the_cache_it_is_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = numba.njit

    def strict(**options: Any) -> Any:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return plain(**options)

    monkeypatch.setattr(numba, "njit", strict)
    assert compiled(total)(np.arange(4.0)) == 6
