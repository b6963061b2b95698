"""Batch operations: a queue by priority, two tasks in parallel, a journal that a restarted server resumes.

Source: Earth Engine REST reference, projects.operations and OperationMetadata; guide "Processing environments".
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cropcam.pipeline.emulator.access import ANONYMOUS, DRIVE_SCOPES, STORAGE_SCOPES, Account, no_drive_space
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.exports import Watch
from cropcam.pipeline.emulator.fault_injection import EXPORT_RUN, Fault, Faults
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.requests import ExportRequest, Json, parse_export
from cropcam.pipeline.emulator.tasks import Journal, Task, new_id, now

_LOG = logging.getLogger(__name__)
Run = Callable[[str, ExportRequest, Watch], list[str]]


class _StoppedError(Exception):
    """The server stops; the task keeps its state and starts again with the next server."""


class _CancelledError(Exception):
    """Someone cancelled the task."""


class Operations:
    """Every operation of one server."""

    def __init__(self, folder: Path, run: Run, limits: Limits, faults: Faults) -> None:
        self._run, self._limits, self._faults = run, limits, faults
        self._journal = Journal(folder)
        self._changed = threading.Condition()
        self._is_stopping = False
        self._workers: list[threading.Thread] = []
        self._tasks = {task.name: task for task in self._journal.load()}
        self._by_request = {(task.project, task.request_id): task for task in self._tasks.values() if task.request_id}
        for task in self._tasks.values():
            if not task.done:
                self._set(task, "CANCELLED" if task.state == "CANCELLING" else "PENDING")
        if any(not task.done for task in self._tasks.values()):
            self._start()

    def submit(self, project: str, body: Json, account: Account = ANONYMOUS) -> dict[str, Any]:
        """Queue an export; the same request id in the same project is the same operation.

        Raises:
            EngineError: the request is refused, the account's token lacks the scope of the destination, or the queue is full.
        """
        request = parse_export(body)
        if request.kind != "asset":
            account.require(DRIVE_SCOPES if request.kind == "drive" else STORAGE_SCOPES)
        with self._changed:
            known = self._by_request.get((project, request.request_id)) if request.request_id else None
            if known:
                return known.describe()
            waiting = sum(task.state == "PENDING" for task in self._tasks.values())
            if waiting >= self._limits.queue:
                raise EngineError(
                    f"Too many tasks already in the queue ({waiting}). Please wait for some of them to complete.", "RESOURCE_EXHAUSTED"
                )
            task = Task(new_id(), project, dict(body), order=len(self._tasks), owner=account.email, owner_kind=account.kind)
            self._journal.save(task)
            self._tasks[task.name] = task
            if request.request_id:
                self._by_request[project, request.request_id] = task
            self._start()
            self._changed.notify_all()
            return task.describe()

    def get(self, name: str) -> dict[str, Any]:
        """One operation by its name, "projects/P/operations/ID".

        Raises:
            EngineError: there is none of that name.
        """
        return self._task(name).describe()

    def list(self, project: str, page_size: int, page_token: str) -> dict[str, Any]:
        """One page of a project's operations, newest first, as the response of a listing."""
        tasks = sorted((task for task in self._tasks.copy().values() if task.project == project), key=lambda task: -task.order)
        start = int(page_token) if page_token.isdigit() else 0
        page: dict[str, Any] = {"operations": [task.describe() for task in tasks[start : start + page_size]]}
        return page | ({"nextPageToken": str(start + page_size)} if start + page_size < len(tasks) else {})

    def cancel(self, name: str) -> None:
        """Cancel an operation: at once while it waits, after its block while it runs; a finished one stays.

        Raises:
            EngineError: there is none of that name.
        """
        task = self._task(name)
        with self._changed:
            if task.state == "PENDING":
                self._end(task, "CANCELLED", EngineError("Cancelled."))
            elif task.state == "RUNNING":
                self._set(task, "CANCELLING")
                self._changed.notify_all()

    def wait(self, name: str, timeout_s: float) -> dict[str, Any]:
        """An operation when it is done, or its state after `timeout_s`.

        Raises:
            EngineError: there is none of that name.
        """
        task = self._task(name)
        with self._changed:
            self._changed.wait_for(lambda: task.done or self._is_stopping, timeout_s)
        return task.describe()

    def close(self) -> None:
        """Stop the workers after their block; unfinished tasks start again with the next server."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()

    def _task(self, name: str) -> Task:
        if name not in self._tasks:
            raise EngineError(f"Operation {name!r} not found.", "NOT_FOUND")
        return self._tasks[name]

    def _start(self) -> None:
        while len(self._workers) < self._limits.batch_tasks:
            worker = threading.Thread(target=self._work, name=f"task-{len(self._workers)}", daemon=True)
            self._workers.append(worker)
            worker.start()

    def _work(self) -> None:
        while task := self._next():
            try:
                request = parse_export(task.body)
                has_room = request.kind != "drive" or task.owner_kind != "service_account"
                uris = self._run(task.id, request, _TaskWatch(self, task, self._faults.take(EXPORT_RUN), has_room))
            except _StoppedError:
                return
            except _CancelledError:
                self._end(task, "CANCELLED", EngineError("Cancelled."))
            except EngineError as error:
                self._end(task, "FAILED", error)
            except Exception as error:  # noqa: BLE001 - a worker outlives any task
                _LOG.exception("task %s", task.id)
                self._end(task, "FAILED", EngineError(f"Internal error: {error}", "INTERNAL"))
            else:
                task.uris = uris
                self._end(task, "SUCCEEDED", None)

    def _next(self) -> Task | None:
        """The waiting task of the highest priority, the oldest of these; None when the server stops."""
        with self._changed:
            while not self._is_stopping:
                waiting = [task for task in self._tasks.values() if task.state == "PENDING"]
                if waiting:
                    task = min(waiting, key=lambda task: (-task.priority, task.order))
                    task.attempt += 1
                    task.started = now()
                    self._set(task, "RUNNING")
                    return task
                self._changed.wait()
        return None

    def _set(self, task: Task, state: str) -> None:
        task.state, task.updated = state, now()
        try:
            self._journal.save(task)
        except OSError:  # a full disk must not end a worker; a restarted server resumes from the state before
            _LOG.exception("task %s is %s, which the journal does not know", task.id, state)

    def _end(self, task: Task, state: str, error: EngineError | None) -> None:
        with self._changed:
            task.ended = now()
            task.error = None if error is None else {"code": _code(state, error), "message": error.message}
            task.progress = 1.0 if error is None else task.progress
            self._set(task, state)
            self._changed.notify_all()

    def _pause(self, task: Task, seconds: float) -> None:
        """Wait, unless the task is to end; then end it."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopping or task.state == "CANCELLING", seconds)
            if self._is_stopping:
                raise _StoppedError
            if task.state == "CANCELLING":
                raise _CancelledError


