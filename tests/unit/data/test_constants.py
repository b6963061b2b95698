"""Measured, published or agreed values: another one needs its reason, and changes stores, runs, maps or figures. Tests elsewhere import them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

VALUES: dict[str, Any] = {
    "normalization.CLIP": 6.0,
    "normalization._NOT_MISSING": 1e-6,
    "sampler.BAG_RUN": 8,
    "sampler.WINDOW_BLOCKS": 8,
    "loading._MEMORY_SHARE": 0.5,
    "pixel_draw.BATCH_PATCHES": 64,
    "store_groups.OVERLAP": 0.5,
}


@pytest.mark.parametrize("name", VALUES)
def test_the_value_is_the_documented_one(name: str) -> None:
    module, _, constant = name.partition(".")
    assert getattr(import_module(f"cropcam.model.data.{module}"), constant) == VALUES[name]
