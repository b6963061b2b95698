"""Exports against a service in memory: never twice, resumed, translated; the manifest and the service's list as witnesses."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ee
import pytest
from rich.console import Console

from cropcam.pipeline.earthengine import exports
from cropcam.pipeline.earthengine import task_status as watch
from cropcam.pipeline.earthengine.destinations import CloudStorage, Drive
from cropcam.pipeline.earthengine.exports import Pace
from cropcam.pipeline.earthengine.graphs import graph
from cropcam.pipeline.earthengine.manifest import load, manifest_path, open_manifest
from cropcam.pipeline.earthengine.plan import Plan, plan
from cropcam.pipeline.earthengine.session import HIGH_VOLUME_URL, STANDARD_URL
from cropcam.pipeline.earthengine.task_request import request_of
from cropcam.pipeline.errors import DataError, EarthEngineError
from cropcam.pipeline.study.study import load_study, parse_study
from support.engines import FakeService, offline

PACE = Pace(0.0, lambda _: None)


@pytest.fixture(autouse=True)
def _client() -> Iterator[None]:
    with offline():
        yield


@pytest.fixture
def made() -> Plan:
    return plan(load_study("demo"), Drive("folder"), cell_px=1024)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "demo.exports.json"


def run(made: Plan, service: FakeService, file: Path, **options: Any) -> list[watch.Row]:
    return exports.export(made, service, file, pace=PACE, **options)


def test_every_task_is_submitted_once_watched_and_found_done_by_the_next_run(made: Plan, file: Path) -> None:
    service, seen, said = FakeService(), [], []
    rows = run(made, service, file, view=lambda rows: seen.append(watch.summary(rows)), log=said.append)
    assert [row.state for row in rows] == ["SUCCEEDED"] * 8
    assert (rows[0].seconds, rows[0].eecu_s) == (90.0, 2.5)
    assert len(service.sent) == len(set(service.sent)) == 8
    assert all(re.fullmatch(r"[A-Za-z0-9-]{1,60}", request_id) for request_id in service.sent)
    descriptions = [operation["metadata"]["description"] for operation in service.held.values()]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,100}", text) for text in descriptions)
    assert seen[-1] == "8 tasks: 8 succeeded"
    assert said[0] == "scenes per season: 5"
    run(made, service, file)
    assert len(service.sent) == 8


def test_request_ids_depend_on_pixels_and_place_alone(made: Plan, tmp_path: Path) -> None:
    first, second, third = FakeService(), FakeService(), FakeService()
    run(made, first, tmp_path / "a.json")
    run(made, second, tmp_path / "b.json")
    run(plan(made.study, Drive("other"), cell_px=1024), third, tmp_path / "c.json")
    assert first.sent == second.sent
    assert not set(first.sent) & set(third.sent)


@pytest.mark.parametrize("arrived", [True, False])
def test_a_kill_between_request_and_manifest_submits_nothing_twice(made: Plan, file: Path, arrived: bool) -> None:
    service = FakeService()
    service.orders[:] = [None, None, KeyboardInterrupt() if arrived else None]
    if arrived:
        with pytest.raises(KeyboardInterrupt):
            run(made, service, file)
    else:
        save, service.orders[:] = service.export, []

        def dies(*_: Any) -> Any:
            raise KeyboardInterrupt

        service.__dict__["export"] = lambda *given: save(*given) if len(service.sent) < 2 else dies()
        with pytest.raises(KeyboardInterrupt):
            run(made, service, file)
        service.__dict__["export"] = save
    states = [task["state"] for export in json.loads(file.read_text())["exports"].values() for task in export["tasks"].values()]
    assert states.count("SUBMITTING") == 1
    run(made, service, file)
    assert len(service.held) == len(service.sent) == 8


def test_the_services_list_is_enough_when_the_manifest_is_lost(made: Plan, file: Path) -> None:
    service = FakeService()
    run(made, service, file)
    file.unlink()
    run(made, service, file)
    assert len(service.sent) == 8


def test_a_request_the_list_does_not_show_yet_is_found_by_its_request_id(made: Plan, file: Path) -> None:
    service = FakeService()
    service.orders[:] = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        run(made, service, file)
    late, listed = service.operations, []

    def operations() -> list[dict[str, Any]]:
        listed.append(1)
        return [] if len(listed) == 1 else late()

    service.__dict__["operations"] = operations
    run(made, service, file)
    assert len(service.held) == 8


def test_passing_failures_are_tried_again_under_a_new_request_id(made: Plan, file: Path) -> None:
    service = FakeService(**{"image-r00c01": "Internal error."})
    with pytest.raises(
        EarthEngineError, match=r"8 tasks: 7 succeeded, 1 failed; missing: demo-image-r00c01 failed: .*Internal error"
    ) as caught:
        run(made, service, file)
    assert "run the same command again for the rest" in str(caught.value)
    again = [request_id for request_id in service.sent if service.sent.count(request_id) == 1 and request_id[-1] != "0"]
    assert len(again) == 2
    service.states.clear()
    assert {row.state for row in run(made, service, file)} == {"SUCCEEDED"}


def test_a_final_failure_stops_submitting_and_is_explained(made: Plan, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "WAITING_LIMIT", 2)
    service = FakeService(image="User memory limit exceeded.")
    with pytest.raises(
        EarthEngineError,
        match=r"8 tasks: 6 unsubmitted, 2 failed; missing: .*User memory limit exceeded: the computation needs more memory",
    ):
        run(made, service, file)
    assert len(service.sent) == 2


def test_a_refused_submission_keeps_what_runs_and_is_explained(made: Plan, file: Path) -> None:
    service = FakeService()
    service.orders[:] = [None, None, ee.EEException("Permission 'earthengine.exports.create' denied.")]
    with pytest.raises(
        EarthEngineError,
        match=r"submitting demo-image-r01c00: Permission .* 8 tasks: 2 succeeded, 6 unsubmitted; missing: demo-image-r01c00 unsubmitted",
    ):
        run(made, service, file)
    assert {row.state for row in run(made, service, file)} == {"SUCCEEDED"}


def test_the_queue_is_never_filled_beyond_its_bounds(made: Plan, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "WAITING_LIMIT", 3)
    service = FakeService()
    most = []
    run(made, service, file, view=lambda rows: most.append(sum(row.state in watch.ACTIVE for row in rows)))
    assert max(most) == 3
    full = FakeService()
    full.orders[:] = [None, ee.EEException("Too many tasks already in the queue (3000).")]
    assert {row.state for row in run(made, full, file.with_name("full.json"))} == {"SUCCEEDED"}


def test_no_wait_returns_after_starting_and_tasks_and_cancel_act_on_the_same(made: Plan, file: Path) -> None:
    service = FakeService()
    rows = run(made, service, file, wait=False)
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
        run(made, service, file, view=someone_cancels)
    assert {row.state for row in run(made, service, file)} == {"SUCCEEDED"}
    assert len(service.sent) == 9


def test_a_season_without_scenes_is_named_before_anything_starts(made: Plan, file: Path) -> None:
    service = FakeService()
    service.__dict__["scenes"] = 0
    with pytest.raises(EarthEngineError, match="no scene of LANDSAT/LC08/C02/T1_L2 from 2016-05-01 to 2016-10-01 meets the area"):
        run(made, service, file)
    assert service.sent == []


def test_an_export_of_a_changed_study_to_the_same_place_is_refused(made: Plan, file: Path) -> None:
    service = FakeService()
    run(made, service, file)
    values = made.study.to_dict()
    values["image"]["cloud_cover_max_pct"] = 40.0
    changed = plan(parse_study(values), made.destination, cell_px=1024)
    with pytest.raises(
        DataError, match=r"drive:folder already holds an export of a changed study \(image.cloud_cover_max_pct: 100.0 against 40.0\)"
    ):
        run(changed, service, file)
    with pytest.raises(DataError, match="cell_px: 1024 against 512"):
        run(plan(made.study, made.destination, cell_px=512), service, file)
    values = made.study.to_dict()
    values["patches"]["size_px"] = 25
    run(plan(parse_study(values), made.destination, cell_px=1024), service, file)
    assert len(service.sent) == 8


def at(name: str, api_url: str = "http://127.0.0.1:1") -> FakeService:
    service = FakeService()
    service.__dict__.update(name=name, api_url=api_url)
    return service


def test_engines_over_two_archives_are_two_places_and_the_service_is_one(made: Plan, file: Path) -> None:
    values = made.study.to_dict()
    values["image"]["cloud_cover_max_pct"] = 40.0
    changed = plan(parse_study(values), made.destination, cell_px=1024)
    run(made, at("archive:/data/one"), file)
    run(made, at("archive:/data/one", "http://127.0.0.1:2"), file)  # another port, the same engine
    assert len(json.loads(file.read_text())["exports"]) == 1
    run(changed, at("archive:/data/two"), file)
    run(made, at("", STANDARD_URL), file)
    for elsewhere in (HIGH_VOLUME_URL, "http://127.0.0.1:3"):  # the service by another URL; perhaps an engine over one of those archives
        with pytest.raises(DataError, match="already holds an export of a changed study"):
            run(changed, at("", elsewhere), file)


def test_manifests_of_another_study_damaged_or_held_are_refused(made: Plan, file: Path) -> None:
    service = FakeService()
    with (
        open_manifest(file, made, service),
        pytest.raises(DataError, match="another process is writing it"),
        open_manifest(file, made, service),
    ):
        pass
    file.write_text('{"schema_version": 1, "study": "else", "exports": {}}')
    with pytest.raises(DataError, match=r"the manifest of another study \(study.name: 'else' against 'demo'\)"):
        load(file, made, service)
    file.write_text('{"schema_version": 9, "study": "demo", "exports": {}}')
    with pytest.raises(DataError, match="manifest version 9"):
        load(file, made, service)
    file.write_text('{"schema_ver')
    with pytest.raises(DataError, match="a damaged export manifest"):
        load(file, made, service)


def test_manifests_lie_beside_the_study_file_and_presets_in_the_working_directory() -> None:
    assert manifest_path("demo") == Path("demo.exports.json")
    assert manifest_path("studies/mine.toml") == Path("studies/mine.exports.json")


@pytest.mark.parametrize("destination", [Drive("my folder"), CloudStorage("bucket", "a/b")])
def test_a_request_names_grid_region_size_and_place(made: Plan, destination: Any) -> None:
    made = plan(load_study("corn-belt-2016-albers"), destination)
    task = made.tasks[5]
    body = request_of(made, task, graph(made.study, "image"))
    options = body["fileExportOptions"]
    assert options["geoTiffOptions"] == {"noData": {"floatValue": 0}, "tileDimensions": {"width": 8192, "height": 8192}}
    assert body["maxPixels"] == {"value": str(task.max_pixels)}
    assert body["priority"] == {"value": 100}
    if isinstance(destination, Drive):
        assert options["driveDestination"] == {"folder": "my folder", "filenamePrefix": task.name}
    else:
        assert options["cloudStorageDestination"] == {"bucket": "bucket", "filenamePrefix": f"a/b/{task.name}"}
    encoded = json.dumps(ee.serializer.encode(body["expression"]))
    assert '"Image.reproject"' in encoded
    assert json.dumps(list(made.study.grid.window(task.cell).transform)) in encoded
    assert "clipToBoundsAndScale" not in encoded


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
