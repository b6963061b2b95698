"""Measured, published or agreed values: another one needs its reason, and changes stores, runs, maps or figures. Tests elsewhere import them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

VALUES: dict[str, Any] = {
    "objectives.POOLING": 6.0,
    "objectives.SHARPNESS": 3.0,
    "objectives._SHARPEST": ((0.05, 3.0), (0.25, 20.0)),
}


@pytest.mark.parametrize("name", VALUES)
def test_the_value_is_the_documented_one(name: str) -> None:
    module, _, constant = name.partition(".")
    assert getattr(import_module(f"cropcam.model.losses.{module}"), constant) == VALUES[name]
