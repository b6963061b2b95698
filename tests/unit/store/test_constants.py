"""Measured, published or agreed values: another one needs its reason, and changes stores, runs, maps or figures. Tests elsewhere import them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

VALUES: dict[str, Any] = {
    "schema.SCHEMA_VERSION": 2,
    "schema.BLOCK_PATCHES": 32,
    "schema.BLOCK_BYTES": 134_217_728,
    "schema.SPLITS": ("train", "validation", "test"),
    "schema.REASONS": ("kept", "image", "label", "gap"),
    "schema.MOST_PCT": 100,
    "schema.NOT_USED": 255,
    "schema.NOT_MEASURED": 255,
}


@pytest.mark.parametrize("name", VALUES)
def test_the_value_is_the_documented_one(name: str) -> None:
    module, _, constant = name.partition(".")
    assert getattr(import_module(f"cropcam.pipeline.store.{module}"), constant) == VALUES[name]
