"""Batch tasks as values, and their journal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cropcam.pipeline.emulator.tasks import Journal, Task, new_id


def task(order: int = 0, body: dict[str, Any] | None = None, **changes: Any) -> Task:
    found = Task(f"ID{order}", "my-project", body or {"description": "image"}, order)
    for name, value in changes.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize(("priority", "expected"), [(None, 100), (7, 7), ({"value": 7}, 7), ({"value": 0}, 0)])
def test_the_priority_is_plain_wrapped_or_100(priority: Any, expected: int) -> None:
    assert task(body={"priority": priority}).priority == expected


def test_a_waiting_task_has_neither_start_nor_end() -> None:
    found = task(created="2016-01-01T00:00:00.000000Z").describe()
    assert (found["name"], found["done"]) == ("projects/my-project/operations/ID0", False)
    metadata = found["metadata"]
    assert (metadata["state"], metadata["description"], metadata["engine"]) == ("PENDING", "image", "embedded")
    assert metadata["updateTime"] == metadata["createTime"] == "2016-01-01T00:00:00.000000Z"
    assert not {"startTime", "endTime", "destinationUris"} & set(metadata)
    assert not {"response", "error"} & set(found)


def test_a_finished_task_has_a_response_and_its_files() -> None:
    found = task(state="SUCCEEDED", started="s", ended="e", attempt=2, progress=1.0, eecu_s=1.23456, uris=["file:///x"]).describe()
    assert found["done"]
    assert found["response"] == {"@type": "type.googleapis.com/google.earthengine.v1.ExportImageResponse"}
    metadata = found["metadata"]
    assert (metadata["startTime"], metadata["endTime"], metadata["attempt"], metadata["batchEecuUsageSeconds"]) == ("s", "e", 2, 1.235)
    assert metadata["destinationUris"] == ["file:///x"]


@pytest.mark.parametrize(("state", "done"), [("PENDING", False), ("RUNNING", False), ("CANCELLING", False), ("SUCCEEDED", True), ("FAILED", True), ("CANCELLED", True)])  # fmt: skip
def test_three_states_are_final(state: str, done: bool) -> None:
    assert task(state=state).done is done


def test_a_failed_task_has_an_error_in_place_of_a_response() -> None:
    found = task(state="FAILED", error={"code": 3, "message": "No."}).describe()
    assert found["error"] == {"code": 3, "message": "No."}
    assert "response" not in found


def test_the_journal_returns_every_task_by_age(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "operations")
    assert journal.load() == []
    tasks = [task(order) for order in (10, 2, 0)]
    for one in tasks:
        journal.save(one)
    tasks[1].state = "RUNNING"
    journal.save(tasks[1])
    assert Journal(tmp_path / "operations").load() == [tasks[2], tasks[1], tasks[0]]
    assert sorted(path.name for path in (tmp_path / "operations").iterdir()) == ["ID0.json", "ID10.json", "ID2.json"]


def test_a_half_written_entry_is_not_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.save(task())
    (tmp_path / ".ID1.partial").write_text('{"id": ')
    assert [one.id for one in journal.load()] == ["ID0"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": "1"}, "order: Input should be a valid integer"),
        ({"state": "ODD"}, "state: Input should be 'PENDING'"),
        ({"body": []}, "body: "),
        ({"body": {"priority": "high"}}, "the priority of the task is no number"),
        ({"uris": None}, "uris: "),
        ({"updated": "2016-13-45"}, "updated: Value error, month must be in 1..12"),
        ({"id": "../ID"}, "the task '../ID'"),
    ],
)
def test_an_entry_that_is_none_is_set_aside_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, change: dict[str, Any], message: str
) -> None:
    journal = Journal(tmp_path)
    for order in range(2):
        journal.save(task(order))
    path = tmp_path / "ID1.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change))
    assert [one.id for one in journal.load()] == ["ID0"]
    assert message in caplog.text
    assert caplog.text.count("\n") == 1
    assert (tmp_path / "ID1.json.damaged").is_file()
    caplog.clear()
    assert [one.id for one in journal.load()] == ["ID0"]
    assert caplog.text == ""


@pytest.mark.parametrize("content", [b"", b'{"id": "ID1", "proj', b"[" * 5000, b"\xff\xfe", b"3"])
def test_a_torn_entry_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes) -> None:
    (tmp_path / "ID1.json").write_bytes(content)
    assert Journal(tmp_path).load() == []
    assert "its file kept as ID1.json.damaged" in caplog.text


def test_ids_have_24_capital_letters_and_digits() -> None:
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(one) == 24 and set(one) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for one in ids)
