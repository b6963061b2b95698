"""Tasks without progress: by the service's times, by counted seconds, never by this machine's clock."""

from __future__ import annotations

import datetime
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.earthengine.cost import RESTRICTED_URL
from cropcam.pipeline.earthengine.slow_tasks import Slow
from cropcam.pipeline.earthengine.task_status import Row

START = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)


def row(minute: float = 0, progress: float | None = 0.25, eecu_s: float | None = 100.0, state: str = "RUNNING", task: str = "a") -> Row:
    updated = (START + datetime.timedelta(minutes=minute)).isoformat().replace("+00:00", "Z")
    return Row(task, "image", state, 60 * minute, eecu_s, "", (), progress, updated)


def test_an_hour_of_the_services_clock_is_named_once() -> None:
    slow = Slow()
    assert slow.look([row(0)], 0) == []
    assert slow.look([row(59)], 10) == []
    (line,) = slow.look([row(60)], 10)
    assert line.startswith("a: running for 1:00:00, without progress for an hour")
    assert RESTRICTED_URL in line
    assert "cropcam tasks" in line
    assert slow.look([row(200)], 10) == []


def test_without_news_from_the_service_the_looks_are_counted() -> None:
    slow = Slow()
    found = [slow.look([row(0)], 60) for _ in range(70)]
    assert [number for number, lines in enumerate(found) if lines] == [60]  # the first look is the beginning


def test_progress_begins_the_hour_anew() -> None:
    slow = Slow()
    for minute in range(0, 300, 50):
        assert slow.look([row(minute, progress=minute / 1_000)], 3_000) == []
    for minute in range(300, 600, 50):
        assert slow.look([row(minute, eecu_s=100.0 + minute)], 3_000) == []


def test_a_trickle_of_compute_is_no_progress() -> None:
    slow = Slow()
    found = [slow.look([row(minute, eecu_s=100 + minute / 10)], 600) for minute in range(0, 70, 10)]
    assert [len(lines) for lines in found] == [0, 0, 0, 0, 0, 0, 1]


def test_only_running_tasks_are_watched_each_by_itself() -> None:
    slow, waiting = Slow(), row(0, state="PENDING", task="b")
    slow.look([row(0), waiting], 0)
    slow.look([row(50), replace(waiting, state="RUNNING")], 3_000)
    assert len(slow.look([row(70), replace(waiting, state="RUNNING")], 1_200)) == 1
    assert [line[:2] for line in slow.look([row(80), replace(waiting, state="RUNNING")], 3_000)] == ["b:"]
    slow.look([row(90, state="PENDING"), waiting], 10)
    slow.look([row(91)], 10)
    assert slow.look([row(300)], 9_000) == []  # named before


def test_missing_values_are_no_progress_and_no_error() -> None:
    slow = Slow()
    bare = replace(row(0, progress=None, eecu_s=None), updated="", seconds=None)
    assert slow.look([bare], 0) == []
    assert slow.look([replace(bare, updated="soon")], 1_800) == []
    assert slow.look([replace(bare, updated="2026-05-01T00:00:00")], 1_800)[0].startswith("a: running, without progress")


@given(st.lists(st.floats(-1e9, 59, allow_nan=False), max_size=30))
def test_a_time_that_runs_backwards_tells_nothing(minutes: list[float]) -> None:
    slow = Slow()
    slow.look([row(0)], 0)
    assert [line for minute in minutes for line in slow.look([row(minute)], -5)] == []
