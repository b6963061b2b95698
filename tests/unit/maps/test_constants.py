"""Measured, published or agreed values: another one needs its reason, and changes stores, runs, maps or figures. Tests elsewhere import them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

VALUES: dict[str, Any] = {
    "accuracy.Z_95": 1.96,
    "pixel_areas.HECTARE_M2": 10_000.0,
    "pixel_areas.EQUATOR_M": 6_378_137.0,
    "pixel_areas.TOLERANCE": 1e-7,
    "quantised.STEPS": 250,
    "sample_design.LEAST_PER_CLASS": 25,
    "sample_design.LEAST": 100,
    "sample_files.STANDARD_ERROR": 0.01,
    "strata.NEARLY": 0.1,
    "smoothing.RADIUS_PX": 3,
    "windows.NODATA_CLASS": 255,
    "area_report.FEW_POINTS": 10,
    "footprint.DIGITS": 7,
}


@pytest.mark.parametrize("name", VALUES)
def test_the_value_is_the_documented_one(name: str) -> None:
    module, _, constant = name.partition(".")
    assert getattr(import_module(f"cropcam.pipeline.maps.{module}"), constant) == VALUES[name]
