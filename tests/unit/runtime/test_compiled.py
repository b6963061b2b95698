"""Compiled loops give the plain loop's result, also where their cache has no folder."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

from cropcam.pipeline.runtime.compiled import compiled


def total(values: np.ndarray) -> float:
    found = 0.0
    for value in values:
        found += value
    return found


def test_a_compiled_loop_is_the_loop() -> None:
    assert compiled(total)(np.arange(5.0)) == total(np.arange(5.0)) == 10


def test_without_a_folder_for_the_cache_it_is_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = numba.njit

    def strict(**options: Any) -> Any:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return plain(**options)

    monkeypatch.setattr(numba, "njit", strict)
    assert compiled(total)(np.arange(4.0)) == 6
