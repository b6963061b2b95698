"""Algorithms on dates, through the real client's objects."""

from __future__ import annotations

from datetime import date
from typing import Any

import ee
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cropcam.pipeline.emulator.errors import EngineError
from support.scenes import Client


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: ee.Date("2016-02-29").advance(1, "year").format("YYYY-MM-dd"), "2017-02-28"),
        (lambda: ee.Date("2016-01-31").advance(1, "month").format("d MMM yy"), "29 Feb 16"),
        (lambda: ee.Date("2016-01-31").advance(-2, "months").format(), "2015-11-30T00:00:00"),
        (lambda: ee.Date("2016-01-01T06:30:00").advance(0.5, "day").format("HH:mm 'on' EEE"), "18:30 on Fri"),
        (lambda: ee.Date("2016-07-01").difference("2016-05-01", "day"), 61.0),
        (lambda: ee.Date("2016-07-14").get("month"), 7),
        (lambda: ee.Date("2016-07-14").getRelative("day", "year"), 195),
        (lambda: ee.Date("2016-07-14").getRelative("month", "year"), 6),
        (lambda: ee.Date("2016-07-14").getRange("month"), {"type": "DateRange", "dates": [1467331200000, 1470009600000]}),
        (lambda: ee.Date.fromYMD(2016, 7, 14).millis(), 1468454400000),
        (lambda: ee.Date(5), {"type": "Date", "value": 5}),
        (lambda: ee.DateRange("2016-01-01", "2016-01-02").contains("2016-01-02"), False),
        (lambda: ee.DateRange("2016-01-01", "2016-01-02").start(), {"type": "Date", "value": 1451606400000}),
        (lambda: ee.Date.unitRatio("day", "hour"), 24.0),
        (lambda: ee.DateRange("2016-01-01", "2016-01-01").isEmpty(), True),
        (lambda: ee.DateRange("2016-01-01", "2016-01-02").end().millis(), 1451692800000),
    ],
)  # fmt: skip
def test_operations_on_dates(client: Client, made: Any, expected: Any) -> None:
    assert client.value(made()) == expected


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: ee.Date("yesterday"), "Invalid date string 'yesterday'"),
        (lambda: ee.Date(0).advance(1, "eon"), "Unknown date unit 'eon'"),
        (lambda: ee.Date(0).advance(0.5, "month"), "by a fraction of a month is not implemented"),
        (lambda: ee.Date(0).format("YYYY 'of' G"), "pattern 'G' is not implemented"),
    ],
)  # fmt: skip
def test_bad_dates_are_refused(client: Client, made: Any, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        client.value(made())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dates(), st.integers(-50, 50))
def test_months_forward_and_back_end_at_the_first_day(client: Client, day: Any, months: int) -> None:
    first = date(min(max(day.year, 1900), 2100), day.month, 1)
    there = ee.Date(first.isoformat()).advance(months, "month")
    assert client.value(there.advance(-months, "month").format("YYYY-MM-dd")) == first.isoformat()
    assert client.value(there.get("day")) == 1
