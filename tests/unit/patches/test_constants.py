"""Measured, published or agreed values: another one needs its reason, and changes stores, runs, maps or figures. Tests elsewhere import them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

VALUES: dict[str, Any] = {
    "measure.HISTOGRAM_STEP": 10,
    "measure._BINS_OF_INTEGERS": 256,
    "measure._LOW": -14,
    "measure._HIGH": 14,
    "measure._PER_OCTAVE": 8,
}


@pytest.mark.parametrize("name", VALUES)
def test_the_value_is_the_documented_one(name: str) -> None:
    module, _, constant = name.partition(".")
    assert getattr(import_module(f"cropcam.pipeline.patches.{module}"), constant) == VALUES[name]
