"""States of export tasks: taken from operations, shown in a table."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cropcam.pipeline.earthengine import task_status as watch
from cropcam.pipeline.earthengine.manifest import Manifest
from cropcam.pipeline.earthengine.plan import Plan

pytestmark = pytest.mark.usefixtures("transport")


def test_times_come_from_the_services_clock_and_never_run_backwards() -> None:
    about = {"state": "RUNNING", "startTime": "2026-01-01T00:10:00Z", "updateTime": "2026-01-01T00:00:00.5Z"}
    entry = load_entry()
    watch.update(entry, {"name": "n", "metadata": about})
    assert entry.seconds == 0.0
    watch.update(entry, {"name": "n", "metadata": {"state": "RUNNING", "startTime": "soon"}})
    assert entry.seconds is None


def load_entry() -> Any:
    from cropcam.pipeline.earthengine.manifest import Entry

    return Entry("k" * 32)


def test_the_table_shows_what_matters_first() -> None:
    rows = [watch.Row(f"t{n}", "image", "SUCCEEDED", 5.0, 1.0, "", ()) for n in range(50)]
    rows.append(watch.Row("bad", "image", "FAILED", None, None, "[why]", ()))
    screen = io.StringIO()
    Console(width=100, file=screen).print(watch.table(rows))
    text = screen.getvalue()
    assert "bad" in text
    assert "[why]" in text
    assert "and 11 more" in text
    assert watch.lines(rows[:1]) == "t0  succeeded    5 s  1.0 EECU-s"


def test_a_row_has_what_its_cost_is_made_of(made: Plan) -> None:
    task = made.tasks[0]
    entry = load_entry()
    watch.update(entry, {"name": "n", "metadata": {"state": "FAILED", "batchEecuUsageSeconds": 2.5, "progress": 0.5}})
    entry.renew()
    watch.update(entry, {"name": "m", "metadata": {"state": "RUNNING", "batchEecuUsageSeconds": 1.5}})
    (row,) = watch.rows([task], Manifest(Path(), "", {}, {task.name: entry}))
    assert (row.pixels, row.progress, row.eecu_s, row.earlier_eecu_s) == (task.pixels, None, 4.0, 2.5)


@pytest.mark.parametrize(
    ("states", "progress"),
    [
        ("SUCCEEDED SUCCEEDED", "done"),
        ("SUCCEEDED RUNNING", "not done"),
        ("UNSUBMITTED", "not done"),
        ("SOMETHING_NEW", "not done"),
        ("PENDING CANCELLED", "cancelled"),
        ("CANCELLING", "cancelled"),
        ("RUNNING FAILED CANCELLED", "failed"),
        ("SUCCEEDED FORGOTTEN", "failed"),
    ],
)
def test_how_far_tasks_are_together(states: str, progress: str) -> None:
    rows = [watch.Row(f"t{n}", "image", state, 5.0, 1800.0, "", ("u",)) for n, state in enumerate(states.split())]
    assert watch.progress_of(rows) == progress
    found = watch.document("demo", "drive:x", rows)
    assert (found["progress"], found["eecu_hours"], found["places"]) == (progress, 0.5 * len(rows), ["u"])
    assert sum(found["states"].values()) == len(found["tasks"]) == len(rows)
