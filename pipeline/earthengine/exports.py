"""Batch exports: start, watch, go on after an interruption, cancel. Nothing is ever submitted twice.

The manifest records each request before it is sent, and its result afterwards. A request without a recorded result is
looked up in the service's list of operations, and sent again only under the same request id.

Source: Earth Engine guides "Exporting images", "Processing environments"; REST reference, "projects.image/export".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ee

from cropcam.pipeline.earthengine import task_status as watch
from cropcam.pipeline.earthengine.error_messages import ServiceError, classify_error
from cropcam.pipeline.earthengine.graphs import graph
from cropcam.pipeline.earthengine.manifest import SUBMITTING, UNSUBMITTED, Entry, Manifest, load, open_manifest
from cropcam.pipeline.earthengine.plan import QUEUE_LIMIT, Plan, Task
from cropcam.pipeline.earthengine.preflight import check_inputs
from cropcam.pipeline.earthengine.session import Session
from cropcam.pipeline.earthengine.task_request import request_of
from cropcam.pipeline.earthengine.task_status import ACTIVE, CANCELLED, ENDED, FAILED, SUCCEEDED, Row

View = Callable[[Sequence[Row]], object]
WAITING_LIMIT = 1000  # tasks of this study: the queue of 3,000 belongs to all of the user's studies
RETRIES = 2  # of a task after a transient failure, within one run
POLL_S = 10.0


@dataclass(frozen=True)
class Pace:
    """Polling of the tasks: seconds between two requests, and the function that sleeps."""

    poll_s: float = POLL_S
    sleep: Callable[[float], object] = time.sleep


def export(
    plan: Plan,
    session: Session,
    manifest_file: Path,
    *,
    wait: bool = True,
    view: View | None = None,
    log: Callable[[str], object] | None = None,
    pace: Pace | None = None,
) -> list[Row]:
    """Bring every task of the plan to its end; finished tasks stay as they are.

    Args:
        plan: from `plan.plan`.
        session: an open session.
        manifest_file: from `manifest.manifest_path`.
        wait: return once all tasks have ended; otherwise once they are submitted.
        view: called with every task's row after each poll.
        log: called with a line per event.
        pace: of the polling.

    Returns:
        One row per task. With `wait` all have succeeded.

    Raises:
        EarthEngineError: something failed; the message lists finished and missing tasks.
        DataError: the manifest is another study's, damaged, or held by another process.
    """
    with open_manifest(manifest_file, plan, session) as manifest:
        run = _Run(plan, session, manifest, view or (lambda _: None), log or (lambda _: None), pace or Pace())
        run.look()
        run.begin()
        run.watch() if wait else run.submit_once()
        return watch.rows(plan.tasks, manifest)


def tasks(plan: Plan, session: Session, manifest_file: Path) -> list[Row]:
    """The state of a plan's tasks; submits and writes nothing."""
    manifest = load(manifest_file, plan, session)
    _reconcile(plan, session, manifest)
    return watch.rows(plan.tasks, manifest)


def cancel(plan: Plan, session: Session, manifest_file: Path) -> list[Row]:
    """Cancel every waiting or running task of a plan."""
    with open_manifest(manifest_file, plan, session) as manifest:
        _reconcile(plan, session, manifest)
        for entry in manifest.entries.values():
            if entry.state in ACTIVE:
                session.cancel(entry.operation)
        _reconcile(plan, session, manifest)
        manifest.save()
        return watch.rows(plan.tasks, manifest)


