"""One run of an export: what is submitted when, and what becomes of tasks that fail or are forgotten.

Source: Earth Engine guides "Exporting images", "Processing environments", "Earth Engine quotas".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from cropcam.pipeline.earthengine import cost, task_status
from cropcam.pipeline.earthengine.cost import Verdict
from cropcam.pipeline.earthengine.destinations import Asset, Drive
from cropcam.pipeline.earthengine.error_messages import ServiceError, classify_error
from cropcam.pipeline.earthengine.error_texts import DISK
from cropcam.pipeline.earthengine.graphs import graph
from cropcam.pipeline.earthengine.kept import check_target, pixels_of
from cropcam.pipeline.earthengine.manifest import SUBMITTING, UNSUBMITTED, Entry, Manifest
from cropcam.pipeline.earthengine.plan import QUEUE_LIMIT, Plan, Task
from cropcam.pipeline.earthengine.polling import adopt, poll
from cropcam.pipeline.earthengine.preflight import check_inputs
from cropcam.pipeline.earthengine.session import Session, is_loopback
from cropcam.pipeline.earthengine.slow_tasks import Slow
from cropcam.pipeline.earthengine.submission import Submission
from cropcam.pipeline.earthengine.task_status import CANCELLED, ENDED, FAILED, FORGOTTEN, SUCCEEDED, Row, is_active
from cropcam.pipeline.errors import DataError

View = Callable[[Sequence[Row]], object]
Arrived = Callable[[Task, Entry], bool | None]
WAITING_LIMIT = 1000  # tasks of this study: the queue of 3,000 belongs to all studies of the project
RETRIES = 2  # of a task after a transient failure, within one run
SMALLEST_SHARD_PX = 64  # below it tasks that need too much memory are not tried


@dataclass(frozen=True)
class Pace:
    """Polling of the tasks: seconds to the next look after a change, the longest wait while nothing changes, and the function that sleeps."""

    poll_s: float = 10.0
    longest_s: float = 60.0
    sleep: Callable[[float], object] = time.sleep


def pace_at(url: str) -> Pace:
    """The pace of the looks at an endpoint: to look at an engine on this machine costs nothing."""
    return Pace(0.5, 2.0) if is_loopback(url) else Pace()


@dataclass(frozen=True)
class Options:
    """How an export runs.

    Attributes:
        wait: return once all tasks have ended; otherwise once they are submitted.
        again: submit tasks once more that the service no longer knows.
        max_eecu_hours: no task is submitted that would bring the export above so many EECU-hours, earlier runs included; None: no limit.
        arrived: whether the files of a task are at the destination; None where it cannot look.
        view: called with every task's row after each poll.
        log: called with a line per event.
        pace: of the polling.
    """

    wait: bool = True
    again: bool = False
    max_eecu_hours: float | None = None
    arrived: Arrived | None = None
    view: View = lambda _: None
    log: Callable[[str], object] = lambda _: None
    pace: Pace = field(default_factory=Pace)


class ExportRun:
    """One run of `export` over a held manifest."""

    def __init__(self, plan: Plan, session: Session, manifest: Manifest, options: Options) -> None:
        self.options = options
        self._plan, self._session, self._manifest, self._log = plan, session, manifest, options.log
        self._slow = Slow()
        self._retries: dict[str, int] = {}
        self._others, self._turn = 0, 0
        self._has_failed = self._is_at_limit = self._is_queue_full = False
        self._refusal: ServiceError | None = None

    def begin(self) -> None:
        """Look at the service, renew tasks that failed or were cancelled in an earlier run, and check that the service has the inputs."""
        self._others = adopt(self._plan, self._session, self._manifest)
        for task, entry in self._entries():
            if entry.state in (FAILED, CANCELLED):
                self._log(f"{task.name}: {entry.state.lower()} before ({entry.message or 'no reason given'}); once more")
                entry.renew()
            elif entry.state == FORGOTTEN:
                self._look_for_files(task, entry, may_renew=True)
        check_target(self._plan, self._session, self._manifest, self._log)
        self._manifest.save()
        if self.options.max_eecu_hours is not None and not self._is_done():
            cost.check_limit(self._rows(), self.options.max_eecu_hours)
        if any(entry.state in (UNSUBMITTED, SUBMITTING) for entry in self._manifest.entries.values()):
            counts = check_inputs(self._plan.study, self._session)
            self._log(f"scenes per season: {', '.join(map(str, counts))}")
        pixels = (
            partial(graph, self._plan.study)
            if isinstance(self._plan.destination, Asset) or self._is_done()
            else pixels_of(self._plan.study, self._session, self._manifest.path, self._log)
        )
        pace = self.options.pace
        self._submission = Submission(self._plan, self._session, self._manifest, pixels, self._log, pace.sleep, pace.poll_s)

    def submit_once(self) -> None:
        """Submit as far as the queue has room, without waiting.

        Raises:
            EarthEngineError: a submission was refused, or a task is forgotten.
        """
        if isinstance(self._plan.destination, Drive) and len(self._plan.tasks) > 1 and not self._has_any(SUCCEEDED):
            self._log("tasks that start together may each make a Drive folder of this name; cropcam fetch finds the files of all")
        if not self._has_failed:
            self._submit(WAITING_LIMIT)
        self._show()
        if self._has_failed or self._is_at_limit:
            raise self._failure()
        left = sum(entry.state in (UNSUBMITTED, SUBMITTING) for entry in self._manifest.entries.values())
        if left:
            self._log(f"{left} task{'s are' if left > 1 else ' is'} not submitted yet: run the same command again later")

    def watch(self) -> None:
        """Submit and poll until every task has ended.

        Raises:
            EarthEngineError: at least one did not succeed.
        """
        pace, wait_s = self.options.pace, self.options.pace.poll_s
        while True:
            if not self._has_failed:
                self._submit(self._room())
            self._show()
            states = [entry.state for entry in self._manifest.entries.values()]
            if not any(map(is_active, states)) and (self._has_failed or self._is_at_limit or set(states) <= ENDED):
                break
            pace.sleep(wait_s)
            if self._is_queue_full:  # by the tasks of others too, which only the list shows
                self._others = adopt(self._plan, self._session, self._manifest)
            else:
                self._turn = poll(self._session, self._manifest, self._turn)
            self._settle()
            self._manifest.save()
            for line in self._slow.look(self._rows(), wait_s):
                self._log(line)
            has_changed = states != [entry.state for entry in self._manifest.entries.values()]
            wait_s = pace.poll_s if has_changed else min(wait_s * 1.5, pace.longest_s)
        if any(entry.state != SUCCEEDED for entry in self._manifest.entries.values()):
            raise self._failure()

    def _room(self) -> int:
        """How many tasks may be active. The first task of a Drive folder comes alone: tasks that start together make several folders of one name."""
        return 1 if isinstance(self._plan.destination, Drive) and not self._has_any(SUCCEEDED) else WAITING_LIMIT

    def _submit(self, room: int) -> None:
        """Submit the remaining tasks, as far as there is room in the queue; into an empty folder the smallest first."""
        n_active = sum(is_active(entry.state) for entry in self._manifest.entries.values())
        waiting = [(task, entry) for task, entry in self._entries() if entry.state in (UNSUBMITTED, SUBMITTING)]
        if room == 1:
            waiting.sort(key=lambda pair: (pair[1].state != SUBMITTING, pair[0].bytes))
        self._is_at_limit = self._is_queue_full = False
        for task, entry in waiting:
            self._is_queue_full = n_active + self._others >= QUEUE_LIMIT
            if n_active >= room or self._is_queue_full:
                break
            if not self._is_affordable(task):
                continue
            try:
                self._submission.submit(task, entry)
            except ServiceError as error:
                if error.kind == "queue":  # it empties; the next poll tries again
                    self._log(str(error))
                    self._is_queue_full = True
                else:
                    self._refusal, self._has_failed = error, True
                break
            n_active += 1
            self._show()

    def _is_affordable(self, task: Task) -> bool:
        """Whether a task keeps the export within its limit of EECU-hours, by the cost of the tasks so far."""
        limit = self.options.max_eecu_hours
        verdict = Verdict.SUBMIT if limit is None else cost.may_submit(self._rows(), limit, task.layer.name, task.pixels)
        self._is_at_limit = self._is_at_limit or verdict is Verdict.STOP
        return verdict is Verdict.SUBMIT

    def _settle(self) -> None:
        """Renew tasks that failed for a transient reason or for memory; after any other failure submit no more."""
        for task, entry in self._entries():
            if entry.state == CANCELLED:
                self._has_failed = True
            elif entry.state == FORGOTTEN:
                self._look_for_files(task, entry, may_renew=False)
            elif entry.state == FAILED:
                fault, tried = classify_error(entry.message), self._retries.get(task.name, 0)
                smaller_px = (entry.shard_px or self._plan.shard_px) // 2
                if fault.kind == "memory" and smaller_px >= SMALLEST_SHARD_PX:
                    self._log(f"{task.name}: {entry.message}; trying again in tiles of {smaller_px} px")
                    self._compute_in(smaller_px, task)
                elif fault.is_transient and tried < RETRIES:
                    self._retries[task.name] = tried + 1
                    self._log(f"{task.name}: {entry.message}; trying again")
                else:
                    self._has_failed = True
                    continue
                entry.renew()

    def _compute_in(self, shard_px: int, failed: Task) -> None:
        """A task that failed, and those of its layer that are still to be submitted, are computed in smaller tiles from now on."""
        for task, entry in self._entries():
            if task is failed or (task.layer.name == failed.layer.name and entry.state == UNSUBMITTED):
                entry.shard_px = min(entry.shard_px or shard_px, shard_px)

    def _look_for_files(self, task: Task, entry: Entry, *, may_renew: bool) -> None:
        """Decide about a task that the service no longer knows: its files are there, or it starts again, or the user is asked.

        Within the run that has seen the task it does not start again: the service may merely be late.
        """
        arrived = self.options.arrived(task, entry) if self.options.arrived else None
        if arrived:
            entry.state, entry.message = SUCCEEDED, "forgotten by the service; its files are at the destination"
            self._log(f"{task.name}: the service does not know it any more; its files are at {self._plan.destination}")
        elif may_renew and (arrived is False or self.options.again):
            self._log(f"{task.name}: the service does not know it any more; once more")
            entry.renew()
        else:
            known = "no file of it is there: run the same command again to start it once more" if arrived is False else ""
            remedy = known or f"look for its files at {self._plan.destination}, or run again with --again"
            entry.message = f"the service does not know it any more; {remedy}"
            self._has_failed = True

    def _failure(self) -> ServiceError | DataError:
        rows = self._rows()
        if full := [row.message for row in rows if row.state == FAILED and classify_error(row.message).kind == DISK]:
            return DataError(f"{full[0]}. {task_status.summary(rows)}; what is there stays")
        reason = f"{self._refusal}. " if self._refusal else ""
        if self._is_at_limit and self.options.max_eecu_hours is not None and not self._has_failed:
            return ServiceError(f"{task_status.summary(rows)}. {cost.limit_text(rows, self.options.max_eecu_hours)}", "limit")
        text = f"{reason}{task_status.summary(rows)}; missing: {task_status.missing(rows)}"
        answers = [self._refusal.raw] if self._refusal else []
        answers += [f"{task.name}: {entry.operation}: {entry.message}" for task, entry in self._entries() if entry.state == FAILED]
        return ServiceError(f"{text}. What is there stays; run the same command again for the rest", "export", "\n".join(answers))

    def _show(self) -> None:
        self.options.view(self._rows())

    def _rows(self) -> list[Row]:
        return task_status.rows(self._plan.tasks, self._manifest)

    def _is_done(self) -> bool:
        return all(entry.state == SUCCEEDED for entry in self._manifest.entries.values())

    def _has_any(self, state: str) -> bool:
        return any(entry.state == state for entry in self._manifest.entries.values())

    def _entries(self) -> list[tuple[Task, Entry]]:
        return [(task, self._manifest.entries[task.name]) for task in self._plan.tasks]
