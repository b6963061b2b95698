"""A running task: progress, cost, faults, quotas, room."""

from __future__ import annotations

import datetime

import pytest

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.fault_injection import EXPORT_RUN, Fault
from cropcam.pipeline.emulator.quotas import Usage
from cropcam.pipeline.emulator.task_watch import TaskWatch
from cropcam.pipeline.emulator.tasks import Task

DAY = datetime.date(2026, 11, 29)


def watch(
    fault: Fault | None = None, usage: Usage | None = None, *, has_room: bool = True
) -> tuple[TaskWatch, Task, list[tuple[float, float, str]]]:
    """A watch, its task, and what each pause found: seconds, progress, time of update."""
    task = Task("ID", "p", {}, 0, updated="before")
    pauses: list[tuple[float, float, str]] = []
    made = TaskWatch(
        task,
        fault,
        usage or Usage(None, None, lambda: DAY),
        has_room=has_room,
        restricted_s=5.0,
        pause=lambda seconds: pauses.append((seconds, task.progress, task.updated)),
    )
    return made, task, pauses


def test_progress_and_cost_follow_the_blocks() -> None:
    usage = Usage(None, None, lambda: DAY)
    made, task, pauses = watch(usage=usage)
    made.blocks(1, 4, 0.5)
    made.blocks(2, 4, 0.25)
    assert (task.progress, task.eecu_s, usage.of_day("p")) == (0.5, 0.75, 0.75)
    assert [seconds for seconds, _, _ in pauses] == [0.0, 0.0]
    assert task.updated > "2026"


def test_a_stalled_task_shows_no_life_once() -> None:
    made, task, pauses = watch(Fault(EXPORT_RUN, "stall", seconds=3600, share=0.5))
    made.blocks(1, 4, 0.1)
    seen = task.updated
    made.blocks(2, 4, 0.1)
    made.blocks(3, 4, 0.1)
    assert [(seconds, progress) for seconds, progress, _ in pauses] == [(0.0, 0.25), (3600, 0.25), (0.0, 0.5), (0.0, 0.75)]
    assert pauses[1][2] == seen


def test_a_slow_task_waits_at_every_block() -> None:
    made, _, pauses = watch(Fault(EXPORT_RUN, "slow", seconds=2))
    for done in (1, 2):
        made.blocks(done, 2, 0.0)
    assert [seconds for seconds, _, _ in pauses] == [2, 2]


def test_a_project_in_restricted_mode_is_slow_without_an_error() -> None:
    made, task, pauses = watch(usage=Usage(None, 1.0, lambda: DAY))
    for done in (1, 2, 3):
        made.blocks(done, 3, 0.6)
    assert [seconds for seconds, _, _ in pauses] == [0.0, 5.0, 5.0]
    assert task.progress == 1.0


def test_a_used_up_day_ends_the_task_after_its_block() -> None:
    made, task, _ = watch(usage=Usage(1.0, None, lambda: DAY))
    made.blocks(1, 3, 0.6)
    with pytest.raises(EngineError, match="daily_eecu_usage_time"):
        made.blocks(2, 3, 0.6)
    assert task.eecu_s == 1.2


@pytest.mark.parametrize(("kind", "status"), [("memory", "RESOURCE_EXHAUSTED"), ("timeout", "FAILED_PRECONDITION"), ("status", "INTERNAL"), ("value_size", "INVALID_ARGUMENT")])  # fmt: skip
def test_a_fault_strikes_at_its_share_with_the_status_of_a_task(kind: str, status: str) -> None:
    made, _, _ = watch(Fault(EXPORT_RUN, kind, share=0.5))
    made.blocks(1, 4, 0.0)
    with pytest.raises(EngineError, match=r"\.") as failed:
        made.blocks(2, 4, 0.0)
    assert failed.value.status == status


def test_a_destination_without_room_takes_no_file() -> None:
    made, _, _ = watch(has_room=False)
    made.blocks(1, 1, 0.0)
    with pytest.raises(EngineError, match=r"^Service Accounts do not have storage quota\."):
        made.stores()
    watch()[0].stores()
