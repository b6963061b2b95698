"""The live test with an embedded engine in the service's place: the same questions, smaller claims."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ee
import numpy as np
import pytest

from cropcam.pipeline.earthengine.destinations import CloudStorage, Drive
from cropcam.pipeline.earthengine.error_messages import Backoff
from cropcam.pipeline.earthengine.session import open_session
from cropcam.pipeline.emulator import Fault, Faults, serve
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.study.study import Study, parse_study
from live.__main__ import main
from live.archive import DEGREES_PX, SIDE_PX, iowa, iowa_many
from live.export_points import EXPORTS
from live.pixel_points import PIXELS
from live.points import Answer, Point, Verdict, differences, pixels_agree, same
from live.report import Report, Row
from live.run import POINTS, run
from live.side import Budget, Side
from live.task_points import TASKS
from support import scenes

OBSERVATIONS = 151
STAMP = "20260101-000000"
NOT_RELIED_ON = ("coarse", "outsets", "project", "no-bucket", "bill")
DESTINATIONS = (Drive("crops-of-someone"), CloudStorage("bucket-of-someone", "live"))
SECRETS = ("project-of-someone", "crops-of-someone", "bucket-of-someone")


def small() -> Study:
    """300 x 300 px around the scenes of the other tests."""
    side = SIDE_PX * DEGREES_PX
    values = scenes.study(area={"bounds": [-90.04, 40.97, -90.04 + side + 1e-9, 40.97 + side + 1e-9]}).to_dict()
    values["study"]["name"] = "live-test"
    return parse_study(values)


def small_many() -> Study:
    """4 x 4 px in the scenes' corner, with all of 2017."""
    values = small().to_dict()
    side = 4 * DEGREES_PX
    values["area"] |= {"bounds": [-90.004, 41.0, -90.004 + side + 1e-9, 41.0 + side + 1e-9]}
    values["image"] |= {"seasons": [["2017-01-01", "2018-01-01"]], "bands": ["SR_B4"]}
    del values["labels"], values["classes"]
    return parse_study(values)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scenes of the other tests, a large one, and 151 small ones of another year, of whose pixels one in a hundred is masked."""
    folder = scenes.write_archive(tmp_path_factory.mktemp("scenes"))
    a, b, c, d, e, f = scenes.EAST.transform
    large = PixelGrid(scenes.EAST.crs, (a, b, c - 40 * a, d, e, f - 40 * e), 330, 340)  # coarse levels begin above 256 px
    scenes.write_scene(folder, f"{scenes.LANDSAT}/LC08_0", "2016-06-01", large, 200)
    rng = np.random.default_rng(0)
    grid = scenes.EAST.window(Window(40, 20, 60, 60))
    for number in range(OBSERVATIONS):
        asset = f"MANY_{number:03d}"
        bands = {
            "SR_B4": rng.integers(1, 65536, grid.shape_yx),
            "QA_PIXEL": np.where(rng.random(grid.shape_yx) < 0.01, 1, 64),
            "QA_RADSAT": np.zeros(grid.shape_yx),
        }
        day = scenes.millis(f"2017-{number % 12 + 1:02d}-{number % 28 + 1:02d}")
        properties = {"system:time_start": day, "system:index": asset, "CLOUD_COVER": 1.0}
        scenes.write_asset(
            folder / scenes.LANDSAT / asset, {name: v.astype(np.uint16) for name, v in bands.items()}, grid, {"SR_B4": 0}, **properties
        )
    return folder


@pytest.fixture(autouse=True)
def _reset() -> Iterator[None]:
    yield
    ee.Reset()


@pytest.fixture
def live(archive: Path, tmp_path: Path) -> Callable[..., tuple[Report, dict[str, Any]]]:
    """Run a live test with an engine over `archive` as the service; the report and its JSON."""

    def started(
        budget: Budget | None = None, points: Sequence[Point] = POINTS, faults: Faults | None = None, **changes: Any
    ) -> tuple[Report, dict[str, Any]]:
        made: dict[str, Any] = {
            "study": small(),
            "many": small_many(),
            "destinations": DESTINATIONS,
            "poll_s": 0.05,
            "stamp": STAMP,
        } | changes
        report = Report("https://earthengine.googleapis.com", "2026-01-01T00:00:00Z", SECRETS)
        with serve(archive, out=tmp_path / "service-exports", faults=faults) as server:
            session = open_session("project-of-someone", server.url, backoff=Backoff(attempts=3, sleep=lambda _: None))
            service = Side(session, folder=tmp_path / "service", budget=budget or Budget(), **made)

            @contextmanager
            def embedded() -> Iterator[Side]:
                with serve(tmp_path / "archive", out=tmp_path / "embedded-exports") as own:
                    yield Side(open_session("local", own.url), folder=tmp_path / "embedded", budget=Budget(), **made)

            run(service, embedded, tmp_path / "archive", report, tmp_path / "report.json", print, points)
        return report, json.loads((tmp_path / "report.json").read_text("utf-8"))

    return started


def row_of(report: Report, name: str) -> Row:
    return next(row for row in report.rows if row.name == name)


def test_an_engine_in_the_services_place_answers_every_question_as_the_engine_does(live: Any) -> None:
    report, written = live()
    assert report.summary() == {
        "hold": [point.name for point in POINTS if point.name not in NOT_RELIED_ON],
        "do not hold": [],
        "differ from the embedded engine": [],
        "without an answer": [],
    }
    assert row_of(report, "many").service["most observations"] == OBSERVATIONS
    assert row_of(report, "drive").service["rows and columns"] == row_of(report, "bucket").service["rows and columns"] == [SIDE_PX, SIDE_PX]
    assert row_of(report, "cancel").service["state"] == "CANCELLED"
    assert len(row_of(report, "shards").service["files"]) == 4
    assert row_of(report, "home").service["files"] == 2
    assert row_of(report, "bill").service["billed EECU-s"] > 0
    assert row_of(report, "texts").notes["other kind"] == {}
    assert written["spent"]["tasks left running"] == 0
    assert 0 < written["spent"]["eecu_s"] < Budget().eecu_s
    text = json.dumps(written)
    assert not [secret for secret in SECRETS if secret in text]
    assert [point["name"] for point in written["points"]] == [*(point.name for point in POINTS), "archive", "archive-many"]
    assert report.is_good


def test_a_budget_that_is_used_up_leaves_out_the_rest_and_says_so(live: Any) -> None:
    report, written = live(Budget(eecu_s=6.0), PIXELS)
    assert row_of(report, "scenes").status == "skipped: budget (EECU)"
    assert row_of(report, "project").status == "skipped: budget (EECU)"
    report, _ = live(Budget(seconds=89.0), PIXELS)
    assert row_of(report, "many").status == "skipped: budget (time)"
    assert row_of(report, "scenes").holds is True
    assert written["summary"]["hold"] == []


def test_without_a_bucket_its_questions_are_left_out(live: Any) -> None:
    report, _ = live(
        points=[point for point in POINTS if point.name in ("bucket", "same-request", "no-bucket", "drive")], destinations=DESTINATIONS[:1]
    )
    assert row_of(report, "bucket").status == row_of(report, "no-bucket").status == "skipped: no bucket"
    assert row_of(report, "same-request").holds is True


def test_a_question_that_fails_does_not_stop_the_others(live: Any) -> None:
    def broken(_: Side) -> Answer:
        raise ee.EEException("no answer for you@example.com with ya29." + "x" * 30)

    points = [Point("broken", "Does it go on?", broken, pixels_agree), *PIXELS[:1]]
    report, written = live(points=points)
    assert row_of(report, "broken").status.startswith("failed: EEException: no answer for ")
    assert row_of(report, "scenes").holds is True
    assert "example.com" not in json.dumps(written)
    assert "ya29" not in json.dumps(written)


def test_tasks_that_fail_at_the_service_are_in_the_report_with_its_words(live: Any) -> None:
    faults = Faults.of(Fault("export:run", "memory", count=100))
    report, written = live(points=[*EXPORTS, *TASKS], faults=faults, destinations=DESTINATIONS[1:])
    bucket = row_of(report, "bucket")
    assert (bucket.holds, bucket.equal) == (False, False)
    assert bucket.service["error"]["message"] == "User memory limit exceeded."
    assert {"bucket", "shards"} <= set(written["summary"]["do not hold"])
    assert "User memory limit exceeded" in row_of(report, "home").status + json.dumps(row_of(report, "home").service)
    assert row_of(report, "same-request").holds is True
    assert row_of(report, "drive").status == "skipped: no Drive folder"


def test_a_service_with_words_and_habits_of_its_own_is_told_from_the_engine(live: Any) -> None:
    faults = Faults.of(
        Fault("request_id:same", "same_request", count=100),
        Fault("request_id:other", "other_request", count=100),
        Fault("operations", "late", count=1),
        Fault("cancel", "ends", count=1),
    )
    wanted = ("drive", "listing", "same-request", "other-request", "cancel")
    report, _ = live(points=[point for point in POINTS if point.name in wanted], faults=faults)
    assert report.summary()["do not hold"] == []
    same_request = row_of(report, "same-request")
    assert (same_request.holds, same_request.equal, same_request.service["status"]) == (True, False, 409)
    assert "byte for byte identical" in row_of(report, "other-request").service["text"]
    assert row_of(report, "listing").service["looks"] > 1


def test_answers_that_differ_are_told_from_those_that_break_something() -> None:
    rng = np.random.default_rng(0)
    ours = rng.integers(0, 60_000, (100, 100))
    one = ours.copy()
    one[50, 50] = ours[50, 51]  # a centre that fell into the pixel beside
    found = differences(one, ours)
    assert (found["differ"], found["not from a neighbour"], found["where"]) == (1, 0, [[0, 50, 50]])
    assert pixels_agree({"arrays": {"a": one}}, {"arrays": {"a": ours}}) == Verdict(False, True, {"a": found})
    other = ours.copy()
    other[50, 50] += 60_001  # a value that is nowhere near
    assert pixels_agree({"arrays": {"a": other}}, {"arrays": {"a": ours}}).holds is False
    shifted = np.roll(ours, 1, axis=1)
    assert pixels_agree({"arrays": {"a": shifted}}, {"arrays": {"a": ours}}).holds is False
    assert differences(ours[1:], ours)["share equal"] == 0
    assert same("a", needed=lambda answer: answer["a"] == 1)({"a": 1, "b": 2}, {"a": 1, "b": 3}) == Verdict(True, True, {})
    assert same(needed=lambda answer: answer["a"] == 1)({"a": 2, "seconds": 1}, {"a": 1, "seconds": 2}) == Verdict(
        False, False, {"different": ["a"]}
    )


def test_the_command_line_reports_also_where_the_service_has_nothing(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole of `make live`, but for the endpoint: an engine without a scene in Iowa."""
    with serve(archive, out=tmp_path / "exports") as server:

        def opened(project: str, url: str | None = None, **_: Any) -> Any:
            return open_session(project, url or server.url, backoff=Backoff(attempts=2, sleep=lambda _: None), client_retries=0)

        monkeypatch.setattr("live.__main__.open_session", opened)
        out = tmp_path / "live-report.json"
        assert main(["--project", "project-of-someone", "--bucket", "bucket-of-someone", "--out", str(out)]) == 1
    written = json.loads(out.read_text("utf-8"))
    assert {"scenes", "drive", "bucket"} <= {*written["summary"]["do not hold"], *written["summary"]["without an answer"]}
    assert "of-someone" not in out.read_text("utf-8")
    assert "do not hold: " in capsys.readouterr().out


def test_without_a_project_what_is_needed_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    printed = capsys.readouterr().out
    assert "make live PROJECT=my-project" in printed
    assert "at most 15 minutes and 0.5 EECU-hours" in printed


def test_the_real_studies_are_what_the_questions_need() -> None:
    assert iowa("live-1").grid.shape_yx == (SIDE_PX, SIDE_PX)
    assert iowa("live-1").image.count
    assert iowa_many().grid.shape_yx == (8, 8)
    assert sum(point.eecu_s for point in POINTS) < 2 * Budget().eecu_s
