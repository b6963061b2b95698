"""States of export tasks: out of the service's operations into manifest entries, and onto the screen.

Source: Earth Engine REST reference, "projects.operations" and "OperationMetadata".
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from cropcam.pipeline.earthengine.error_messages import classify_error
from cropcam.pipeline.earthengine.error_texts import redacted
from cropcam.pipeline.earthengine.manifest import SUBMITTING, UNSUBMITTED, Entry, Manifest
from cropcam.pipeline.earthengine.plan import Task

PENDING, RUNNING, CANCELLING, SUCCEEDED, CANCELLED, FAILED = "PENDING", "RUNNING", "CANCELLING", "SUCCEEDED", "CANCELLED", "FAILED"
FORGOTTEN = "FORGOTTEN"  # accepted once, and unknown to the service since
ENDED = frozenset({SUCCEEDED, CANCELLED, FAILED})
_COLOURS = {SUCCEEDED: "green", RUNNING: "cyan", FAILED: "red", FORGOTTEN: "red", CANCELLED: "yellow", CANCELLING: "yellow"}


def is_active(state: str) -> bool:
    """Whether the service has a task that has not ended; states that this client does not know count."""
    return state not in ENDED | {UNSUBMITTED, SUBMITTING, FORGOTTEN}


@dataclass(frozen=True)
class Row:
    """One task as shown to the user. Seconds and EECU seconds (of all attempts) are the service's, None until it reports them.

    `progress` is 0 to 1; `updated` the service's time of the last change, RFC 3339; `pixels` those of the task's cell;
    `earlier_eecu_s` the EECU seconds of the attempts before the latest, `attempt` its number from 0.
    """

    task: str
    layer: str
    state: str
    seconds: float | None
    eecu_s: float | None
    message: str
    uris: tuple[str, ...]
    progress: float | None = None
    updated: str = ""
    pixels: int = 0
    earlier_eecu_s: float = 0.0
    attempt: int = 0


def reconcile(task: Task, entry: Entry, operations: Iterable[Mapping[str, Any]]) -> None:
    """Bring an entry up to date with the service's operations: the latest attempt of the task counts.

    A task in the service's list was submitted, whatever the manifest records. A state that has ended in the manifest
    stays, for the service forgets old operations.
    """
    latest: tuple[int, Mapping[str, Any]] | None = None
    for operation in operations:
        attempt = _attempt(task, entry, operation)
        if attempt is not None and attempt >= entry.attempt and (latest is None or attempt > latest[0]):
            latest = attempt, operation
    if latest is None:
        return
    entry.attempt, operation = latest
    update(entry, operation)


def update(entry: Entry, operation: Mapping[str, Any]) -> None:
    """Take state, times, cost and error of an operation into an entry."""
    about, error = operation.get("metadata", {}), operation.get("error") or {}
    entry.operation, entry.misses, entry.body = str(operation.get("name", entry.operation)), 0, None
    entry.state = str(about.get("state") or (entry.state if is_active(entry.state) else PENDING))
    if operation.get("done") and is_active(entry.state):  # a state that this client does not know
        entry.state = FAILED if error else SUCCEEDED
    entry.uris = [str(uri) for uri in about.get("destinationUris", [])]
    if "batchEecuUsageSeconds" in about:
        entry.eecu_s = float(about["batchEecuUsageSeconds"])
    entry.progress = None if about.get("progress") is None else float(about["progress"])
    entry.updated = str(about.get("updateTime", ""))
    entry.seconds = _seconds(about)
    entry.message = redacted(str(error.get("message", "")))


def _attempt(task: Task, entry: Entry, operation: Mapping[str, Any]) -> int | None:
    """The attempt number of an operation; None where the operation is another task's."""
    if entry.operation and operation.get("name") == entry.operation:
        return entry.attempt
    stem = f"{task.name}-{entry.key[:12]}-a"
    description = str(operation.get("metadata", {}).get("description", ""))
    number = description.removeprefix(stem)
    return int(number) if description.startswith(stem) and number.isdigit() else None


def _seconds(about: Mapping[str, Any]) -> float | None:
    """Seconds that the service has worked on it, by the service's clock."""
    try:
        start = datetime.datetime.fromisoformat(str(about["startTime"]))
        end = datetime.datetime.fromisoformat(str(about.get("endTime") or about["updateTime"]))
    except (KeyError, ValueError):
        return None
    return max((end - start).total_seconds(), 0.0)


def rows(tasks: Sequence[Task], manifest: Manifest) -> list[Row]:
    """Every task of a plan with its state in a manifest."""
    lines = []
    for task in tasks:
        entry = manifest.entries[task.name]
        state = UNSUBMITTED if entry.state == SUBMITTING else entry.state
        note = classify_error(entry.message).text if state == FAILED and entry.message else entry.message
        eecu_s = None if entry.eecu_s is None and not entry.earlier_eecu_s else (entry.eecu_s or 0.0) + entry.earlier_eecu_s
        about = (entry.progress, entry.updated, task.pixels, entry.earlier_eecu_s, entry.attempt)
        lines.append(Row(task.name, task.layer.name, state, entry.seconds, eecu_s, note, tuple(entry.uris), *about))
    return lines


