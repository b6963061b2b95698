"""Batch operations: a queue by priority, two tasks in parallel, a journal that a restarted server resumes.

Source: Earth Engine REST reference, projects.operations and OperationMetadata; guide "Processing environments".
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rasterio.errors import RasterioError

from cropcam.pipeline.emulator.access import ANONYMOUS, DESTINATION_SCOPES, Account
from cropcam.pipeline.emulator.errors import EngineError, unwritable
from cropcam.pipeline.emulator.exports import Watch
from cropcam.pipeline.emulator.fault_injection import EXPORT_RUN, OTHER_REQUEST, SAME_REQUEST, Fault, Faults
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.quotas import Usage, pacific_day_of
from cropcam.pipeline.emulator.records import Records
from cropcam.pipeline.emulator.requests import ExportRequest, Json, parse_export
from cropcam.pipeline.emulator.service_texts import TEXTS
from cropcam.pipeline.emulator.task_watch import TaskWatch
from cropcam.pipeline.emulator.tasks import State, Task, now

_LOG = logging.getLogger(__name__)
_ENDS_S = 60.0  # how long a cancellation waits for the end that was ordered
Run = Callable[[str, ExportRequest, Watch], list[str]]


class _StoppedError(Exception):
    """The server stops; the task keeps its state and starts again with the next server."""


class _CancelledError(Exception):
    """Someone cancelled the task."""


class Operations:
    """Every operation of one server."""

    def __init__(self, folder: Path, run: Run, limits: Limits, faults: Faults, usage: Usage | None = None) -> None:
        self._run, self._limits, self._faults = run, limits, faults
        self._usage = usage or Usage(None, None)
        self._changed = threading.Condition()
        self._is_stopping = False
        self._workers: list[threading.Thread] = []
        self._records = Records(folder, limits.kept_operations)
        for task in self._records.all():
            self._usage.add(task.project, task.eecu_s, pacific_day_of(task.updated or task.created))
        unfinished = [task for task in self._records.all() if not task.done]
        for task in unfinished:
            self._set(task, "CANCELLED" if task.state == "CANCELLING" else "PENDING")
        if unfinished:
            self._start()

    def submit(self, project: str, body: Json, account: Account = ANONYMOUS) -> dict[str, Any]:
        """Queue an export.

        The same request with the same request id is the same operation; another request with this id is refused.

        Raises:
            EngineError: the request is refused, the account's token lacks the scope of the destination, the request id is
                taken, the project has used its day up, or the queue is full.
        """
        request = parse_export(body)
        account.require(DESTINATION_SCOPES.get(request.kind, ()))
        with self._changed:
            known = self._records.of_request(project, account, request.request_id)
            if known:
                return self._again(known, body)
            self._usage.check(project)
            waiting = sum(task.state == "PENDING" and task.project == project for task in self._records.all())
            if waiting >= self._limits.queue:
                raise TEXTS["queue"].error(waiting=waiting)
            task = self._records.add(project, body, account)
            self._start()
            self._changed.notify_all()
            return task.describe()

    def get(self, name: str, fault: Fault | None = None) -> dict[str, Any]:
        """One operation by its name, "projects/P/operations/ID".

        Raises:
            EngineError: there is none of that name.
        """
        return self._records.describe(name, fault)

    def list(self, project: str, page_size: int, page_token: str, fault: Fault | None = None) -> dict[str, Any]:
        """One page of a project's operations, of every user, newest first, as the response of a listing."""
        return self._records.page(project, page_size, page_token, fault)

    def cancel(self, name: str, fault: Fault | None = None) -> None:
        """Cancel an operation: at once while it waits, after its block while it runs.

        Raises:
            EngineError: there is none of that name, or it has ended.
        """
        if fault and fault.kind == "ends":
            self.wait(name, _ENDS_S)
        task = self._records.find(name)
        with self._changed:
            if task.done:
                raise TEXTS["ended"].error(name=name)
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
        task = self._records.find(name)
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

    def _again(self, known: Task, body: Json) -> dict[str, Any]:
        """The response to a request id that is taken.

        Source: REST ExportImageRequest.requestId; API javascript/src/encodable.js: "an exception may be thrown if the request
        is not byte for byte identical". That an identical one gives the known operation is not confirmed.
        """
        is_same = json.dumps(known.body, sort_keys=True) == json.dumps(body, sort_keys=True)
        fault = self._faults.take(SAME_REQUEST if is_same else OTHER_REQUEST)
        if fault and fault.kind in TEXTS:
            raise TEXTS[fault.kind].error(project=known.project, name=known.name)
        if not is_same:
            raise TEXTS["other_operation"].error()
        return known.describe()

    def _start(self) -> None:
        while len(self._workers) < self._limits.batch_tasks:
            worker = threading.Thread(target=self._work, name=f"task-{len(self._workers)}", daemon=True)
            self._workers.append(worker)
            worker.start()

    def _work(self) -> None:
        while task := self._next():
            try:
                self._usage.check(task.project)
                request = parse_export(task.body)
                uris = self._run(task.id, request, self._watch(task, request))
            except _StoppedError:
                return
            except _CancelledError:
                self._end(task, "CANCELLED", EngineError("Cancelled."))
            except EngineError as error:
                self._end(task, "FAILED", error)
            except (OSError, RasterioError) as error:  # of writing: what cannot be read of the archive is an EngineError
                failed = error if isinstance(error, OSError) else OSError(str(error))
                self._end(task, "FAILED", unwritable(failed, str(self._records.folder.parent)))
            except Exception as error:  # noqa: BLE001 - a worker outlives any task
                _LOG.exception("task %s", task.id)
                self._end(task, "FAILED", EngineError(f"Internal error: {error}", "INTERNAL"))
            else:
                task.uris = uris
                self._end(task, "SUCCEEDED", None)

    def _watch(self, task: Task, request: ExportRequest) -> TaskWatch:
        has_room = request.kind != "drive" or task.owner_kind != "service_account"
        fault, restricted_s = self._faults.take(EXPORT_RUN), self._limits.restricted_s
        return TaskWatch(
            task, fault, self._usage, has_room=has_room, restricted_s=restricted_s, pause=lambda seconds: self._pause(task, seconds)
        )

    def _next(self) -> Task | None:
        """The waiting task of the highest priority, the oldest of these; None when the server stops."""
        with self._changed:
            while not self._is_stopping:
                waiting = [task for task in self._records.all() if task.state == "PENDING"]
                if waiting:
                    task = min(waiting, key=lambda task: (-task.priority, task.order))
                    task.attempt += 1
                    task.started = now()
                    self._set(task, "RUNNING")
                    return task
                self._changed.wait()
        return None

    def _set(self, task: Task, state: State) -> None:
        task.state, task.updated = state, now()
        try:
            self._records.save(task)
        except OSError:  # a full disk must not end a worker; a restarted server resumes from the state before
            _LOG.exception("task %s is %s, which the journal does not know", task.id, state)

    def _end(self, task: Task, state: State, error: EngineError | None) -> None:
        with self._changed:
            task.ended = now()
            task.error = None if error is None else {"code": _code(state, error), "message": error.message}
            task.progress = 1.0 if error is None else task.progress
            self._set(task, state)
            self._records.trim()
            self._changed.notify_all()

    def _pause(self, task: Task, seconds: float) -> None:
        """Wait, unless the task is to end; then end it."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopping or task.state == "CANCELLING", seconds)
            if self._is_stopping:
                raise _StoppedError
            if task.state == "CANCELLING":
                raise _CancelledError


def _code(state: str, error: EngineError) -> int:
    """The google.rpc.Code of an operation's error."""
    codes: Mapping[str, int] = {
        "INVALID_ARGUMENT": 3,
        "NOT_FOUND": 5,
        "PERMISSION_DENIED": 7,
        "RESOURCE_EXHAUSTED": 8,
        "FAILED_PRECONDITION": 9,
        "UNIMPLEMENTED": 12,
    }
    return 1 if state == "CANCELLED" else codes.get(error.status, 13)
