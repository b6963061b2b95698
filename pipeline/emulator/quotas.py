"""Quotas over time: requests a second, EECU-seconds a day and a month.

Source: guides "Earth Engine quotas", "Cost controls" and "Noncommercial tiers"; Cloud quotas by day reset at midnight
Pacific time (Google Cloud, "View and manage quotas").
"""

from __future__ import annotations

import datetime
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from zoneinfo import ZoneInfo

from cropcam.pipeline.emulator.service_texts import TEXTS

_PACIFIC = ZoneInfo("America/Los_Angeles")
_WINDOW_S = 1.0


def pacific_day() -> datetime.date:
    """The day by which quotas count."""
    return datetime.datetime.now(_PACIFIC).date()


def pacific_day_of(text: str) -> datetime.date:
    """The day of a time as the API writes it."""
    return datetime.datetime.fromisoformat(text).astimezone(_PACIFIC).date()


class RequestRate:
    """At most `most` requests of a project in any second; thread-safe. Refused requests do not count."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most, self._clock = most, clock
        self._times: defaultdict[str, deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def admit(self, project: str) -> None:
        """Count a request.

        Raises:
            EngineError: RESOURCE_EXHAUSTED, it is one too many.
        """
        with self._lock:
            moment, times = self._clock(), self._times[project]
            while times and times[0] <= moment - _WINDOW_S:
                times.popleft()
            if len(times) >= self._most:
                raise TEXTS["busy"].error()
            times.append(moment)


class Usage:
    """EECU-seconds of each project, as far as this engine counted them; thread-safe.

    Args:
        day_s: a project's custom quota of a day; None: unlimited, as by default on the service.
        month_s: of its tier; None: unlimited.
        today: the day that counts.
    """

    def __init__(self, day_s: float | None, month_s: float | None, today: Callable[[], datetime.date] = pacific_day) -> None:
        self._day_s, self._month_s, self._today = day_s, month_s, today
        self._by_day: defaultdict[tuple[str, datetime.date], float] = defaultdict(float)
        self._lock = threading.Lock()

    def add(self, project: str, seconds: float, day: datetime.date | None = None) -> None:
        """Count EECU-seconds of a day, by default of today."""
        with self._lock:
            self._by_day[project, day or self._today()] += seconds

    def of_day(self, project: str) -> float:
        """EECU-seconds of today."""
        with self._lock:
            return self._by_day[project, self._today()]

    def of_month(self, project: str) -> float:
        """EECU-seconds of this month."""
        today = self._today()
        with self._lock:
            days = self._by_day.items()
            return float(
                sum(value for (name, day), value in days if name == project and (day.year, day.month) == (today.year, today.month))
            )

    def check(self, project: str) -> None:
        """Refuse a computation of a project that has used its day up: it fails until the next day.

        Raises:
            EngineError: RESOURCE_EXHAUSTED, in the words of the guide "Cost controls".
        """
        if self._day_s is not None and self.of_day(project) >= self._day_s:
            raise TEXTS["daily_quota"].error()

    def is_restricted(self, project: str) -> bool:
        """Whether the project has used its month up: its tasks go on, slowed down and without an error ("Restricted mode")."""
        return self._month_s is not None and self.of_month(project) >= self._month_s
