"""Batch exports: start, watch, go on after an interruption, cancel. Nothing is ever submitted twice.

The manifest records each request before it is sent, and its result afterwards. A request without a recorded result is
looked up in the service's list of operations, and otherwise sent again byte for byte under the same request id.

Source: Earth Engine guides "Exporting images", "Processing environments"; REST reference, "projects.image/export".
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cropcam.pipeline.earthengine import task_status
from cropcam.pipeline.earthengine.access import check_destination
from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.earthengine.export_run import ExportRun, Options
from cropcam.pipeline.earthengine.manifest import load, open_manifest
from cropcam.pipeline.earthengine.plan import Plan
from cropcam.pipeline.earthengine.polling import adopt, poll
from cropcam.pipeline.earthengine.session import Session
from cropcam.pipeline.earthengine.task_status import FORGOTTEN, Row, is_active


def export(plan: Plan, session: Session, manifest_file: Path, options: Options | None = None) -> list[Row]:
    """Bring every task of the plan to its end; finished tasks stay as they are.

    Args:
        plan: from `plan.plan`.
        session: an open session.
        manifest_file: from `manifest.manifest_path`.
        options: how.

    Returns:
        One row per task. With `wait` all have succeeded.

    Raises:
        EarthEngineError: something failed; the message lists finished and missing tasks. Or the account can never write there.
        ConfigError: more EECU-hours are spent already than `max_eecu_hours`.
        DataError: the manifest is another study's, damaged, or held by another process.
    """
    check_destination(session.account, str(plan.destination))
    with open_manifest(manifest_file, plan, session) as manifest:
        run = ExportRun(plan, session, manifest, options or Options())
        run.begin()
        run.watch() if run.options.wait else run.submit_once()
        return task_status.rows(plan.tasks, manifest)


def tasks(plan: Plan, session: Session, manifest_file: Path) -> list[Row]:
    """The state of a plan's tasks; submits and writes nothing."""
    manifest = load(manifest_file, plan, session)
    adopt(plan, session, manifest)
    for entry in manifest.entries.values():
        if entry.misses:
            entry.state, entry.message = FORGOTTEN, "the service does not know it any more, or not yet"
    return task_status.rows(plan.tasks, manifest)


def follow(plan: Plan, session: Session, manifest_file: Path) -> Callable[[], list[Row]]:
    """A function that looks at a plan's tasks each time it is called: first through the service's list, then at the active ones alone.

    Submits and writes nothing. Tasks that another process submits meanwhile are taken from its manifest.
    """
    manifest, turn = load(manifest_file, plan, session), -1

    def look() -> list[Row]:
        nonlocal turn
        if turn < 0:
            adopt(plan, session, manifest)
            turn = 0
        else:
            manifest.take_submitted()
            turn = poll(session, manifest, turn)
        return task_status.rows(plan.tasks, manifest)

    return look


def cancel(plan: Plan, session: Session, manifest_file: Path) -> list[Row]:
    """Cancel every waiting or running task of a plan, also while another process watches them; that one then submits no more.

    Writes nothing: the next run finds the states in the service's list.

    Raises:
        EarthEngineError: the service refused to cancel a task that has not ended; all others were cancelled.
    """
    manifest = load(manifest_file, plan, session)
    adopt(plan, session, manifest)
    refusals: dict[str, ServiceError] = {}
    for name, entry in manifest.entries.items():
        if is_active(entry.state):
            try:
                session.cancel(entry.operation)
            except ServiceError as error:
                refusals[name] = error
    adopt(plan, session, manifest)
    left = [name for name in refusals if is_active(manifest.entries[name].state)]
    if left:
        more = f"; and {len(left) - 1} more" if len(left) > 1 else ""
        raise ServiceError(f"{left[0]} is not cancelled: {refusals[left[0]]}{more}. The others are", "cancel")
    return task_status.rows(plan.tasks, manifest)