class _TaskWatch:
    """Keeps the progress of a running task, and ends it where it is cancelled, stopped or failed by a fault."""

    def __init__(self, operations: Operations, task: Task, fault: Fault | None, has_room: bool) -> None:
        self._operations, self._task, self._fault, self._has_room = operations, task, fault, has_room

    def stores(self) -> None:
        if not self._has_room:
            raise no_drive_space()

    def blocks(self, done: int, total: int, cpu_s: float) -> None:
        task, fault = self._task, self._fault
        task.progress = done / total
        task.eecu_s += cpu_s
        task.updated = now()
        self._operations._pause(task, fault.seconds if fault and fault.kind == "slow" else 0.0)
        if fault and fault.kind != "slow" and done >= fault.share * total:
            words: Mapping[str, tuple[str, str]] = {
                "memory": ("User memory limit exceeded.", "RESOURCE_EXHAUSTED"),
                "timeout": ("Computation timed out.", "FAILED_PRECONDITION"),
            }
            raise EngineError(*words.get(fault.kind, ("Internal error.", "INTERNAL")))


def _code(state: str, error: EngineError) -> int:
    """The google.rpc.Code of an operation's error."""
    codes = {
        "INVALID_ARGUMENT": 3,
        "NOT_FOUND": 5,
        "PERMISSION_DENIED": 7,
        "RESOURCE_EXHAUSTED": 8,
        "FAILED_PRECONDITION": 9,
        "UNIMPLEMENTED": 12,
    }
    return 1 if state == "CANCELLED" else codes.get(error.status, 13)
