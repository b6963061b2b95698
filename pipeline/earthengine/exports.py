"""Batch exports: start, watch, go on after an interruption, cancel. Nothing is ever submitted twice.

Before each request the manifest says that it is being sent, after it what it became; a run that finds a request of
unknown fate looks it up in the service's own list, and sends it again only under the same request id.

Source: Earth Engine guides "Exporting images", "Processing environments"; REST reference, "projects.image/export".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ee

from cropcam.pipeline.earthengine import task_status as watch
from cropcam.pipeline.earthengine.error_messages import ServiceError, understand
from cropcam.pipeline.earthengine.graphs import graph
from cropcam.pipeline.earthengine.manifest import SUBMITTING, UNSUBMITTED, Entry, Manifest, load, open_manifest
from cropcam.pipeline.earthengine.plan import QUEUE_LIMIT, Plan, Task
from cropcam.pipeline.earthengine.preflight import check_inputs
from cropcam.pipeline.earthengine.session import Session
from cropcam.pipeline.earthengine.task_request import request_of
from cropcam.pipeline.earthengine.task_status import ACTIVE, CANCELLED, ENDED, FAILED, SUCCEEDED, Row

View = Callable[[Sequence[Row]], object]
WAITING_LIMIT = 1000  # of ours: the queue of 3,000 is the user's, not this study's alone
RETRIES = 2  # of a task that failed for a passing reason, within one run
POLL_S = 10.0


@dataclass(frozen=True)
class Pace:
    """How a run waits: seconds between two looks at the tasks, and what sleeping is."""

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
    """Bring every task of the plan to its end; what is done already is left alone.

    Args:
        plan: from `plan.plan`.
        session: an open session.
        manifest_file: from `manifest.manifest_path`.
        wait: watch until all have ended; otherwise return once they are submitted.
        view: called with every task's row after each look.
        log: called with a line about what happened.
        pace: of the looks.

    Returns:
        One row per task. With `wait` all have succeeded.

    Raises:
        EarthEngineError: something failed; the message says what is there and what is missing.
        DataError: the manifest is another study's, damaged, or held by another process.
    """
    with open_manifest(manifest_file, plan, session) as manifest:
        run = _Run(plan, session, manifest, view or (lambda _: None), log or (lambda _: None), pace or Pace())
        run.look()
        run.begin()
        run.watch() if wait else run.submit_once()
        return watch.rows(plan.tasks, manifest)


def tasks(plan: Plan, session: Session, manifest_file: Path) -> list[Row]:
    """What the tasks of a plan are doing; submits and writes nothing."""
    manifest = load(manifest_file, plan, session)
    _look(plan, session, manifest)
    return watch.rows(plan.tasks, manifest)


def cancel(plan: Plan, session: Session, manifest_file: Path) -> list[Row]:
    """Cancel every task of a plan that waits or runs."""
    with open_manifest(manifest_file, plan, session) as manifest:
        _look(plan, session, manifest)
        for entry in manifest.entries.values():
            if entry.state in ACTIVE:
                session.cancel(entry.operation)
        _look(plan, session, manifest)
        manifest.save()
        return watch.rows(plan.tasks, manifest)


class _Run:
    """One run of `export` over a held manifest."""

    def __init__(self, plan: Plan, session: Session, manifest: Manifest, view: View, log: Callable[[str], object], pace: Pace) -> None:
        self._plan, self._session, self._manifest, self._view, self._log, self._pace = plan, session, manifest, view, log, pace
        self._images: dict[str, ee.Image] = {}
        self._again: dict[str, int] = {}
        self._has_failed = False
        self._refusal: ServiceError | None = None

    def begin(self) -> None:
        """Plan what failed or was cancelled in an earlier run once more, and check that the service has the inputs."""
        for task, entry in self._each():
            if entry.state in (FAILED, CANCELLED):
                self._log(f"{task.name}: {entry.state.lower()} before ({entry.message or 'no reason given'}); once more")
                entry.renew()
        if any(entry.state in (UNSUBMITTED, SUBMITTING) for entry in self._manifest.entries.values()):
            counts = check_inputs(self._plan.study, self._session)
            self._log(f"scenes per season: {', '.join(map(str, counts))}")

    def look(self) -> None:
        """Bring the manifest up to date with the service."""
        self._others = _look(self._plan, self._session, self._manifest)
        self._manifest.save()

    def show(self) -> None:
        """Hand every task's row to the view."""
        self._view(watch.rows(self._plan.tasks, self._manifest))

    def submit_once(self) -> None:
        """Submit as far as the queue has room, and leave.

        Raises:
            EarthEngineError: a submission was refused.
        """
        self.submit()
        self.show()
        if self._refusal:
            raise self._summed_up()

    def watch(self) -> None:
        """Submit and look until every task has ended.

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
            raise self._summed_up()

    def _summed_up(self) -> ServiceError:
        found = watch.rows(self._plan.tasks, self._manifest)
        reason = f"{self._refusal}. " if self._refusal else ""
        return ServiceError(
            f"{reason}{watch.summary(found)}; missing: {watch.missing(found)}. What is there stays; run the same command again for the rest",
            "export",
        )

    def submit(self) -> None:
        """Submit what is not submitted yet, as far as the queue has room."""
        ours = sum(entry.state in ACTIVE for entry in self._manifest.entries.values())
        for task, entry in self._each():
            if entry.state not in (UNSUBMITTED, SUBMITTING):
                continue
            if ours >= WAITING_LIMIT or ours + self._others >= QUEUE_LIMIT:
                break
            try:
                self._submit(task, entry)
            except ServiceError as error:
                if error.kind == "queue":  # it empties; the next look tries again
                    self._log(str(error))
                else:
                    self._refusal, self._has_failed = error, True
                break
            ours += 1
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
            self.look()  # it had arrived: the service's list says what became of it
            if entry.state == SUBMITTING:
                raise
        else:
            watch.update(entry, operation)
            self._manifest.save()
        self._log(f"{task.name}: submitted as {entry.operation.rpartition('/')[2]}")

    def _sort_failures(self) -> None:
        """Plan anew what failed for a passing reason; after anything else submit no more."""
        for task, entry in self._each():
            if entry.state == CANCELLED:
                self._has_failed = True
            if entry.state != FAILED:
                continue
            tried = self._again.get(task.name, 0)
            if understand(entry.message).is_transient and tried < RETRIES:
                self._again[task.name] = tried + 1
                self._log(f"{task.name}: {entry.message}; trying again")
                entry.renew()
            else:
                self._has_failed = True

    def _each(self) -> list[tuple[Task, Entry]]:
        return [(task, self._manifest.entries[task.name]) for task in self._plan.tasks]


def _look(plan: Plan, session: Session, manifest: Manifest) -> int:
    """Bring a manifest up to date; return how many tasks of others wait or run in the project."""
    operations = session.operations()
    for task in plan.tasks:
        entry = manifest.entries[task.name]
        if entry.state not in ENDED:
            watch.reconcile(task, entry, operations)
    listed = {str(operation.get("name")) for operation in operations}
    for entry in manifest.entries.values():
        if entry.state in ACTIVE and entry.operation not in listed:
            _look_up(entry, session)
    own = {entry.operation for entry in manifest.entries.values()}
    return sum(operation.get("metadata", {}).get("state") in ACTIVE and operation.get("name") not in own for operation in operations)


def _look_up(entry: Entry, session: Session) -> None:
    """A task the list has not: asked for by name; one that the service does not know is submitted anew."""
    try:
        watch.update(entry, session.operation(entry.operation))
    except ServiceError as error:
        if error.kind != "absent":
            raise
        entry.renew()
