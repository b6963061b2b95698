"""The estimate of an export against what the embedded engine then counts for its tasks, in units that do not depend on the machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ee
import pytest

from cropcam.cli import main
from cropcam.pipeline.earthengine import exports
from cropcam.pipeline.earthengine.cost import spent, workload_tag
from cropcam.pipeline.earthengine.destinations import parse_destination
from cropcam.pipeline.earthengine.estimate import estimate
from cropcam.pipeline.earthengine.export_run import Options, Pace
from cropcam.pipeline.earthengine.plan import plan
from cropcam.pipeline.earthengine.session import open_session
from cropcam.pipeline.emulator import Fault, Faults, block_reader, serve, service
from cropcam.pipeline.emulator.block_reader import Block
from cropcam.pipeline.study.study import load_study
from support import scenes

BOUNDS = (-90.15, 40.9, -89.85, 41.1)  # 1,113 x 742 px
STUDY = """
[study]
name = "Costly"
[area]
bounds = [-90.15, 40.9, -89.85, 41.1]
[image]
bands = ["SR_B4", "SR_B5"]
seasons = [["2016-05-01", "2016-10-01"]]
[labels]
asset = "USDA/NASS/CDL/2016"
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    file = tmp_path / "costly.toml"
    file.write_text(STUDY)
    return file


@pytest.fixture
def _counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine counts 1 ms a pixel and band in the west of the study, growing to 3 ms in its east: large against CPU times."""
    evaluate = block_reader._evaluate

    def counted(image: Any, grid: Any, window: Any, *more: Any) -> Block:
        block = evaluate(image, grid, window, *more)
        west, _, east, _ = grid.window(window).bounds_xyxy
        place = ((west + east) / 2 - BOUNDS[0]) / (BOUNDS[2] - BOUNDS[0])
        return block._replace(cpu_s=1e-3 * (1 + 2 * place) * block.values.size)

    monkeypatch.setattr(block_reader, "_evaluate", counted)


def hours_of(text: str) -> dict[str, tuple[float, float, float]]:
    """EECU-hours, lowest and highest, by layer."""
    lines = [line.split() for line in text.splitlines()]
    start = next(number for number, line in enumerate(lines) if line[:1] == ["layer"])
    return {line[0]: (float(line[1]), float(line[2]), float(line[4])) for line in lines[start + 1 : start + 4]}


@pytest.mark.usefixtures("_counted")
def test_an_estimate_is_near_what_the_tasks_report(
    archive: Path, study_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", str(study_file), "--to", "drive:x", "--dry-run"]
    assert main(command) == 0
    planned = capsys.readouterr().out
    assert main([*command, "--estimate", "--archive", str(archive)]) == 0
    found = capsys.readouterr().out
    assert found.startswith(planned.partition("next: ")[0])
    assert "no estimate has been compared with a bill yet" in found
    assert not list(tmp_path.glob("*.exports.json"))
    with serve(archive, out=tmp_path / "engine") as server:
        session = open_session("p", server.url)
        made = plan(load_study(str(study_file)), parse_destination("drive:x"))
        rows = exports.export(made, session, tmp_path / "m.json", Options(pace=Pace(0.02)))
    ee.Reset()
    estimates = hours_of(found)
    for row in rows:
        hours, low, high = estimates[row.layer]
        assert row.eecu_s is not None
        assert hours == pytest.approx(row.eecu_s / 3_600, rel=0.1)
        assert low < row.eecu_s / 3_600 < high
    assert estimates["together"][0] == pytest.approx(spent(rows), rel=0.1)


@pytest.mark.usefixtures("_counted")
def test_an_estimate_of_a_folder_is_of_its_whole_grid(
    archive: Path, study_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "shards"
    assert main(["export", str(study_file), "--to", str(out), "--dry-run", "--estimate", "--archive", str(archive)]) == 0
    assert hours_of(capsys.readouterr().out)["image"][0] == pytest.approx(1_113 * 742 * 2 * 2e-3 / 3_600, rel=0.1)
    assert not out.exists()


def test_an_estimate_alone_is_refused(study_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(study_file), "--to", "drive:x", "--estimate"]) == 2
    assert "--estimate goes with --dry-run" in capsys.readouterr().err


@pytest.mark.usefixtures("_counted")
def test_a_window_that_the_engine_refuses_is_halved(archive: Path) -> None:
    study = scenes.study()
    with serve(archive, faults=Faults(is_open=True)) as server:
        session = open_session("p", server.url, client_retries=0)
        server._http.faults.order(
            [vars(Fault("image:computePixels", kind="memory", count=2, after=1))]
        )  # the first is the pixel of the preflight
        made = estimate(study, session, {"image": 1, "labels": 1})
    ee.Reset()
    assert {layer.layer: layer.samples[0].pixels for layer in made.layers} == {"image": 64 * 64, "labels": 80 * 89}


def test_every_request_that_computes_carries_the_tag_of_its_study(
    archive: Path, study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies, read = [], service.expression_of

    def noted(body: Any) -> Any:
        bodies.append(body)
        return read(body)

    monkeypatch.setattr(service, "expression_of", noted)
    assert main(["export", str(study_file), "--to", str(tmp_path / "shards"), "--archive", str(archive)]) == 0
    assert len(bodies) > 3  # the numbers of scenes, and the windows
    assert {body["workloadTag"] for body in bodies} == {"cropcam-costly"}
    with serve(archive, out=tmp_path / "engine") as server:
        session = open_session("p", server.url, workload_tag=workload_tag("Costly"))
        made = plan(load_study(str(study_file)), parse_destination("drive:x"))
        exports.export(made, session, tmp_path / "m.json", Options(pace=Pace(0.02)))
        bodies.clear()
        open_session("p", server.url).value(ee.Number(1), "one")  # another study's, without a tag
    ee.Reset()
    assert "workloadTag" not in bodies[0]
    tasks = [json.loads(file.read_text())["body"] for file in (tmp_path / "engine" / "operations").glob("*.json")]
    assert [body["workloadTag"] for body in tasks] == ["cropcam-costly"] * 2


def test_an_estimate_reads_the_composite_that_is_kept(archive: Path, study_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study_file.write_text(STUDY.replace("Costly", "kept").replace(str(list(BOUNDS)), "[-90.012, 41.0, -89.988, 41.0216]"))
    endpoint = ["--archive", str(archive), "--project", "my-project"]
    assert main(["export", str(study_file), "--to", "asset:kept", *endpoint]) == 0
    capsys.readouterr()
    for destination, is_read in (("drive:x", True), ("asset:kept", False)):
        assert main(["export", str(study_file), "--to", destination, "--dry-run", "--estimate", *endpoint]) == 0
        found = capsys.readouterr()
        assert ("the composite is read from projects/my-project/assets/kept" in found.err) is is_read
        assert "EECU-hours" in found.out
