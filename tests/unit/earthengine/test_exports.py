"""Exports against a service in memory: never twice, resumed, translated; the manifest and the service's list as witnesses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import ee
import pytest

from cropcam.pipeline.earthengine import export_run, exports
from cropcam.pipeline.earthengine import task_status as watch
from cropcam.pipeline.earthengine.destinations import Asset, CloudStorage, Drive
from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.earthengine.export_run import Pace
from cropcam.pipeline.earthengine.plan import Plan, plan
from cropcam.pipeline.errors import DataError, EarthEngineError
from cropcam.pipeline.study.study import parse_study
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


def test_equal_requests_have_equal_ids_and_no_others(made: Plan, tmp_path: Path) -> None:
    first, second, third, fourth = FakeService(), FakeService(), FakeService(), FakeService()
    run_export(made, first, tmp_path / "a.json")
    run_export(made, second, tmp_path / "b.json")
    run_export(plan(made.study, Drive("other"), cell_px=1024), third, tmp_path / "c.json")
    assert first.sent == second.sent
    run_export(plan(made.study, made.destination, cell_px=1024, priority=7), fourth, tmp_path / "d.json")
    assert not set(first.sent) & {*third.sent, *fourth.sent}


def in_bucket(made: Plan) -> Plan:
    """The same tasks to Cloud Storage, where none has to wait for the first."""
    return plan(made.study, CloudStorage("bucket", "a"), cell_px=1024)


def killed(made: Plan, service: FakeService, file: Path, *, arrived: bool) -> None:
    """An export whose process dies at its third request, which reached the service or did not."""
    export = FakeService.export

    def dies(request_id: str, body: Any, what: str) -> Any:
        if len(service.sent) < 2:
            return export(service, request_id, body, what)
        if arrived:
            export(service, request_id, body, what)
        raise KeyboardInterrupt

    service.__dict__["export"] = dies
    with pytest.raises(KeyboardInterrupt):
        run_export(made, service, file)
    del service.__dict__["export"]
    states = [task["state"] for export in json.loads(file.read_text())["exports"].values() for task in export["tasks"].values()]
    assert states.count("SUBMITTING") == 1


@pytest.mark.parametrize("arrived", [True, False])
@pytest.mark.parametrize("listed", [True, False])
def test_a_kill_between_request_and_manifest_submits_nothing_twice(made: Plan, file: Path, arrived: bool, listed: bool) -> None:
    service = FakeService()
    killed(made, service, file, arrived=arrived)
    service.hidden[:] = [] if listed else ["demo-"]  # the list is late
    other = plan(made.study, made.destination, cell_px=1024, priority=7)  # the request in doubt is sent again as it was
    run_export(other, service, file)
    assert len(service.held) == 8
    if arrived and not listed:
        assert service.sent[2] == service.sent[3]
    assert [operation["body"]["priority"]["value"] for operation in service.held.values()] == [100] * 3 + [7] * 5


def test_a_request_that_the_service_has_and_does_not_list_yet_is_left_in_doubt(made: Plan, file: Path) -> None:
    service = FakeService()
    killed(made, service, file, arrived=True)
    service.hidden[:] = ["demo-"]
    service.orders[:] = [ee.EEException("A task with this request ID exists; the request is not byte for byte identical.")]
    with pytest.raises(EarthEngineError, match="the service does not list it yet; run the same command again in some minutes"):
        run_export(made, service, file)
    service.hidden.clear()
    assert {row.state for row in run_export(made, service, file)} == {"SUCCEEDED"}
    assert len(service.held) == 8


def test_a_request_that_was_refused_is_made_anew(made: Plan, file: Path) -> None:
    service = FakeService()
    service.orders[:] = [ee.EEException("Invalid priority 100.")]
    with pytest.raises(EarthEngineError, match="Invalid priority 100"):
        run_export(made, service, file)
    run_export(plan(made.study, made.destination, cell_px=1024, priority=7), service, file)
    assert {operation["body"]["priority"]["value"] for operation in service.held.values()} == {7}


def test_the_list_is_read_once_and_the_tasks_are_asked_for_afterwards(made: Plan, file: Path) -> None:
    service = FakeService()
    run_export(made, service, file)
    assert service.looks == 1


def test_the_wait_grows_while_nothing_changes(made: Plan, file: Path) -> None:
    service, waits = FakeService(), []
    move = service._moved
    service.__dict__["_moved"] = lambda operation: move(operation) if len(waits) > 12 else dict(operation)
    run_export(made, service, file, pace=Pace(10.0, 60.0, waits.append))
    assert waits[:6] == [10.0, 15.0, 22.5, 33.75, 50.625, 60.0]
    assert max(waits) == 60.0


def test_a_state_the_client_does_not_know_is_waited_for(made: Plan, file: Path) -> None:
    service, seen = FakeService(), []
    move = service._moved

    def strange(operation: Any) -> Any:
        found = move(operation)
        if len(seen) < 6 and found["metadata"]["state"] == "RUNNING":
            found["metadata"]["state"] = "UNDER_REVIEW"
        return found

    service.__dict__["_moved"] = strange
    rows = run_export(made, service, file, view=lambda rows: seen.append(watch.summary(rows)))
    assert {row.state for row in rows} == {"SUCCEEDED"}
    assert any("under_review" in text for text in seen)


def test_one_404_is_early_and_five_make_a_task_forgotten_which_is_not_submitted_unasked(made: Plan, file: Path) -> None:
    service, looks = FakeService(), []

    def early(rows: Any) -> None:
        looks.append(rows)
        service.unknown[:] = ["image-r00c00"] if 10 < len(looks) < 13 else []

    run_export(made, service, file, view=early)
    assert len(service.sent) == 8
    run_export(made, service, file.with_name("again.json"), wait=False)
    service = FakeService()
    run_export(made, service, file.with_name("other.json"), wait=False)
    first = [operation["metadata"]["description"] for operation in service.held.values()][:1]
    service.unknown[:] = service.hidden[:] = first
    with pytest.raises(
        EarthEngineError,
        match=r"1 forgotten; missing: demo-image-r00c00 forgotten: .*look for its files at drive:folder, or run again with --again",
    ):
        run_export(made, service, file.with_name("other.json"))
    assert len(service.sent) == 8
    run_export(made, service, file.with_name("other.json"), again=True)
    assert len(service.sent) == 9


def test_without_waiting_a_forgotten_task_is_an_error_too(made: Plan, file: Path) -> None:
    service = FakeService()
    run_export(made, service, file, wait=False)
    service.unknown[:] = service.hidden[:] = ["image-r00c01"]
    for wait in (True, False):
        with pytest.raises(EarthEngineError, match=r"1 forgotten; missing: demo-image-r00c01 forgotten: .*run again with --again"):
            run_export(made, service, file, wait=wait)
    assert len(service.sent) == 8


@pytest.mark.parametrize(("arrived", "sent"), [(True, 8), (False, 9)])
def test_a_forgotten_task_is_looked_for_at_its_destination(made: Plan, file: Path, arrived: bool, sent: int) -> None:
    service = FakeService()
    run_export(made, service, file, wait=False)
    service.unknown[:] = service.hidden[:] = ["image-r00c00-"]
    with pytest.raises(EarthEngineError, match="1 forgotten"):
        run_export(made, service, file)
    asked = []

    def look(task: Any, entry: Any) -> bool:  # noqa: ARG001
        asked.append(task.name)
        service.unknown.clear()
        service.hidden.clear()
        return arrived

    rows = run_export(made, service, file, arrived=look)
    assert {row.state for row in rows} == {"SUCCEEDED"}
    assert (asked, len(service.sent)) == (["demo-image-r00c00"], sent)


def test_a_forgotten_task_that_the_service_knows_again_is_not_submitted_again(made: Plan, file: Path) -> None:
    service = FakeService()
    run_export(made, service, file, wait=False)
    service.unknown[:] = service.hidden[:] = ["image-r00c00-"]
    with pytest.raises(EarthEngineError, match="1 forgotten"):
        run_export(made, service, file)
    service.unknown.clear()  # the list stays late
    rows = run_export(made, service, file, arrived=lambda _task, _entry: False)
    assert {row.state for row in rows} == {"SUCCEEDED"}
    assert len(service.sent) == 8


def test_the_first_task_of_a_drive_folder_comes_alone(made: Plan, file: Path) -> None:
    service, seen, active = FakeService(), [], []
    run_export(made, service, file, view=lambda rows: seen.append([row.state for row in rows]))
    assert max(sum(map(watch.is_active, states)) for states in seen if "SUCCEEDED" not in states) == 1
    assert max(sum(map(watch.is_active, states)) for states in seen) == 7
    first = next(iter(service.held.values()))["metadata"]["description"]
    assert first.startswith("demo-labels-")  # the smallest
    run_export(in_bucket(made), FakeService(), file, view=lambda rows: active.append(sum(watch.is_active(row.state) for row in rows)))
    assert max(active) == 8


def test_a_task_short_of_memory_is_computed_in_smaller_tiles(made: Plan, file: Path) -> None:
    service, lines = FakeService(**{"image-r00c00": "User memory limit exceeded."}), []
    with pytest.raises(EarthEngineError, match="7 succeeded, 1 failed"):
        run_export(made, service, file, log=lines.append)
    tiles = [
        operation["body"]["fileExportOptions"]["geoTiffOptions"].get("tileSize", {}).get("value", 256)
        for operation in service.held.values()
        if "image-r00c00" in operation["metadata"]["description"]
    ]
    assert tiles == [256, 128, 64]
    service = FakeService(image="User memory limit exceeded.")  # all at once: none is halved for the failure of another
    with pytest.raises(EarthEngineError, match="4 succeeded, 4 failed"):
        run_export(in_bucket(made), service, file, log=lines.append)
    asked = [operation["body"] for operation in service.held.values() if "image-" in operation["metadata"]["description"]]
    sides = [body["fileExportOptions"]["geoTiffOptions"].get("tileSize", {}).get("value", 256) for body in asked]
    assert sorted(sides) == [64] * 4 + [128] * 4 + [256] * 4
    assert sum("trying again in tiles of" in line for line in lines) == 2 + 8


def test_cancelling_goes_on_after_a_refusal_and_names_it(made: Plan, file: Path) -> None:
    service = FakeService()
    run_export(made, service, file, wait=False)
    stubborn = next(iter(service.held))
    cancel, move = service.cancel, service._moved

    def refuse(name: str) -> None:
        if name == stubborn:
            raise ServiceError("cancelling: not now", "refused")
        cancel(name)

    service.__dict__.update(cancel=refuse, _moved=lambda operation: dict(operation) if operation["name"] == stubborn else move(operation))
    with pytest.raises(EarthEngineError, match=r"demo-image-r00c00 is not cancelled: cancelling: not now\. The others are"):
        exports.cancel(made, service, file)
    assert {operation["metadata"]["state"] for name, operation in service.held.items() if name != stubborn} == {"CANCELLED"}
    service.__dict__["_moved"] = move  # it ends meanwhile: its refusal is no error
    service.held[stubborn]["metadata"]["state"] = "SUCCEEDED"
    exports.cancel(made, service, file)


def test_cancelling_needs_no_manifest_of_one_s_own_while_another_process_watches(made: Plan, file: Path) -> None:
    service, seen = FakeService(), []

    def cancelled_from_elsewhere(rows: Any) -> None:
        seen.append(rows)
        if len(service.held) == 8 and len(seen) < 30:
            seen.extend([rows] * 30)
            exports.cancel(in_bucket(made), service, file)

    with pytest.raises(EarthEngineError, match="cancelled; missing: "):
        run_export(in_bucket(made), service, file, view=cancelled_from_elsewhere)
    assert len(service.sent) == 8


def test_an_asset_that_exists_is_replaced_only_when_named_to(made: Plan, file: Path) -> None:
    service, name = FakeService(), "projects/test/assets/corn"
    service.assets[name] = {"name": name}
    with pytest.raises(EarthEngineError, match="projects/test/assets/corn: this asset exists; choose another name, or give --overwrite"):
        run_export(plan(made.study, Asset("corn")), service, file)
    assert service.sent == []
    (row,) = run_export(plan(made.study, Asset("corn"), overwrite=True), service, file)
    assert (row.task, row.state) == ("demo-image", "SUCCEEDED")
    run_export(plan(made.study, Asset("corn")), service, file)
    assert len(service.sent) == 1
    values = made.study.to_dict()
    values["image"]["cloud_cover_max_pct"] = 40.0
    changed = parse_study(values)
    with pytest.raises(
        DataError, match=r"already holds an export of a changed study or of other cells .*; choose another one, or give --overwrite"
    ):
        run_export(plan(changed, Asset("corn")), service, file)
    run_export(plan(changed, Asset("corn"), overwrite=True), service, file)
    service.assets.clear()
    run_export(plan(changed, Asset("corn")), service, file)  # deleted meanwhile: written again
    assert len(service.sent) == 3
    service.assets[name] = {"properties": {"cropcam_graph": "of another study"}}  # replaced meanwhile
    with pytest.raises(EarthEngineError, match="projects/test/assets/corn: this asset exists"):
        run_export(plan(changed, Asset("corn")), service, file)
    run_export(plan(changed, Asset("corn"), overwrite=True), service, file)
    run_export(plan(changed, Asset("corn")), service, file)
    assert len(service.sent) == 4


def test_the_services_list_is_enough_when_the_manifest_is_lost(made: Plan, file: Path) -> None:
    service = FakeService()
    run_export(made, service, file)
    file.unlink()
    run_export(made, service, file)
    assert len(service.sent) == 8


def test_passing_failures_are_tried_again_under_a_new_request_id(made: Plan, file: Path) -> None:
    service = FakeService(**{"image-r00c01": "Internal error."})
    with pytest.raises(
        EarthEngineError, match=r"8 tasks: 7 succeeded, 1 failed; missing: demo-image-r00c01 failed: .*Internal error"
    ) as caught:
        run_export(made, service, file)
    assert "run the same command again for the rest" in str(caught.value)
    assert len(service.sent) == len(set(service.sent)) == 10
    service.states.clear()
    assert {row.state for row in run_export(made, service, file)} == {"SUCCEEDED"}


def test_a_final_failure_stops_submitting_and_is_explained(made: Plan, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_run, "WAITING_LIMIT", 2)
    made = in_bucket(made)
    service = FakeService(image="Computation timed out.")
    with pytest.raises(
        EarthEngineError,
        match=r"8 tasks: 6 unsubmitted, 2 failed; missing: .*Computation timed out: ",
    ):
        run_export(made, service, file)
    assert len(service.sent) == 2


def test_a_refused_submission_keeps_what_runs_and_is_explained(made: Plan, file: Path) -> None:
    made = in_bucket(made)
    service = FakeService()
    service.orders[:] = [None, None, ee.EEException("Permission 'earthengine.exports.create' denied.")]
    with pytest.raises(
        EarthEngineError,
        match=r"submitting demo-image-r01c00: Permission .* 8 tasks: 2 succeeded, 6 unsubmitted; missing: demo-image-r01c00 unsubmitted",
    ):
        run_export(made, service, file)
    assert {row.state for row in run_export(made, service, file)} == {"SUCCEEDED"}


def test_the_queue_is_never_filled_beyond_its_bounds(made: Plan, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_run, "WAITING_LIMIT", 3)
    service = FakeService()
    most = []
    run_export(made, service, file, view=lambda rows: most.append(sum(watch.is_active(row.state) for row in rows)))
    assert max(most) == 3
    said: list[str] = []
    run_export(made, FakeService(), file.with_name("some.json"), wait=False, log=said.append)
    assert said[-1] == "5 tasks are not submitted yet: run the same command again later"
    full = FakeService()
    full.orders[:] = [None, ee.EEException("Too many tasks already in the queue (3000).")]
    assert {row.state for row in run_export(made, full, file.with_name("full.json"))} == {"SUCCEEDED"}


def test_an_export_waits_for_room_in_a_queue_that_others_fill(made: Plan, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_run, "QUEUE_LIMIT", 4)
    service, waits = FakeService(), []
    others = [f"projects/test/operations/other{number}" for number in range(4)]
    for name in others:
        service.held[name] = {"name": name, "requestId": "", "metadata": {"state": "PENDING", "description": "someone-else"}, "body": {}}
    move = service._moved
    service.__dict__["_moved"] = lambda operation: dict(operation) if operation["name"] in others else move(operation)

    def wait(seconds: float) -> None:
        waits.append(seconds)
        assert len(waits) < 100, "the export does not notice that the queue has room"
        if len(waits) == 3:
            assert service.sent == []
            service.held.pop(others.pop())

    rows = run_export(made, service, file, pace=Pace(1.0, 1.0, wait))
    assert {row.state for row in rows} == {"SUCCEEDED"}


def test_no_wait_returns_after_starting_and_tasks_and_cancel_act_on_the_same(made: Plan, file: Path) -> None:
    service = FakeService()
    rows = run_export(made, service, file, wait=False)
    assert {row.state for row in rows} == {"PENDING"}
    before = file.read_bytes()
    assert {row.state for row in exports.tasks(made, service, file)} == {"RUNNING"}
    assert file.read_bytes() == before
    assert {row.state for row in exports.cancel(made, service, file)} <= {"CANCELLED", "CANCELLING", "SUCCEEDED"}


def test_a_follower_sees_the_tasks_that_another_process_submits(made: Plan, file: Path) -> None:
    service = FakeService()
    look = exports.follow(made, service, file)
    assert {row.state for row in look()} == {"UNSUBMITTED"}
    run_export(made, service, file, wait=False)
    assert {row.state for row in look()} == {"RUNNING"}
    looks = service.looks
    before = file.read_bytes()
    assert {row.state for row in look()} == {"SUCCEEDED"}
    assert (service.looks, file.read_bytes()) == (looks, before)  # neither the list nor the manifest


def test_cancelled_tasks_are_missing_and_start_anew_with_the_next_run(made: Plan, file: Path) -> None:
    made = in_bucket(made)
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