def table(shown: Sequence[Row], title: str = "", limit: int = 40) -> Table:
    """A table for a rich Live view: running and failed tasks first when there are more than `limit`."""
    made = Table("task", "state", "time", "EECU", "note", title=title or summary(shown))
    urgent = {FAILED: 0, FORGOTTEN: 0, PENDING: 3, UNSUBMITTED: 4, CANCELLED: 5, SUCCEEDED: 5}
    picked = shown if len(shown) <= limit else sorted(shown, key=lambda row: urgent.get(row.state, 1))[:limit]
    for row in picked:
        colour = _COLOURS.get(row.state, "")
        made.add_row(
            row.task,
            f"[{colour}]{row.state.lower()}[/]" if colour else row.state.lower(),
            "" if row.seconds is None else str(datetime.timedelta(seconds=round(row.seconds))),
            "" if row.eecu_s is None else f"{row.eecu_s:,.1f} s",
            row.message.replace("[", r"\["),
        )
    if len(picked) < len(shown):
        made.caption = f"and {len(shown) - len(picked)} more"
    return made


def lines(shown: Sequence[Row]) -> str:
    """The same as plain text: one line per task."""
    width = max((len(row.task) for row in shown), default=0)
    texts = []
    for row in shown:
        parts = [f"{row.task:<{width}}  {row.state.lower():<11}"]
        parts += [f"{row.seconds:,.0f} s"] if row.seconds is not None else []
        parts += [f"{row.eecu_s:,.1f} EECU-s"] if row.eecu_s is not None else []
        texts.append("  ".join((*parts, row.message)).rstrip())
    return "\n".join(texts)


def summary(shown: Sequence[Row]) -> str:
    """Number of tasks in each state, on one line."""
    order = (SUCCEEDED, RUNNING, PENDING, UNSUBMITTED, CANCELLING, CANCELLED, FAILED, FORGOTTEN)
    counts = {state: sum(row.state == state for row in shown) for state in dict.fromkeys((*order, *(row.state for row in shown)))}
    return f"{len(shown)} task{'s' * (len(shown) != 1)}: " + ", ".join(
        f"{count} {state.lower()}" for state, count in counts.items() if count
    )


def progress_of(shown: Sequence[Row]) -> str:
    """How far tasks are together: "failed" where one is, or is forgotten; "cancelled" where one was; "done" where all have succeeded; else "not done"."""
    states = {row.state for row in shown}
    if states & {FAILED, FORGOTTEN}:
        return "failed"
    if states & {CANCELLED, CANCELLING}:
        return "cancelled"
    return "done" if states <= {SUCCEEDED} else "not done"


def document(study: str, to: str, shown: Sequence[Row]) -> dict[str, Any]:
    """The tasks as JSON values, as `--json` has them (docs/json.md)."""
    states = dict.fromkeys(row.state.lower() for row in shown)
    eecu_s = [row.eecu_s for row in shown if row.eecu_s is not None]
    return {
        "study": study,
        "to": to,
        "progress": progress_of(shown),
        "states": {state: sum(row.state.lower() == state for row in shown) for state in states},
        "eecu_hours": math.fsum(eecu_s) / 3600 if eecu_s else None,
        "places": place_list(shown),
        "tasks": [
            {
                "task": row.task,
                "layer": row.layer,
                "state": row.state.lower(),
                "progress": row.progress,
                "seconds": row.seconds,
                "eecu_seconds": row.eecu_s,
                "pixels": row.pixels,
                "attempt": row.attempt,
                "updated": row.updated,
                "message": row.message,
                "places": list(row.uris),
            }
            for row in shown
        ],
    }


def missing(shown: Sequence[Row], limit: int = 5) -> str:
    """The missing tasks and their reasons, on one line, those first that wait for the user; empty where all succeeded."""
    absent = sorted((row for row in shown if row.state != SUCCEEDED), key=lambda row: row.state not in (FAILED, FORGOTTEN, CANCELLED))
    named = [f"{row.task} {row.state.lower()}{f': {row.message}' if row.message else ''}" for row in absent[:limit]]
    return "; ".join(named) + (f"; and {len(absent) - limit} more" if len(absent) > limit else "")


def place_list(shown: Sequence[Row]) -> list[str]:
    """Where the files of the tasks are, as the service reports it."""
    return list(dict.fromkeys(uri for row in shown for uri in row.uris))


def places(shown: Sequence[Row]) -> str:
    """The same, one line each; a note where there are several Drive folders."""
    found = place_list(shown)
    folders = [uri for uri in found if "drive.google.com" in uri]
    note = [f"{len(folders)} Drive folders of one name hold the files; cropcam fetch finds all of them"] if len(folders) > 1 else []
    return "\n".join([*found, *note])
