"""Dates: parsing, calendar arithmetic, formatting. Always UTC."""

from __future__ import annotations

import datetime
import re

from cropcam.pipeline.emulator.elements import Date, DateRange
from cropcam.pipeline.emulator.errors import EngineError, unimplemented

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MILLIS = {"second": 1000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000, "week": 604_800_000}
_JODA = re.compile(r"'[^']*'|Y+|y+|M+|d+|D+|H+|m+|s+|S+|E+|[A-Za-z]+")


def parse_iso(text: str) -> Date:
    """The instant ISO 8601 text names; midnight where it names only a day, UTC where it names no zone.

    Raises:
        EngineError: not a date.
    """
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise EngineError(f"Date: Invalid date string '{text}'.") from None
    return from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC))


def from_datetime(moment: datetime.datetime) -> Date:
    """The instant of a datetime with a zone."""
    return Date((moment - _EPOCH) // datetime.timedelta(milliseconds=1))


def to_datetime(date: Date) -> datetime.datetime:
    """The instant as a datetime in UTC."""
    return _EPOCH + datetime.timedelta(milliseconds=date.millis)


def unit(name: str) -> str:
    """The name of a unit in the singular.

    Raises:
        EngineError: no unit of time.
    """
    single = name.removesuffix("s")
    if single not in (*MILLIS, "month", "year"):
        raise EngineError(f"Date: Unknown date unit '{name}'.")
    return single


def advance(date: Date, delta: float, name: str) -> Date:
    """The date plus `delta` units; months and years by the calendar, the day cut to the month's length."""
    single = unit(name)
    if single in MILLIS:
        return Date(date.millis + round(delta * MILLIS[single]))
    if delta != int(delta):
        raise unimplemented(f"Date.advance by a fraction of a {single}")
    moment = to_datetime(date)
    months = moment.year * 12 + moment.month - 1 + int(delta) * (12 if single == "year" else 1)
    year, month = months // 12, months % 12 + 1
    first_of_next = datetime.date(year + month // 12, month % 12 + 1, 1)
    last_day = (first_of_next - datetime.timedelta(days=1)).day
    return from_datetime(moment.replace(year=year, month=month, day=min(moment.day, last_day)))


def unit_start(date: Date, name: str) -> Date:
    """The start of the unit that contains the date; weeks begin on Monday."""
    single, moment = unit(name), to_datetime(date)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    starts = {
        "year": day.replace(month=1, day=1),
        "month": day.replace(day=1),
        "week": day - datetime.timedelta(days=day.weekday()),
    }
    return from_datetime(starts[single]) if single in starts else Date(date.millis // MILLIS[single] * MILLIS[single])


def difference(date: Date, start: Date, name: str) -> float:
    """`date` minus `start` in units; of months and years the mean length."""
    return (date.millis - start.millis) / unit_millis(name)


def unit_millis(name: str) -> float:
    """Milliseconds of a unit; of months and years the mean length (365.2425 days a year)."""
    single = unit(name)
    means = {"month": 365.2425 / 12 * 86_400_000, "year": 365.2425 * 86_400_000}
    return means[single] if single in means else MILLIS[single]


def field(date: Date, name: str) -> int:
    """A calendar field: a unit's name, "day_of_year" or "day_of_week"."""
    moment = to_datetime(date)
    if name in ("day_of_year", "day_of_week"):
        return moment.timetuple().tm_yday if name == "day_of_year" else moment.isoweekday()
    single = unit(name)
    return moment.isocalendar().week if single == "week" else int(getattr(moment, single))


def as_range(start: Date, end: Date | None) -> DateRange:
    """The half-open range; one millisecond long without an end."""
    return DateRange(start.millis, start.millis + 1 if end is None else end.millis)


def formatted(date: Date, pattern: str | None) -> str:
    """The date as text by a Joda pattern; ISO 8601 to the second without one."""
    moment = to_datetime(date)
    if pattern is None:
        return moment.strftime("%Y-%m-%dT%H:%M:%S")
    return _JODA.sub(lambda match: _piece(moment, match[0]), pattern)


def _piece(moment: datetime.datetime, token: str) -> str:
    if token.startswith("'"):
        return token[1:-1] or "'"
    numbers = {
        "Y": moment.year, "y": moment.year, "d": moment.day, "D": moment.timetuple().tm_yday, "H": moment.hour, "m": moment.minute,
        "s": moment.second,
    }  # fmt: skip
    letter, width = token[0], len(token)
    if letter in "Yy" and width == 2:
        return f"{moment.year % 100:02d}"
    if letter == "M":
        return f"{moment.month:0{width}d}" if width <= 2 else moment.strftime("%b" if width == 3 else "%B")
    if letter == "S":
        return f"{moment.microsecond:06d}"[:width].ljust(width, "0")
    if letter == "E":
        return moment.strftime("%a" if width <= 3 else "%A")
    if letter not in numbers:
        raise unimplemented(f"Date.format: pattern '{token}'")
    return f"{numbers[letter]:0{width}d}"
