"""Submission of one task: at most once, whatever happens between the request and its answer.

The manifest keeps the whole request until its fate is known. It is sent again byte for byte: "If the task is attempted to be
created again with the same requestId an exception may be thrown if the request is not byte for byte identical"
(earthengine-api, javascript/src/encodable.js).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ee

from cropcam.pipeline.earthengine import task_status
from cropcam.pipeline.earthengine.destinations import Asset
from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.earthengine.kept import GRAPH_PROPERTY, Pixels
from cropcam.pipeline.earthengine.manifest import SUBMITTING, UNSUBMITTED, Entry, Manifest
from cropcam.pipeline.earthengine.plan import Plan, Task
from cropcam.pipeline.earthengine.polling import adopt
from cropcam.pipeline.earthengine.session import Session
from cropcam.pipeline.earthengine.task_request import request_of
from cropcam.pipeline.runtime.hashing import json_sha256

LOOKS = 5  # into the list, for a task that the service has and does not list yet
_UNDECIDED = frozenset({"busy", "service", "connection", "stopped"})  # kinds of errors after which the request may have arrived


class Submission:
    """Submits the tasks of one plan."""

    def __init__(
        self,
        plan: Plan,
        session: Session,
        manifest: Manifest,
        pixels: Pixels,
        log: Callable[[str], object],
        sleep: Callable[[float], object],
        pause_s: float,
    ) -> None:
        self._plan, self._session, self._manifest, self._pixels = plan, session, manifest, pixels
        self._log, self._sleep, self._pause_s = log, sleep, pause_s

    def submit(self, task: Task, entry: Entry) -> None:
        """Submit a task, or find out what became of an earlier request.

        Raises:
            EarthEngineError: the service refused. Whether the task is submitted is then recorded as far as it is known.
        """
        if entry.body is None:
            entry.body = self._request(task, entry)
        entry.state, entry.message = SUBMITTING, ""
        self._manifest.save()
        body = dict(entry.body)
        try:
            operation = self._session.export(request_id(body), body, f"submitting {task.name}")
        except ServiceError as error:
            self._after(error, entry)
        else:
            task_status.update(entry, operation)
        self._manifest.save()
        self._log(f"{task.name}: submitted as {entry.operation.rpartition('/')[2]}")

    def _request(self, task: Task, entry: Entry) -> dict[str, Any]:
        study, layer = self._plan.study, task.layer.name
        image = self._pixels(layer, study.grid.window(task.cell))
        if isinstance(self._plan.destination, Asset):
            image = ee.Image(image.set({GRAPH_PROPERTY: self._manifest.about["graphs"][layer], "cropcam_study": study.name}))
        return request_of(
            self._plan, task, image, entry.description(task), project=self._session.project, shard_px=entry.shard_px
        )  # fmt: skip

    def _after(self, error: ServiceError, entry: Entry) -> None:
        """Look into the service's list before a refusal is believed.

        Raises:
            EarthEngineError: `error`, where the list has no such task.
        """
        for look in range(LOOKS if error.kind == "duplicate" else 1):
            if look:
                self._sleep(self._pause_s)
            adopt(self._plan, self._session, self._manifest)
            if entry.state != SUBMITTING:
                return
        if error.kind not in _UNDECIDED | {"duplicate"}:
            entry.state, entry.body = UNSUBMITTED, None
            self._manifest.save()
        if error.kind == "duplicate":
            raise ServiceError(
                f"{error}, and the service does not list it yet; run the same command again in some minutes", "duplicate"
            ) from error
        raise error


def request_id(body: dict[str, Any]) -> str:
    """The id of a request: a digest of its whole body, of 48 characters of a-z0-9-. Equal requests have equal ids, and no others."""
    return f"cropcam-{json_sha256(body)[:40]}"
