"""Requests a second, and EECU-seconds a day and a month."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.quotas import RequestRate, Usage, pacific_day, pacific_day_of


@given(st.lists(st.integers(0, 400), max_size=60), st.integers(1, 5))
def test_no_second_holds_more_requests_than_allowed(steps: list[int], most: int) -> None:
    moment = 0.0
    rate, admitted = RequestRate(most, lambda: moment), list[float]()
    for step in steps:
        moment += step / 1000
        recent = sum(time > moment - 1.0 for time in admitted)
        if recent < most:
            rate.admit("p")
            admitted.append(moment)
        else:
            with pytest.raises(EngineError, match="request rate or concurrency limit"):
                rate.admit("p")


def test_projects_have_rates_of_their_own() -> None:
    rate = RequestRate(1, lambda: 0.0)
    rate.admit("p")
    rate.admit("q")
    with pytest.raises(EngineError, match="Too Many Requests") as refused:
        rate.admit("p")
    assert refused.value.code == 429


def test_a_day_ends_at_midnight_and_a_month_with_its_last_day() -> None:
    today = datetime.date(2026, 11, 29)
    usage = Usage(10.0, 25.0, lambda: today)
    usage.check("p")
    usage.add("p", 10.0)
    with pytest.raises(EngineError, match="Your usage exceeded the custom quota for 'earthengine"):
        usage.check("p")
    usage.check("q")
    assert not usage.is_restricted("p")
    today = datetime.date(2026, 11, 30)
    usage.check("p")
    usage.add("p", 9.0)
    usage.add("p", 6.0, datetime.date(2026, 11, 1))
    assert (usage.of_day("p"), usage.of_month("p"), usage.is_restricted("p")) == (9.0, 25.0, True)
    today = datetime.date(2026, 12, 1)
    assert (usage.of_month("p"), usage.is_restricted("p")) == (0.0, False)


def test_without_limits_nothing_is_refused() -> None:
    usage = Usage(None, None)
    usage.add("p", 1e12)
    usage.check("p")
    assert not usage.is_restricted("p")
    assert usage.of_day("p") == 1e12


def test_days_are_those_of_the_pacific() -> None:
    assert pacific_day_of("2026-07-01T06:59:59.000000Z") == datetime.date(2026, 6, 30)
    assert pacific_day_of("2026-07-01T07:00:00.000000Z") == datetime.date(2026, 7, 1)
    assert abs(pacific_day() - datetime.datetime.now(datetime.UTC).date()) <= datetime.timedelta(days=1)
