"""The records of batch tasks: by name and by request id, in pages, shown late, forgotten.

How soon a new operation is listed and how long an ended one is kept is not documented: both are on order only.

Source: Earth Engine REST reference, projects.operations/list and ExportImageRequest.requestId.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cropcam.pipeline.emulator.access import Account
from cropcam.pipeline.emulator.fault_injection import Fault
from cropcam.pipeline.emulator.service_texts import TEXTS
from cropcam.pipeline.emulator.tasks import Journal, Task, new_id


class Records:
    """Every task of one server; thread-safe.

    Args:
        folder: of the journal.
        kept: number of ended tasks that are kept, the latest; None: all.
    """

    def __init__(self, folder: Path, kept: int | None) -> None:
        self.folder = folder
        self._journal, self._kept = Journal(folder), kept
        self._lock = threading.RLock()
        self._tasks = {task.name: task for task in self._journal.load()}
        self._by_request = {_request(task): task for task in self._tasks.values() if task.request_id}
        self._shown = set(self._tasks)

    def all(self) -> list[Task]:
        """Every task, the oldest first."""
        with self._lock:
            return list(self._tasks.values())

    def add(self, project: str, body: Mapping[str, Any], account: Account) -> Task:
        """A new task, in the journal too.

        Raises:
            OSError: the journal cannot be written; then there is no task.
        """
        with self._lock:
            order = max((task.order for task in self._tasks.values()), default=-1) + 1
            task = Task(new_id(), project, dict(body), order, owner=account.email, owner_kind=account.kind)
            self._journal.save(task)
            self._tasks[task.name] = task
            if task.request_id:
                self._by_request[_request(task)] = task
            return task

    def save(self, task: Task) -> None:
        """Keep a task's state in the journal.

        Raises:
            OSError: it cannot be written.
        """
        with self._lock:
            if task.name in self._tasks:
                self._journal.save(task)

    def find(self, name: str) -> Task:
        """A task by its operation's name.

        Raises:
            EngineError: NOT_FOUND.
        """
        with self._lock:
            if name not in self._tasks:
                raise TEXTS["no_operation"].error(name=name)
            return self._tasks[name]

    def of_request(self, project: str, account: Account, request_id: str) -> Task | None:
        """The task that an account made in a project under a request id; None for an empty id too."""
        with self._lock:
            return self._by_request.get((project, account.email, request_id)) if request_id else None

    def describe(self, name: str, fault: Fault | None = None) -> dict[str, Any]:
        """One operation.

        Raises:
            EngineError: NOT_FOUND.
        """
        if fault and fault.kind == "forget":
            self.forget()
        return _described(self.find(name), fault)

    def page(self, project: str, size: int, token: str, fault: Fault | None = None) -> dict[str, Any]:
        """One page of a project's operations, of every user, newest first."""
        if fault and fault.kind == "forget":
            self.forget()
        with self._lock:
            before = int(token) if token.isdigit() else None
            tasks = [task for task in self._tasks.values() if task.project == project and (before is None or task.order < before)]
            if fault and fault.kind == "late":
                tasks = [task for task in tasks if task.name in self._shown]
            tasks.sort(key=lambda task: -task.order)
            shown = tasks[:size]
            self._shown.update(task.name for task in shown)
            page: dict[str, Any] = {"operations": [_described(task, fault) for task in shown]}
            return page | ({"nextPageToken": str(shown[-1].order)} if len(shown) < len(tasks) else {})

    def trim(self) -> None:
        """Forget the ended tasks beyond the number that is kept."""
        if self._kept is not None:
            self.forget(self._kept)

    def forget(self, keep: int = 0) -> None:
        """Forget the ended tasks but the latest `keep`: their names and request ids are unknown from now on."""
        with self._lock:
            ended = sorted((task for task in self._tasks.values() if task.done), key=lambda task: (task.ended, task.order))
            for task in ended[: max(len(ended) - keep, 0)]:
                del self._tasks[task.name]
                if self._by_request.get(_request(task)) is task:
                    del self._by_request[_request(task)]
                self._shown.discard(task.name)
                self._journal.remove(task)


def _request(task: Task) -> tuple[str, str, str]:
    return task.project, task.owner, task.request_id


def _described(task: Task, fault: Fault | None) -> dict[str, Any]:
    found = task.describe()
    if fault and fault.kind == "state" and not task.done:
        found["metadata"]["state"] = fault.state
    return found