class _Run:
    """One run of `export` over a held manifest."""

    def __init__(self, plan: Plan, session: Session, manifest: Manifest, view: View, log: Callable[[str], object], pace: Pace) -> None:
        self._plan, self._session, self._manifest, self._view, self._log, self._pace = plan, session, manifest, view, log, pace
        self._images: dict[str, ee.Image] = {}
        self._retries: dict[str, int] = {}
        self._has_failed = False
        self._refusal: ServiceError | None = None

    def begin(self) -> None:
        """Renew tasks that failed or were cancelled in an earlier run, and check that the service has the inputs."""
        for task, entry in self._entries():
            if entry.state in (FAILED, CANCELLED):
                self._log(f"{task.name}: {entry.state.lower()} before ({entry.message or 'no reason given'}); once more")
                entry.renew()
        if any(entry.state in (UNSUBMITTED, SUBMITTING) for entry in self._manifest.entries.values()):
            counts = check_inputs(self._plan.study, self._session)
            self._log(f"scenes per season: {', '.join(map(str, counts))}")

    def look(self) -> None:
        """Bring the manifest up to date with the service."""
        self._others = _reconcile(self._plan, self._session, self._manifest)
        self._manifest.save()

    def show(self) -> None:
        """Pass every task's row to the view."""
        self._view(watch.rows(self._plan.tasks, self._manifest))

    def submit_once(self) -> None:
        """Submit as far as the queue has room, without waiting.

        Raises:
            EarthEngineError: a submission was refused.
        """
        self.submit()
        self.show()
        if self._refusal:
            raise self._failure()

    def watch(self) -> None:
        """Submit and poll until every task has ended.

        Raises:
            EarthEngineError: at least one did not succeed.
        """
        while True:
            if not self._has_failed:
                self.submit()
            self.show()
            states = {entry.state for entry in self._manifest.entries.values()}
            if not states & ACTIVE and (self._has_failed or states <= ENDED):
                break
            self._pace.sleep(self._pace.poll_s)
            self.look()
            self._sort_failures()
        if any(entry.state != SUCCEEDED for entry in self._manifest.entries.values()):
            raise self._failure()

    def _failure(self) -> ServiceError:
        rows = watch.rows(self._plan.tasks, self._manifest)
        reason = f"{self._refusal}. " if self._refusal else ""
        return ServiceError(
            f"{reason}{watch.summary(rows)}; missing: {watch.missing(rows)}. What is there stays; run the same command again for the rest",
            "export",
        )

    def submit(self) -> None:
        """Submit the remaining tasks, as far as the queue has room."""
        n_active = sum(entry.state in ACTIVE for entry in self._manifest.entries.values())
        for task, entry in self._entries():
            if entry.state not in (UNSUBMITTED, SUBMITTING):
                continue
            if n_active >= WAITING_LIMIT or n_active + self._others >= QUEUE_LIMIT:
                break
            try:
                self._submit(task, entry)
            except ServiceError as error:
                if error.kind == "queue":  # it empties; the next poll tries again
                    self._log(str(error))
                else:
                    self._refusal, self._has_failed = error, True
                break
            n_active += 1
            self.show()

    def _submit(self, task: Task, entry: Entry) -> None:
        entry.state, entry.message = SUBMITTING, ""
        self._manifest.save()
        if task.layer.name not in self._images:
            self._images[task.layer.name] = graph(self._plan.study, task.layer.name)
        request = {**request_of(self._plan, task, self._images[task.layer.name]), "description": entry.description(task)}
        try:
            operation = self._session.export(entry.request_id, request, f"submitting {task.name}")
        except ServiceError as error:
            if error.kind != "duplicate":
                raise
            self.look()  # it had arrived: its state follows from the service's list
            if entry.state == SUBMITTING:
                raise
        else:
            watch.update(entry, operation)
            self._manifest.save()
        self._log(f"{task.name}: submitted as {entry.operation.rpartition('/')[2]}")

    def _sort_failures(self) -> None:
        """Renew tasks that failed for a transient reason; after any other failure submit no more."""
        for task, entry in self._entries():
            if entry.state == CANCELLED:
                self._has_failed = True
            if entry.state != FAILED:
                continue
            tried = self._retries.get(task.name, 0)
            if classify_error(entry.message).is_transient and tried < RETRIES:
                self._retries[task.name] = tried + 1
                self._log(f"{task.name}: {entry.message}; trying again")
                entry.renew()
            else:
                self._has_failed = True

    def _entries(self) -> list[tuple[Task, Entry]]:
        return [(task, self._manifest.entries[task.name]) for task in self._plan.tasks]


def _reconcile(plan: Plan, session: Session, manifest: Manifest) -> int:
    """Bring a manifest up to date; return the number of other active tasks in the project."""
    operations = session.operations()
    for task in plan.tasks:
        entry = manifest.entries[task.name]
        if entry.state not in ENDED:
            watch.reconcile(task, entry, operations)
    listed = {str(operation.get("name")) for operation in operations}
    for entry in manifest.entries.values():
        if entry.state in ACTIVE and entry.operation not in listed:
            _look_up(entry, session)
    own_names = {entry.operation for entry in manifest.entries.values()}
    return sum(operation.get("metadata", {}).get("state") in ACTIVE and operation.get("name") not in own_names for operation in operations)


def _look_up(entry: Entry, session: Session) -> None:
    """Request the state of a task that is missing in the list; a task unknown to the service is submitted again."""
    try:
        watch.update(entry, session.operation(entry.operation))
    except ServiceError as error:
        if error.kind != "absent":
            raise
        entry.renew()
