"""Batch operations with a run that a test controls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cropcam.pipeline.emulator.access import CLOUD, EARTH_ENGINE, Account
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.exports import Watch
from cropcam.pipeline.emulator.fault_injection import EXPORT_RUN, Fault, Faults, Kind
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.operations import Operations
from cropcam.pipeline.emulator.requests import ExportRequest
from cropcam.pipeline.emulator.tasks import Journal, Task

Run = Callable[[str, ExportRequest, Watch], list[str]]
Start = Callable[..., Operations]


def body(description: str = "image", **more: Any) -> dict[str, Any]:
    options = {"driveDestination": {"filenamePrefix": "image"}}
    return {"expression": {"result": "0", "values": {}}, "description": description, "fileExportOptions": options, **more}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts operations over the same journal; closed with the test."""
    started: list[Operations] = []

    def begin(run: Run = lambda *_: ["file:///x"], limits: Limits | None = None, faults: Faults | None = None) -> Operations:
        started.append(Operations(tmp_path, run, limits or Limits(), faults or Faults()))
        return started[-1]

    yield begin
    for operations in started:
        operations.close()


def ended(operations: Operations, submitted: dict[str, Any]) -> dict[str, Any]:
    return operations.wait(submitted["name"], 20)


def test_an_operation_ends_with_the_files_of_its_run(start: Start) -> None:
    found = ended(operations := start(), operations.submit("p", body()))
    assert (found["metadata"]["state"], found["metadata"]["destinationUris"], found["done"]) == ("SUCCEEDED", ["file:///x"], True)
    assert operations.get(found["name"]) == found


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (EngineError("Too large."), 3, "Too large."),
        (EngineError("Gone.", "NOT_FOUND"), 5, "Gone."),
        (EngineError("Not here.", "UNIMPLEMENTED"), 12, "Not here."),
        (OSError("disk"), 13, "Internal error: disk"),
    ],
)
def test_a_failed_run_has_the_code_of_its_error_and_ends_no_worker(start: Start, error: Exception, code: int, message: str) -> None:
    errors = [error]

    def run(*_: Any) -> list[str]:
        if errors:
            raise errors.pop()
        return []

    operations = start(run, Limits(batch_tasks=1))
    found = ended(operations, operations.submit("p", body()))
    assert (found["metadata"]["state"], found["error"]) == ("FAILED", {"code": code, "message": message})
    assert ended(operations, operations.submit("p", body()))["metadata"]["state"] == "SUCCEEDED"


def test_the_queue_runs_by_priority_and_then_by_age(start: Start) -> None:
    gate, ran = threading.Event(), list[str]()

    def run(_: str, request: ExportRequest, __: Watch) -> list[str]:
        gate.wait(20)
        ran.append(request.description)
        return []

    operations = start(run, Limits(batch_tasks=1))
    first = operations.submit("p", body("first", priority=1))
    while operations.get(first["name"])["metadata"]["state"] == "PENDING":
        threading.Event().wait(0.005)
    waiting = [operations.submit("p", body(name, priority=priority)) for name, priority in (("low", 5), ("old", 50), ("young", 50))]
    gate.set()
    for one in waiting:
        ended(operations, one)
    assert ran == ["first", "old", "young", "low"]


def test_progress_and_cost_follow_the_blocks(start: Start) -> None:
    seen: list[dict[str, Any]] = []

    def run(task_id: str, _: ExportRequest, watch: Watch) -> list[str]:
        for done in (1, 2):
            watch.blocks(done, 4, 0.25)
            seen.append(operations.get(f"projects/p/operations/{task_id}")["metadata"])
        return []

    operations = start(run)
    ended(operations, operations.submit("p", body()))
    assert [(metadata["progress"], metadata["batchEecuUsageSeconds"]) for metadata in seen] == [(0.25, 0.25), (0.5, 0.5)]


def test_a_running_operation_is_cancelled_after_its_block(start: Start) -> None:
    inside, gate = threading.Event(), threading.Event()

    def run(_: str, __: ExportRequest, watch: Watch) -> list[str]:
        inside.set()
        gate.wait(20)
        watch.blocks(1, 2, 0.0)
        raise AssertionError("the block should have ended the run")

    operations = start(run)
    submitted = operations.submit("p", body())
    assert inside.wait(20)
    operations.cancel(submitted["name"])
    assert operations.get(submitted["name"])["metadata"]["state"] == "CANCELLING"
    gate.set()
    found = ended(operations, submitted)
    assert (found["metadata"]["state"], found["error"]) == ("CANCELLED", {"code": 1, "message": "Cancelled."})


