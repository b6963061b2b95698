"""Dates against the standard library, numpy and dateutil."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.emulator import datetimes
from cropcam.pipeline.emulator.elements import Date, DateRange
from cropcam.pipeline.emulator.errors import EngineError

moments = st.datetimes(datetime.datetime(1950, 1, 1), datetime.datetime(2080, 1, 1), timezones=st.just(datetime.UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)


@pytest.mark.parametrize(
    ("text", "millis"),
    [
        ("2016-05-01", 1_462_060_800_000),
        ("2016-05-01T00:00:00Z", 1_462_060_800_000),
        ("2016-05-01T02:00:00+02:00", 1_462_060_800_000),
        ("1969-12-31T23:59:59.999", -1),
    ],
)
def test_iso_text_is_utc_unless_it_has_a_zone(text: str, millis: int) -> None:
    assert datetimes.parse_iso(text) == Date(millis)


@given(moments)
def test_instants_and_datetimes_convert_both_ways(moment: datetime.datetime) -> None:
    assert datetimes.to_datetime(datetimes.from_datetime(moment)) == moment
    assert datetimes.parse_iso(moment.isoformat()) == datetimes.from_datetime(moment)


@given(moments, st.integers(-60, 60), st.sampled_from(["second", "minute", "hour", "day", "week", "month", "year"]))
def test_advance_follows_the_calendar(moment: datetime.datetime, delta: int, unit: str) -> None:
    expected = moment + relativedelta(**{f"{unit}s": delta})  # type: ignore[arg-type]
    assert datetimes.to_datetime(datetimes.advance(datetimes.from_datetime(moment), delta, unit)) == expected


@given(moments, st.sampled_from(["second", "minute", "hour", "day", "month", "year"]))
def test_a_unit_starts_where_numpy_truncates(moment: datetime.datetime, unit: str) -> None:
    code = {"second": "s", "minute": "m", "hour": "h", "day": "D", "month": "M", "year": "Y"}[unit]
    date = datetimes.from_datetime(moment)
    expected = np.datetime64(date.millis, "ms").astype(f"datetime64[{code}]").astype("datetime64[ms]").astype(int)
    assert datetimes.unit_start(date, unit).millis == expected


@given(moments)
def test_weeks_start_on_monday(moment: datetime.datetime) -> None:
    start = datetimes.to_datetime(datetimes.unit_start(datetimes.from_datetime(moment), "week"))
    assert (start.weekday(), start.time()) == (0, datetime.time())
    assert datetime.timedelta(0) <= moment - start < datetime.timedelta(days=7)


@given(moments)
def test_fields_are_those_of_the_standard_library(moment: datetime.datetime) -> None:
    date = datetimes.from_datetime(moment)
    found = [datetimes.field(date, name) for name in ("year", "months", "week", "day", "hour", "day_of_year", "day_of_week")]
    year, week, weekday = moment.isocalendar()
    assert abs(year - moment.year) <= 1
    assert found == [moment.year, moment.month, week, moment.day, moment.hour, int(moment.strftime("%j")), weekday]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (None, "2016-07-04T09:05:03"),
        ("YYYY-MM-dd HH:mm:ss.SSS", "2016-07-04 09:05:03.250"),
        ("d MMMM yy", "4 July 16"),
        ("EEE, D", "Mon, 186"),
        ("EEEE 'at' H''m", "Monday at 9'5"),
        ("M/d", "7/4"),
    ],
)
def test_patterns_are_those_of_joda(pattern: str | None, expected: str) -> None:
    assert datetimes.formatted(datetimes.parse_iso("2016-07-04T09:05:03.250"), pattern) == expected


def test_a_range_without_an_end_is_one_millisecond() -> None:
    assert datetimes.as_range(Date(5), None) == DateRange(5, 6)
    assert datetimes.as_range(Date(5), Date(9)) == DateRange(5, 9)


def test_months_and_years_have_their_mean_length() -> None:
    assert datetimes.unit_millis("year") == 365.2425 * 86_400_000
    assert datetimes.unit_millis("month") * 12 == pytest.approx(datetimes.unit_millis("year"))
    assert datetimes.difference(Date(3 * 604_800_000), Date(0), "weeks") == 3


def test_unknown_units_and_text_are_refused() -> None:
    with pytest.raises(EngineError, match="Unknown date unit 'fortnight'"):
        datetimes.unit("fortnight")
    with pytest.raises(EngineError, match="Invalid date string '2016-13-01'"):
        datetimes.parse_iso("2016-13-01")
    with pytest.raises(EngineError, match="by a fraction of a year is not implemented"):
        datetimes.advance(Date(0), 0.5, "year")
