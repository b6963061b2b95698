"""Records of tasks: found, listed in pages, shown late, forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropcam.pipeline.emulator.access import ANONYMOUS, Account
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.fault_injection import Fault
from cropcam.pipeline.emulator.records import Records
from cropcam.pipeline.emulator.tasks import Task

LATE, FORGET = Fault("operations", "late"), Fault("operations", "forget")


def added(records: Records, count: int, project: str = "p", **body: str) -> list[Task]:
    return [records.add(project, {"description": f"d{number}", **body}, ANONYMOUS) for number in range(count)]


def names(page: dict[str, object]) -> list[str]:
    operations = page["operations"]
    assert isinstance(operations, list)
    return [operation["name"] for operation in operations]


def end(records: Records, task: Task, state: str = "SUCCEEDED") -> None:
    task.state, task.ended = state, f"2026-11-29T00:00:{task.order:02}.000000Z"
    records.save(task)


def test_pages_hold_their_places_while_tasks_come_and_go(tmp_path: Path) -> None:
    records = Records(tmp_path, None)
    tasks = added(records, 5)
    first = records.page("p", 2, "")
    added(records, 3)
    end(records, tasks[2])
    records.forget()
    second = records.page("p", 2, first["nextPageToken"])
    assert names(first) + names(second) == [tasks[number].name for number in (4, 3, 1, 0)]
    assert "nextPageToken" not in second


def test_tasks_of_other_users_are_listed_and_of_other_projects_are_not(tmp_path: Path) -> None:
    records = Records(tmp_path, None)
    mine = records.add("p", {"requestId": "a"}, Account("me@p"))
    theirs = records.add("p", {"requestId": "a"}, Account("you@p"))
    records.add("q", {}, Account("me@p"))
    assert names(records.page("p", 9, "")) == [theirs.name, mine.name]
    assert records.of_request("p", Account("me@p"), "a") is mine
    assert records.of_request("p", Account("you@p"), "a") is theirs
    assert records.of_request("q", Account("me@p"), "a") is None
    assert records.of_request("p", Account("me@p"), "") is None


def test_a_late_list_shows_only_what_a_list_has_shown(tmp_path: Path) -> None:
    records = Records(tmp_path, None)
    (old,) = added(records, 1)
    assert names(records.page("p", 9, "", LATE)) == []
    assert names(records.page("p", 9, "")) == [old.name]
    (new,) = added(records, 1)
    assert names(records.page("p", 9, "", LATE)) == [old.name]
    assert records.describe(new.name)["name"] == new.name  # asked for by name it is there
    assert names(records.page("p", 9, "")) == [new.name, old.name]
    assert names(Records(tmp_path, None).page("p", 9, "", LATE)) == [new.name, old.name]


def test_what_has_ended_is_forgotten_with_its_request_id(tmp_path: Path) -> None:
    records = Records(tmp_path, None)
    active, done = added(records, 2, requestId="a")
    end(records, done)
    assert names(records.page("p", 9, "", FORGET)) == [active.name]
    with pytest.raises(EngineError, match=f"Operation '{done.name}' not found") as refused:
        records.describe(done.name)
    assert refused.value.code == 404
    assert records.of_request("p", ANONYMOUS, "a") is None
    assert [task.name for task in Records(tmp_path, None).all()] == [active.name]
    records.save(done)  # a task that ended late writes itself no new record
    assert [task.name for task in Records(tmp_path, None).all()] == [active.name]
    assert records.add("p", {}, ANONYMOUS).order == 1


@pytest.mark.parametrize(("kept", "left"), [(0, [0]), (1, [0, 4]), (3, [0, 2, 3, 4]), (9, [0, 1, 2, 3, 4]), (None, [0, 1, 2, 3, 4])])
def test_the_latest_ended_tasks_are_kept(tmp_path: Path, kept: int | None, left: list[int]) -> None:
    records = Records(tmp_path, kept)
    for task in added(records, 5)[1:]:
        end(records, task)
    records.trim()
    assert [task.order for task in records.all()] == left


def test_an_operation_is_forgotten_when_it_is_asked_for(tmp_path: Path) -> None:
    records = Records(tmp_path, None)
    (task,) = added(records, 1)
    assert records.describe(task.name, FORGET)["name"] == task.name  # it is active
    end(records, task)
    with pytest.raises(EngineError, match="not found"):
        records.describe(task.name, FORGET)


def test_an_unknown_state_is_shown_of_active_tasks_only(tmp_path: Path) -> None:
    records = Records(tmp_path, None)
    done, active = added(records, 2)
    end(records, done, "FAILED")
    odd = Fault("operations", "state", state="QUEUED_FOR_REVIEW")
    shown = records.page("p", 9, "", odd)["operations"]
    assert [(one["metadata"]["state"], one["done"]) for one in shown] == [("QUEUED_FOR_REVIEW", False), ("FAILED", True)]
    assert records.describe(active.name, odd)["metadata"]["state"] == "QUEUED_FOR_REVIEW"
    assert records.describe(active.name)["metadata"]["state"] == "PENDING"
