"""Injected faults: counts, routes, orders."""

from __future__ import annotations

import pytest

from cropcam.pipeline.emulator.fault_injection import EXPORT_RUN, Fault, Faults
from cropcam.pipeline.errors import ConfigError


def test_faults_strike_a_counted_number_of_times() -> None:
    faults = Faults.of(Fault("tiles", count=2, after=1), Fault("*", kind="slow"))
    taken = [faults.take("tiles") for _ in range(5)]
    assert [fault.kind if fault else None for fault in taken] == ["slow", "status", "status", None, None]
    assert faults.left() == []


def test_faults_of_any_request_spare_running_tasks() -> None:
    faults = Faults.of(Fault("*"), Fault(EXPORT_RUN, kind="memory"))
    inject = faults.take(EXPORT_RUN)
    assert inject is not None
    assert inject.kind == "memory"
    assert [fault["route"] for fault in faults.left()] == ["*"]


def test_unknown_faults_are_refused() -> None:
    with pytest.raises(ConfigError, match="kind 'fire' is not known"):
        Faults().order([{"kind": "fire"}])
    with pytest.raises(ConfigError, match="unexpected keyword argument 'colour'"):
        Faults().order([{"colour": "red"}])
