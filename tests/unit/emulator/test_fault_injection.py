"""Injected faults: counts, routes, orders."""

from __future__ import annotations

import pytest

from cropcam.pipeline.emulator.fault_injection import EXPORT_RUN, NO_REQUESTS, Fault, Faults
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


def test_events_of_the_engine_are_no_requests() -> None:
    faults = Faults.of(Fault("*", count=100))
    assert all(faults.take(event) is None for event in NO_REQUESTS)


def test_a_periodic_fault_strikes_every_so_many_requests() -> None:
    faults = Faults.of(Fault("*", "unavailable", after=9, every=10, count=2))
    struck = [number for number in range(1, 41) if faults.take("config")]
    assert struck == [10, 20]
    assert faults.left() == []


def test_a_periodic_fault_counts_the_requests_of_its_route() -> None:
    faults = Faults.of(Fault("operations", every=2, count=10))
    struck = [faults.take("config" if number % 2 else "operations") is not None for number in range(8)]
    assert struck == [True, False, False, False, True, False, False, False]


def test_unknown_faults_are_refused() -> None:
    with pytest.raises(ConfigError, match="kind 'fire' is not known"):
        Faults().order([{"kind": "fire"}])
    with pytest.raises(ConfigError, match="every 0th request is none; give a number from 1"):
        Faults().order([{"every": 0}])
    with pytest.raises(ConfigError, match="unexpected keyword argument 'colour'"):
        Faults().order([{"colour": "red"}])
