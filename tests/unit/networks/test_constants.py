"""Measured, published or agreed values: another one needs its reason, and changes stores, runs, maps or figures. Tests elsewhere import them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

VALUES: dict[str, Any] = {
    "baseline.FILTERS": (32, 64, 128, 256),
    "unet.FILTERS": (32, 64, 128, 256),
    "fcn.FILTERS": (32, 48, 48),
    "fcn_time.FILTERS": (32, 48, 48),
    "fcn_time.DAYS_PER_YEAR": 365.25,
    "fcn_time.HARMONICS": 2,
    "neighbourhood.SIZES": (1, 3, 5),
    "resnet50.BLOCKS": (3, 4, 6, 3),
    "resnet50.WIDTHS": (64, 128, 256, 512),
    "resnet50.EXPANSION": 4,
}


@pytest.mark.parametrize("name", VALUES)
def test_the_value_is_the_documented_one(name: str) -> None:
    module, _, constant = name.partition(".")
    assert getattr(import_module(f"cropcam.model.networks.{module}"), constant) == VALUES[name]
