"""Measured, published or agreed values: another one needs its reason, and changes stores, runs, maps or figures. Tests elsewhere import them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

VALUES: dict[str, Any] = {
    "areas.TOLERANCE": 0.01,
    "fields._SPARSE": 0.5,
    "fields._LEAST_COVER": 1e-6,
    "weak_labels.UBIQUITOUS": 0.995,
    "weak_labels.SUM_TOLERANCE": 1e-3,
    "field_shapes._SEMI_MAJOR_M": 6_378_137.0,
    "field_shapes._ECCENTRICITY_2": pytest.approx(1 - (6_356_752.314245 / 6_378_137) ** 2),
}


@pytest.mark.parametrize("name", VALUES)
def test_the_value_is_the_documented_one(name: str) -> None:
    module, _, constant = name.partition(".")
    assert getattr(import_module(f"cropcam.model.labels.{module}"), constant) == VALUES[name]