@pytest.mark.parametrize(("kind", "code"), [("memory", 8), ("timeout", 9), ("status", 13)])
def test_a_fault_fails_a_run_at_its_share_of_blocks(start: Start, kind: Kind, code: int) -> None:
    done: list[int] = []

    def run(_: str, __: ExportRequest, watch: Watch) -> list[str]:
        for number in range(1, 5):
            done.append(number)
            watch.blocks(number, 4, 0.0)
        return []

    operations = start(run, faults=Faults.of(Fault(EXPORT_RUN, kind=kind, share=0.75)))
    assert ended(operations, operations.submit("p", body()))["error"]["code"] == code
    assert done == [1, 2, 3]


def test_a_request_id_names_one_operation_per_project(start: Start) -> None:
    operations = start(limits=Limits(batch_tasks=0))
    first = operations.submit("p", body(requestId="a-1"))
    assert operations.submit("p", body(requestId="a-1"))["name"] == first["name"]
    assert operations.submit("other", body(requestId="a-1"))["name"] != first["name"]
    assert len({operations.submit("p", body())["name"] for _ in range(2)}) == 2
    assert start(limits=Limits(batch_tasks=0)).submit("p", body(requestId="a-1"))["name"] == first["name"]


def test_a_full_queue_refuses_and_pages_are_newest_first(start: Start) -> None:
    operations = start(limits=Limits(batch_tasks=0, queue=3))
    names = [operations.submit("p", body())["name"] for _ in range(3)]
    with pytest.raises(EngineError, match=r"Too many tasks already in the queue \(3\)") as refused:
        operations.submit("p", body())
    assert refused.value.status == "RESOURCE_EXHAUSTED"
    first = operations.list("p", 2, "")
    second = operations.list("p", 2, first["nextPageToken"])
    assert [one["name"] for one in first["operations"] + second["operations"]] == names[::-1]
    assert "nextPageToken" not in second
    assert operations.list("other", 2, "") == {"operations": []}
    operations.cancel(names[0])
    assert operations.get(names[0])["metadata"]["state"] == "CANCELLED"


def test_the_next_server_goes_on_with_the_journal(start: Start, tmp_path: Path) -> None:
    for order, state in enumerate(("RUNNING", "CANCELLING", "FAILED", "PENDING")):
        Journal(tmp_path).save(Task(f"ID{order}", "p", body(), order, state=state, attempt=1))
    operations = start()
    names = [f"projects/p/operations/ID{order}" for order in range(4)]
    found = [operations.wait(name, 20)["metadata"] for name in names]
    assert [one["state"] for one in found] == ["SUCCEEDED", "CANCELLED", "FAILED", "SUCCEEDED"]
    assert found[0]["attempt"] == 2


def test_unknown_operations_are_not_found(start: Start) -> None:
    operations = start()
    for request in (operations.get, operations.cancel, lambda name: operations.wait(name, 0)):
        with pytest.raises(EngineError, match="Operation 'projects/p/operations/X' not found") as refused:
            request("projects/p/operations/X")
        assert refused.value.status == "NOT_FOUND"


def test_a_service_account_has_no_room_on_drive_after_the_compute(start: Start) -> None:
    computed: list[str] = []

    def run(_: str, request: ExportRequest, watch: Watch) -> list[str]:
        watch.blocks(1, 1, 0.5)
        computed.append(request.kind)
        watch.stores()
        return []

    operations, robot = start(run), Account("robot@p", kind="service_account")
    failed = ended(operations, operations.submit("p", body(), robot))
    assert (failed["metadata"]["state"], failed["error"]["code"], failed["metadata"]["batchEecuUsageSeconds"]) == ("FAILED", 7, 0.5)
    assert failed["error"]["message"].startswith("Service Accounts do not have storage quota.")
    bucket = {"fileExportOptions": {"cloudStorageDestination": {"bucket": "crops", "filenamePrefix": "image"}}}
    assert ended(operations, operations.submit("p", body(**bucket), robot))["metadata"]["state"] == "SUCCEEDED"
    assert ended(operations, operations.submit("p", body(), Account("me@p")))["metadata"]["state"] == "SUCCEEDED"
    assert computed == ["drive", "gs", "drive"]


def test_an_export_needs_the_scope_of_its_destination(start: Start) -> None:
    operations = start(limits=Limits(batch_tasks=0))
    with pytest.raises(EngineError, match="insufficient authentication scopes"):
        operations.submit("p", body(), Account("me@p", scopes=(EARTH_ENGINE, CLOUD)))
    assert operations.list("p", 10, "") == {"operations": []}
