"""Looking at tasks: those that run at every look, those that wait in turn."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropcam.pipeline.earthengine import polling
from cropcam.pipeline.earthengine.manifest import load
from cropcam.pipeline.earthengine.plan import Plan
from cropcam.pipeline.earthengine.polling import MISSES, adopt, look_up, poll
from support.engines import FakeService, run_export

pytestmark = pytest.mark.usefixtures("transport")


def test_tasks_that_wait_are_asked_for_in_turn_and_those_that_run_always(made: Plan, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = FakeService()
    run_export(made, service, file, wait=False)
    manifest, asked = load(file, made, service), []
    monkeypatch.setattr(polling, "LOOKS", 3)
    service.__dict__["_moved"] = lambda operation: asked.append(operation["metadata"]["description"]) or dict(operation)
    running = made.tasks[5].name
    manifest.entries[running].state = service.held[manifest.entries[running].operation]["metadata"]["state"] = "RUNNING"
    turn = 0
    for _ in range(4):
        asked.clear()
        turn = poll(service, manifest, turn)
        assert len(asked) == 3
        assert asked[0].startswith(running)
        names = [text.rsplit("-", 2)[0] for text in asked[1:]]
        assert len(set(names)) == 2
    waiting = {task.name for task in made.tasks} - {running}
    assert len(waiting) == 7


def test_another_user_s_tasks_count_and_a_task_missing_in_the_list_is_asked_for(made: Plan, file: Path) -> None:
    service = FakeService()
    run_export(made, service, file, wait=False)
    service.held["projects/test/operations/other"] = {
        "name": "projects/test/operations/other",
        "requestId": "",
        "metadata": {"state": "PENDING", "description": "someone-else"},
    }
    service.hidden[:] = ["image-r00c00-"]
    manifest = load(file, made, service)
    assert adopt(made, service, manifest) == 1
    assert {entry.state for entry in manifest.entries.values()} == {"RUNNING"}


def test_an_answer_after_some_404_counts_anew(made: Plan, file: Path) -> None:
    service = FakeService()
    run_export(made, service, file, wait=False)
    entry = load(file, made, service).entries[made.tasks[0].name]
    for _ in range(MISSES - 1):
        service.unknown[:] = ["demo-"]
        look_up(entry, service)
    assert (entry.state, entry.misses) == ("PENDING", MISSES - 1)
    service.unknown.clear()
    look_up(entry, service)
    assert (entry.state, entry.misses) == ("RUNNING", 0)
    service.unknown[:] = ["demo-"]
    for _ in range(MISSES):
        look_up(entry, service)
    assert entry.state == "FORGOTTEN"
