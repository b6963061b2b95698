"""A batch task as a value, and its journal."""

from __future__ import annotations

import base64
import datetime
import json
import logging
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, TypeAdapter, ValidationError

from cropcam.pipeline.emulator import limits
from cropcam.pipeline.emulator.access import ANONYMOUS, AccountKind
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.text_files import read_json_object

_LOG = logging.getLogger(__name__)
_METADATA = "type.googleapis.com/google.earthengine.v1.OperationMetadata"
_RESPONSE = "type.googleapis.com/google.earthengine.v1.ExportImageResponse"
State = Literal["PENDING", "RUNNING", "CANCELLING", "SUCCEEDED", "FAILED", "CANCELLED"]
DONE: frozenset[State] = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})


def now() -> str:
    """The time as the API writes it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new_id() -> str:
    """24 capital letters and digits, as the service's task ids are."""
    return base64.b32encode(os.urandom(15)).decode()


def _time(text: str) -> str:
    if text:
        datetime.datetime.fromisoformat(text)
    return text


Time = Annotated[str, AfterValidator(_time)]  # as the API writes it; empty until known


@dataclass
class Task:
    """One export from its request to its end; times are text, empty until known."""

    id: str
    project: str
    body: dict[str, Any]
    order: int
    state: State = "PENDING"
    attempt: int = 0
    progress: float = 0.0
    eecu_s: float = 0.0
    created: Time = field(default_factory=now)
    updated: Time = ""
    started: Time = ""
    ended: Time = ""
    uris: list[str] = field(default_factory=list)
    error: dict[str, Any] | None = None
    owner: str = ANONYMOUS.email
    owner_kind: AccountKind = ANONYMOUS.kind

    @property
    def name(self) -> str:
        """The operation's name."""
        return f"projects/{self.project}/operations/{self.id}"

    @property
    def done(self) -> bool:
        """Whether it ended, well or not."""
        return self.state in DONE

    @property
    def request_id(self) -> str:
        """What detects the same request sent twice."""
        return str(self.body.get("requestId") or "")

    @property
    def priority(self) -> int:
        """Tasks of higher priority start first."""
        wrapped = self.body.get("priority")
        value = wrapped.get("value") if isinstance(wrapped, dict) else wrapped
        return limits.DEFAULT_PRIORITY if value is None else int(value)

    def describe(self) -> dict[str, Any]:
        """The Operation that the API returns.

        Source: Earth Engine REST reference, projects.operations, OperationMetadata.
        """
        metadata: dict[str, Any] = {
            "@type": _METADATA,
            "state": self.state,
            "description": self.body.get("description", ""),
            "priority": self.priority,
            "createTime": self.created,
            "updateTime": self.updated or self.created,
            "type": "EXPORT_IMAGE",
            "engine": "embedded",
        }
        if self.started:
            metadata |= {
                "startTime": self.started,
                "attempt": self.attempt,
                "progress": round(self.progress, 4),
                "batchEecuUsageSeconds": round(self.eecu_s, 3),
                "stages": [{"displayName": "Write Files", "completeWorkUnits": round(self.progress, 4), "totalWorkUnits": 1.0}],
            }
        if self.ended:
            metadata["endTime"] = self.ended
        if self.uris:
            metadata["destinationUris"] = self.uris
        operation = {"name": self.name, "metadata": metadata, "done": self.done}
        if self.error:
            return operation | {"error": self.error}
        return operation | ({"response": {"@type": _RESPONSE}} if self.done else {})


class Journal:
    """One small file per task, written atomically at every change of state."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, task: Task) -> None:
        """Write a task."""
        atomic_write(self._folder / f"{task.id}.json", json.dumps(asdict(task)), sync=False)

    def remove(self, task: Task) -> None:
        """Forget a task."""
        (self._folder / f"{task.id}.json").unlink(missing_ok=True)

    def load(self) -> list[Task]:
        """Every task in the journal, oldest first. A file that holds none is set aside as X.json.damaged, with a warning."""
        tasks = []
        for path in self._folder.glob("*.json"):
            path.open("rb").close()  # what cannot be opened now is not damaged: the server does not start
            try:
                tasks.append(parse_task(path))
            except DataError as error:
                _LOG.warning("%s; the task is left out, its file kept as %s.damaged", error, path.name)
                with suppress(OSError):
                    path.replace(path.with_name(f"{path.name}.damaged"))
        return sorted(tasks, key=lambda task: task.order)


def parse_task(path: Path) -> Task:
    """The task in a file of the journal.

    Raises:
        DataError: it holds none.
    """
    fields = read_json_object(path, "a task")
    try:
        task = _TASK.validate_json(json.dumps(fields), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if task.id != path.stem:
        raise DataError(f"{path}: the task {task.id!r:.40}")
    try:
        task.describe()
    except (TypeError, ValueError):
        raise DataError(f"{path}: the priority of the task is no number") from None
    return task


_TASK = TypeAdapter(Task)
