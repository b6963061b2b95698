"""Algorithms on dates. Always UTC: a time zone other than UTC is refused.

Source: Earth Engine API, ee.Date, ee.DateRange.
"""

from __future__ import annotations

import datetime

from cropcam.pipeline.emulator import datetimes as instants
from cropcam.pipeline.emulator.elements import Date, DateRange
from cropcam.pipeline.emulator.registry import algorithm

_ZONE = ("timeZone",)


@algorithm("Date", refused=_ZONE)
def date(value: Date) -> Date:
    """The instant of ISO 8601 text or of milliseconds since 1970."""
    return value


@algorithm("Date.fromYMD", refused=_ZONE)
def from_ymd(year: int, month: int, day: int) -> Date:
    """Midnight of a day."""
    return instants.advance(instants.from_datetime(datetime.datetime(year, month, 1, tzinfo=datetime.UTC)), day - 1, "day")


@algorithm("Date.millis")
def millis(date: Date) -> int:
    """Milliseconds since 1970."""
    return date.millis


@algorithm("Date.advance", refused=_ZONE)
def advance(date: Date, delta: float, unit: str) -> Date:
    """The date plus a number of units."""
    return instants.advance(date, delta, unit)


@algorithm("Date.difference")
def difference(date: Date, start: Date, unit: str) -> float:
    """The time from `start` in units."""
    return instants.difference(date, start, unit)


@algorithm("Date.format", refused=_ZONE)
def format_(date: Date, format: str | None = None) -> str:  # noqa: A002
    """The date as text by a Joda pattern."""
    return instants.formatted(date, format)


@algorithm("Date.get", refused=_ZONE)
def get(date: Date, unit: str) -> int:
    """A calendar field."""
    return instants.field(date, unit)


@algorithm("Date.getRelative", refused=_ZONE)
def get_relative(date: Date, unit: str, inUnit: str) -> int:
    """Index (from 0) of the date's unit in the greater unit that contains it."""
    start = instants.unit_start(date, inUnit)
    if instants.unit(unit) == "month":
        return instants.field(date, "month") - instants.field(start, "month")
    return int(instants.difference(date, start, unit))


@algorithm("Date.getRange", refused=_ZONE)
def get_range(date: Date, unit: str) -> DateRange:
    """The unit that contains the date."""
    start = instants.unit_start(date, unit)
    return DateRange(start.millis, instants.advance(start, 1, unit).millis)


@algorithm("Date.unitRatio")
def unit_ratio(numerator: str, denominator: str) -> float:
    """Number of units in another unit."""
    return instants.unit_millis(numerator) / instants.unit_millis(denominator)


@algorithm("DateRange", refused=_ZONE)
def date_range(start: Date, end: Date | None = None) -> DateRange:
    """The half-open range from start to end; one millisecond long without an end."""
    return instants.as_range(start, end)


@algorithm("DateRange.start")
def range_start(dateRange: DateRange) -> Date:
    """Its first instant."""
    return Date(dateRange.start)


@algorithm("DateRange.end")
def range_end(dateRange: DateRange) -> Date:
    """The first instant after it."""
    return Date(dateRange.end)


@algorithm("DateRange.contains")
def contains(dateRange: DateRange, other: Date) -> bool:
    """Whether the range contains a date."""
    return dateRange.start <= other.millis < dateRange.end


@algorithm("DateRange.isEmpty")
def is_empty(dateRange: DateRange) -> bool:
    """Whether it holds no instant."""
    return dateRange.end <= dateRange.start
