"""Batch operations with a run that a test controls."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cropcam.pipeline.emulator.access import CLOUD, EARTH_ENGINE, Account
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.exports import Watch
from cropcam.pipeline.emulator.fault_injection import EXPORT_RUN, OTHER_REQUEST, SAME_REQUEST, Fault, Faults
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.operations import Operations
from cropcam.pipeline.emulator.quotas import Usage
from cropcam.pipeline.emulator.requests import ExportRequest
from cropcam.pipeline.emulator.service_texts import TEXTS
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
        limits = limits or Limits()
        usage = Usage(limits.eecu_day_s, limits.eecu_month_s, lambda: datetime.date(2026, 11, 29))
        started.append(Operations(tmp_path, run, limits, faults or Faults(), usage))
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
        (
            OSError(28, "No space left on device", "/data/x.tif"),
            9,
            "The embedded engine cannot write /data/x.tif: No space left on device.",
        ),
        (ZeroDivisionError("a bug"), 13, "Internal error: a bug"),
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


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("memory", 8, "User memory limit exceeded."),
        ("timeout", 9, "Computation timed out."),
        ("status", 13, "Internal error."),
        ("retry", 13, "please retry"),
        ("output_size", 3, "Output of image computation is too large"),
        ("no_drive_space", 7, "Service Accounts do not have storage quota"),
        ("daily_quota", 8, "'earthengine.googleapis.com/daily_eecu_usage_time'"),
    ],
)
def test_a_fault_fails_a_run_at_its_share_of_blocks(start: Start, kind: str, code: int, words: str) -> None:
    done: list[int] = []

    def run(_: str, __: ExportRequest, watch: Watch) -> list[str]:
        for number in range(1, 5):
            done.append(number)
            watch.blocks(number, 4, 0.0)
        return []

    operations = start(run, faults=Faults.of(Fault(EXPORT_RUN, kind=kind, share=0.75)))
    error = ended(operations, operations.submit("p", body()))["error"]
    assert (error["code"], words in error["message"]) == (code, True)
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


def test_a_request_id_with_another_body_is_refused_in_the_words_ordered(start: Start) -> None:
    faults = Faults.of(Fault(OTHER_REQUEST, "other_request", after=1))
    operations = start(limits=Limits(batch_tasks=0), faults=faults)
    operations.submit("p", body(requestId="a-1", priority=1))
    words = []
    for priority in (2, 3):
        with pytest.raises(EngineError, match="request") as refused:
            operations.submit("p", body(requestId="a-1", priority=priority))
        words.append(refused.value.message)
        assert refused.value.code == 400
    assert words[0] == "A different Operation was already started with the given request_id."
    assert "not byte for byte identical" in words[1]
    assert len(operations.list("p", 10, "")["operations"]) == 1


def test_the_order_of_keys_is_no_other_body(start: Start) -> None:
    operations = start(limits=Limits(batch_tasks=0))
    sent = body(requestId="a-1")
    first = operations.submit("p", sent)
    assert operations.submit("p", dict(reversed(sent.items())))["name"] == first["name"]
    with pytest.raises(EngineError, match="different Operation"):
        operations.submit("p", sent | {"maxPixels": {"value": "7"}})


def test_an_identical_request_is_already_there_on_order(start: Start) -> None:
    operations = start(limits=Limits(batch_tasks=0), faults=Faults.of(Fault(SAME_REQUEST, "same_request"), Fault("*", "internal")))
    first = operations.submit("p", body(requestId="a-1"))
    with pytest.raises(EngineError, match="already exists") as refused:
        operations.submit("p", body(requestId="a-1"))
    assert (refused.value.code, refused.value.status) == (409, "ALREADY_EXISTS")
    assert operations.submit("p", body(requestId="a-1"))["name"] == first["name"]


def test_a_request_id_counts_per_account(start: Start) -> None:
    operations = start(limits=Limits(batch_tasks=0))
    mine, theirs = (operations.submit("p", body(requestId="a-1"), Account(email))["name"] for email in ("me@p", "you@p"))
    assert mine != theirs
    assert {entry["name"] for entry in operations.list("p", 10, "")["operations"]} == {mine, theirs}


def test_what_has_ended_can_not_be_cancelled(start: Start) -> None:
    operations = start()
    done = ended(operations, operations.submit("p", body()))
    with pytest.raises(EngineError, match="has ended and can not be cancelled") as refused:
        operations.cancel(done["name"])
    assert (refused.value.code, refused.value.status) == (400, "FAILED_PRECONDITION")
    assert operations.get(done["name"])["metadata"]["state"] == "SUCCEEDED"


def test_a_task_ends_between_the_list_and_the_cancel_on_order(start: Start) -> None:
    gate, waits = threading.Event(), threading.Event()

    def run(*_: Any) -> list[str]:
        waits.set()
        gate.wait(20)
        return []

    operations = start(run)
    name = operations.submit("p", body())["name"]
    assert waits.wait(20)
    assert operations.list("p", 10, "")["operations"][0]["metadata"]["state"] == "RUNNING"
    threading.Timer(0.05, gate.set).start()
    with pytest.raises(EngineError, match="has ended and can not be cancelled"):
        operations.cancel(name, Fault("cancel", "ends"))
    assert operations.get(name)["metadata"]["state"] == "SUCCEEDED"


def test_a_used_up_day_fails_what_runs_and_refuses_what_comes(start: Start) -> None:
    def run(_: str, __: ExportRequest, watch: Watch) -> list[str]:
        for done in (1, 2, 3):
            watch.blocks(done, 3, 1.0)
        return []

    operations = start(run, Limits(eecu_day_s=2.0))
    failed = ended(operations, operations.submit("p", body()))
    assert failed["error"]["code"] == 8
    assert failed["error"]["message"] == TEXTS["daily_quota"].message
    assert failed["metadata"]["batchEecuUsageSeconds"] == 2.0
    with pytest.raises(EngineError, match="daily_eecu_usage_time") as refused:
        operations.submit("p", body())
    assert refused.value.code == 429
    assert ended(operations, operations.submit("other", body()))["metadata"]["state"] == "FAILED"  # a day of its own


def test_a_used_up_month_slows_tasks_down_without_an_error(start: Start) -> None:
    inside = threading.Event()

    def run(_: str, __: ExportRequest, watch: Watch) -> list[str]:
        inside.set()
        for done in (1, 2):
            watch.blocks(done, 2, 1.0)
        return []

    operations = start(run, Limits(eecu_month_s=0.5, restricted_s=600.0))
    submitted = operations.submit("p", body())
    assert inside.wait(20)
    while operations.get(submitted["name"])["metadata"]["progress"] == 0:
        threading.Event().wait(0.005)
    slow = operations.wait(submitted["name"], 0.05)
    assert (slow["metadata"]["state"], slow["metadata"]["progress"], "error" in slow) == ("RUNNING", 0.5, False)


def test_eecu_of_the_journal_counts_for_its_day(start: Start, tmp_path: Path) -> None:
    times = {"yesterday": "2026-11-29T07:59:59Z", "today": "2026-11-29T08:00:00Z"}  # midnight Pacific time
    for order, (project, time) in enumerate(times.items()):
        Journal(tmp_path).save(Task(f"ID{order}", project, body(), order, state="SUCCEEDED", eecu_s=5.0, updated=time))
    operations = start(limits=Limits(batch_tasks=0, eecu_day_s=5.0))
    operations.submit("yesterday", body())
    with pytest.raises(EngineError, match="daily_eecu_usage_time"):
        operations.submit("today", body())


def test_the_queue_counts_per_project(start: Start) -> None:
    operations = start(limits=Limits(batch_tasks=0, queue=1))
    operations.submit("p", body())
    operations.submit("other", body())
    with pytest.raises(EngineError, match=r"Too many tasks already in the queue \(1\)"):
        operations.submit("p", body())


def test_an_ended_task_beyond_those_kept_is_unknown(start: Start) -> None:
    operations = start(limits=Limits(kept_operations=1))
    first, second = (ended(operations, operations.submit("p", body(requestId=f"a-{n}")))["name"] for n in (1, 2))
    assert [entry["name"] for entry in operations.list("p", 10, "")["operations"]] == [second]
    with pytest.raises(EngineError, match="not found"):
        operations.get(first)
    assert ended(operations, operations.submit("p", body(requestId="a-1", priority=3)))["metadata"]["state"] == "SUCCEEDED"


def test_a_workload_tag_is_kept_and_shown_nowhere(start: Start, tmp_path: Path) -> None:
    operations = start(limits=Limits(batch_tasks=0))
    shown = operations.submit("p", body(workloadTag="cropcam-demo"))
    assert "cropcam-demo" not in str(shown)
    (task,) = Journal(tmp_path).load()
    assert task.body["workloadTag"] == "cropcam-demo"


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
