"""Exports against a service in memory: never twice, resumed, translated; the manifest and the service's list as witnesses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import ee
import pytest

from cropcam.pipeline.earthengine import exports
from cropcam.pipeline.earthengine import task_status as watch
from cropcam.pipeline.earthengine.destinations import Drive
from cropcam.pipeline.earthengine.plan import Plan, plan
from cropcam.pipeline.errors import EarthEngineError
from support.engines import FakeService, run_export

pytestmark = pytest.mark.usefixtures("transport")


def test_every_task_is_submitted_once_watched_and_found_done_by_the_next_run(made: Plan, file: Path) -> None:
    service, seen, lines = FakeService(), [], []
    rows = run_export(made, service, file, view=lambda rows: seen.append(watch.summary(rows)), log=lines.append)
    assert [row.state for row in rows] == ["SUCCEEDED"] * 8
    assert (rows[0].seconds, rows[0].eecu_s) == (90.0, 2.5)
    assert len(service.sent) == len(set(service.sent)) == 8
    assert all(re.fullmatch(r"[A-Za-z0-9-]{1,60}", request_id) for request_id in service.sent)
    descriptions = [operation["metadata"]["description"] for operation in service.held.values()]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,100}", text) for text in descriptions)
    assert seen[-1] == "8 tasks: 8 succeeded"
    assert lines[0] == "scenes per season: 5"
    run_export(made, service, file)
    assert len(service.sent) == 8


def test_request_ids_depend_on_pixels_and_place_alone(made: Plan, tmp_path: Path) -> None:
    first, second, third = FakeService(), FakeService(), FakeService()
    run_export(made, first, tmp_path / "a.json")
    run_export(made, second, tmp_path / "b.json")
    run_export(plan(made.study, Drive("other"), cell_px=1024), third, tmp_path / "c.json")
    assert first.sent == second.sent
    assert not set(first.sent) & set(third.sent)


@pytest.mark.parametrize("arrived", [True, False])
def test_a_kill_between_request_and_manifest_submits_nothing_twice(made: Plan, file: Path, arrived: bool) -> None:
    service = FakeService()
    service.orders[:] = [None, None, KeyboardInterrupt() if arrived else None]
    if arrived:
        with pytest.raises(KeyboardInterrupt):
            run_export(made, service, file)
    else:
        save, service.orders[:] = service.export, []

        def dies(*_: Any) -> Any:
            raise KeyboardInterrupt

        service.__dict__["export"] = lambda *given: save(*given) if len(service.sent) < 2 else dies()
        with pytest.raises(KeyboardInterrupt):
            run_export(made, service, file)
        service.__dict__["export"] = save
    states = [task["state"] for export in json.loads(file.read_text())["exports"].values() for task in export["tasks"].values()]
    assert states.count("SUBMITTING") == 1
    run_export(made, service, file)
    assert len(service.held) == len(service.sent) == 8


def test_the_services_list_is_enough_when_the_manifest_is_lost(made: Plan, file: Path) -> None:
    service = FakeService()
    run_export(made, service, file)
    file.unlink()
    run_export(made, service, file)
    assert len(service.sent) == 8


def test_a_request_the_list_does_not_show_yet_is_found_by_its_request_id(made: Plan, file: Path) -> None:
    service = FakeService()
    service.orders[:] = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        run_export(made, service, file)
    late, listed = service.operations, []

    def operations() -> list[dict[str, Any]]:
        listed.append(1)
        return [] if len(listed) == 1 else late()

    service.__dict__["operations"] = operations
    run_export(made, service, file)
    assert len(service.held) == 8


def test_passing_failures_are_tried_again_under_a_new_request_id(made: Plan, file: Path) -> None:
    service = FakeService(**{"image-r00c01": "Internal error."})
    with pytest.raises(
        EarthEngineError, match=r"8 tasks: 7 succeeded, 1 failed; missing: demo-image-r00c01 failed: .*Internal error"
    ) as caught:
        run_export(made, service, file)
    assert "run the same command again for the rest" in str(caught.value)
    again = [request_id for request_id in service.sent if service.sent.count(request_id) == 1 and request_id[-1] != "0"]
    assert len(again) == 2
    service.states.clear()
    assert {row.state for row in run_export(made, service, file)} == {"SUCCEEDED"}


def test_a_final_failure_stops_submitting_and_is_explained(made: Plan, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "WAITING_LIMIT", 2)
    service = FakeService(image="User memory limit exceeded.")
    with pytest.raises(
        EarthEngineError,
        match=r"8 tasks: 6 unsubmitted, 2 failed; missing: .*User memory limit exceeded: the computation needs more memory",
    ):
        run_export(made, service, file)
    assert len(service.sent) == 2


def test_a_refused_submission_keeps_what_runs_and_is_explained(made: Plan, file: Path) -> None:
    service = FakeService()
    service.orders[:] = [None, None, ee.EEException("Permission 'earthengine.exports.create' denied.")]
    with pytest.raises(
        EarthEngineError,
        match=r"submitting demo-image-r01c00: Permission .* 8 tasks: 2 succeeded, 6 unsubmitted; missing: demo-image-r01c00 unsubmitted",
    ):
        run_export(made, service, file)
    assert {row.state for row in run_export(made, service, file)} == {"SUCCEEDED"}


def test_the_queue_is_never_filled_beyond_its_bounds(made: Plan, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "WAITING_LIMIT", 3)
    service = FakeService()
    most = []
    run_export(made, service, file, view=lambda rows: most.append(sum(watch.is_active(row.state) for row in rows)))
    assert max(most) == 3
    full = FakeService()
    full.orders[:] = [None, ee.EEException("Too many tasks already in the queue (3000).")]
    assert {row.state for row in run_export(made, full, file.with_name("full.json"))} == {"SUCCEEDED"}


def test_no_wait_returns_after_starting_and_tasks_and_cancel_act_on_the_same(made: Plan, file: Path) -> None:
    service = FakeService()
    rows = run_export(made, service, file, wait=False)
    assert {row.state for row in rows} == {"PENDING"}
    before = file.read_bytes()
    assert {row.state for row in exports.tasks(made, service, file)} == {"RUNNING"}
    assert file.read_bytes() == before
    assert {row.state for row in exports.cancel(made, service, file)} <= {"CANCELLED", "CANCELLING", "SUCCEEDED"}


def test_cancelled_tasks_are_missing_and_start_anew_with_the_next_run(made: Plan, file: Path) -> None:
    service = FakeService()

    def someone_cancels(rows: Any) -> None:
        if len(service.held) == 8 and rows[0].state == "PENDING":
            service.cancel(next(iter(service.held)))

    with pytest.raises(EarthEngineError, match="7 succeeded, 1 cancelled; missing: demo-image-r00c00 cancelled"):
        run_export(made, service, file, view=someone_cancels)
    assert {row.state for row in run_export(made, service, file)} == {"SUCCEEDED"}
    assert len(service.sent) == 9


def test_a_season_without_scenes_is_named_before_anything_starts(made: Plan, file: Path) -> None:
    service = FakeService()
    service.__dict__["scenes"] = 0
    with pytest.raises(EarthEngineError, match="no scene of LANDSAT/LC08/C02/T1_L2 from 2016-05-01 to 2016-10-01 meets the area"):
        run_export(made, service, file)
    assert service.sent == []
