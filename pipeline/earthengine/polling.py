"""Looking at tasks: once through the service's list, then at one's own operations.

A list holds everything that the service keeps of all users of a project, 500 operations a page; a project with 10,000 old tasks
is 20 requests a look. So the list is read once, at the start.

Source: Earth Engine REST reference, "projects.operations/list" and "projects.operations/get".
"""

from __future__ import annotations

from cropcam.pipeline.earthengine import task_status
from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.earthengine.manifest import Entry, Manifest
from cropcam.pipeline.earthengine.plan import Plan
from cropcam.pipeline.earthengine.session import Session
from cropcam.pipeline.earthengine.task_status import ENDED, FORGOTTEN, PENDING, is_active

LOOKS = 50  # operations asked for at one look
MISSES = 5  # answers 404 in a row, after which a task counts as forgotten: right after a submission one may be early


def adopt(plan: Plan, session: Session, manifest: Manifest) -> int:
    """Bring a manifest up to date with the service's list; return the number of other active tasks in the project."""
    operations = session.operations()
    for task in plan.tasks:
        entry = manifest.entries[task.name]
        if entry.state not in ENDED:
            task_status.reconcile(task, entry, operations)
    listed = {str(operation.get("name")) for operation in operations}
    for entry in manifest.entries.values():
        if (is_active(entry.state) or entry.state == FORGOTTEN) and entry.operation not in listed:  # the list may be late
            look_up(entry, session)
    own_names = {entry.operation for entry in manifest.entries.values()}
    states = (str(operation.get("metadata", {}).get("state")) for operation in operations if operation.get("name") not in own_names)
    return sum(map(is_active, states))


def poll(session: Session, manifest: Manifest, turn: int = 0) -> int:
    """Ask for the active tasks of a manifest: all that run, and of those that wait at most so many that a look has `LOOKS` requests.

    Args:
        session: an open session.
        manifest: the manifest, brought up to date.
        turn: which of the waiting tasks come first; start with 0.

    Returns:
        The turn of the next look.
    """
    active = [entry for entry in manifest.entries.values() if is_active(entry.state)]
    waiting = [entry for entry in active if entry.state == PENDING]
    asked = [entry for entry in active if entry.state != PENDING]
    count = min(len(waiting), max(LOOKS - len(asked), 1))
    start = turn if turn < len(waiting) else 0
    for entry in [*asked, *(waiting[start:] + waiting[:start])[:count]]:
        look_up(entry, session)
    return start + count


def look_up(entry: Entry, session: Session) -> None:
    """Ask for one operation. A task that the service does not know several times in a row is forgotten, and never submitted again unasked."""
    try:
        task_status.update(entry, session.operation(entry.operation))
    except ServiceError as error:
        if error.kind != "absent":
            raise
        entry.misses += 1
        if entry.misses >= MISSES:
            entry.state = FORGOTTEN
