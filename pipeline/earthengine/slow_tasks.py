"""Tasks that run without getting on: recognised from one look at the tasks to the next, and named once. Pure.

A project past its monthly compute is not refused but slowed down (restricted mode), so that an export seems to hang.

Source: Earth Engine guide "Noncommercial tiers"; REST reference, OperationMetadata (progress, updateTime, batchEecuUsageSeconds).
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from cropcam.pipeline.earthengine.cost import RESTRICTED_URL
from cropcam.pipeline.earthengine.task_status import RUNNING, Row

PATIENCE_S = 3_600.0
_LEAST_EECU_S = 36.0  # 1 % of one compute unit over that hour: less is no progress


@dataclass
class _Mark:
    """Where a task stood when it last got on, and the seconds counted since."""

    progress: float | None
    eecu_s: float
    updated: str
    waited_s: float = 0.0


class Slow:
    """Watches running tasks over many looks.

    The hour is counted by the service's own times and by the seconds between two looks. The clock of this machine is not read.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._marks: dict[str, _Mark] = {}
        self._named: set[str] = set()

    def look(self, rows: Sequence[Row], passed_s: float) -> list[str]:
        """A line for each task that has been without progress for an hour, once a task.

        Args:
            rows: all tasks.
            passed_s: seconds since the look before, as slept.
        """
        lines = []
        for row in rows:
            if row.state != RUNNING:
                self._marks.pop(row.task, None)
                continue
            mark = self._marks.get(row.task)
            if mark is None or _has_moved(row, mark):
                self._marks[row.task] = _Mark(row.progress, row.eecu_s or 0.0, row.updated)
                continue
            mark.waited_s += max(passed_s, 0.0)
            if row.task not in self._named and max(mark.waited_s, _between(mark.updated, row.updated)) >= self._patience_s:
                self._named.add(row.task)
                lines.append(_line(row))
        return lines


def _has_moved(row: Row, mark: _Mark) -> bool:
    return row.progress != mark.progress or (row.eecu_s or 0.0) >= mark.eecu_s + _LEAST_EECU_S


def _between(earlier: str, later: str) -> float:
    """Seconds between two times of the service; 0 where one is missing."""
    try:
        return (datetime.datetime.fromisoformat(later) - datetime.datetime.fromisoformat(earlier)).total_seconds()
    except (TypeError, ValueError):  # a time without, another with a zone
        return 0.0


def _line(row: Row) -> str:
    duration = "" if row.seconds is None else f" for {datetime.timedelta(seconds=round(row.seconds))}"
    return (
        f"{row.task}: running{duration}, without progress for an hour; a project past its tier's monthly compute is slowed down "
        f"until the month ends (restricted mode, {RESTRICTED_URL}); cropcam tasks shows its EECU, and with --cancel ends it"
    )
