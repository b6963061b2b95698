"""Exports by the command line over the embedded engine: a region, an asset, a limit of compute, the way home."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ee
import numpy as np
import pytest

from cropcam.cli import main
from cropcam.model.documents import Delivered, ExportPlan, Failure, Fetch, Preview, Tasks, check
from cropcam.pipeline.emulator import Fault, Faults, serve
from cropcam.pipeline.grid import Window
from cropcam.pipeline.rasters.export_shards import open_shards
from cropcam.pipeline.study.study import Study
from support import scenes

ROOT = Path(__file__).parents[2]
CELL_PX = 256


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write_archive(tmp_path_factory.mktemp("commands") / "archive")


@pytest.fixture(autouse=True)
def _reset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    ee.Reset()


def wide(**area: Any) -> Study:
    """742 x 297 px: 3 x 2 cells of 256 px, with counts."""
    return scenes.study(area={"bounds": [-90.1, 40.98, -89.9, 41.06], **area}, image={"count": True})


def region() -> str:
    """A triangle in the first and the second cell of the first row."""
    grid = wide().grid
    a, _, c, _, e, f = grid.transform
    corners = [[c + a * x, f + e * y] for x, y in ((200, 120), (450, 150), (340, 230), (200, 120))]
    return json.dumps({"type": "Polygon", "coordinates": [corners]})


def run(archive: Path, *words: object) -> int:
    return main([*map(str, words), "--archive", str(archive)])


def write(study: Study) -> Path:
    path = Path("mine.toml")
    path.write_text(study.to_toml(), "utf-8")
    return path


def pixels(folder: str, study: Study) -> tuple[np.ndarray, np.ndarray]:
    image, labels = open_shards(Path(folder), study)
    assert labels is not None
    whole = Window(0, 0, *study.grid.shape_yx)
    return image.read(whole), labels.read(whole)


def test_a_region_plans_its_cells_alone_and_both_ways_give_the_same_pixels(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    everywhere, study = wide(), wide(region=region())
    path = write(study)
    assert run(archive, "export", path, "--to", "drive:part", "--cell-px", CELL_PX, "--fetch", "home") == 0
    assert sorted(file.name for file in Path("home").iterdir()) == [
        f"demo-{layer}-r00c0{col}.tif" for layer in ("image", "labels") for col in (0, 1)
    ]
    assert run(archive, "export", path, "--to", "folder", "--window-px", CELL_PX, "--shard-px", CELL_PX) == 0
    assert len(list(Path("folder").glob("*.tif"))) == 4
    assert run(archive, "export", path, "--to", "one", "--window-px", CELL_PX) == 0  # one shard, of whose windows four are empty
    assert run(archive, "export", write(everywhere), "--to", "whole", "--window-px", CELL_PX) == 0
    image, labels = pixels("home", study)
    for folder in ("folder", "one"):
        for mine, other in zip((image, labels), pixels(folder, study), strict=True):
            assert np.array_equal(mine, other)
    whole_image, whole_labels = pixels("whole", everywhere)
    inside = (image != 0).any(0)
    assert 0 < inside.mean() < 0.2
    assert np.array_equal(image[:, inside], whole_image[:, inside])
    assert not image[:, :, 512:].any()
    assert np.array_equal(labels[inside], whole_labels[inside])
    capsys.readouterr()
    (Path("home") / "demo-image-r00c01.tif").unlink()
    assert main(["patches", str(write(study)), "--from", "home", "--store", "s.zarr"]) == 3
    assert "pixels lie in no" in capsys.readouterr().err


def test_a_composite_kept_as_an_asset_is_read_by_later_exports(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = wide()
    path = write(study)
    assert run(archive, "export", path, "--to", "computed", "--window-px", CELL_PX) == 0
    assert run(archive, "export", path, "--to", "asset:folder/map") == 4
    assert "earthengine create folder projects/embedded/assets/folder" in capsys.readouterr().err
    assert run(archive, "export", path, "--to", "asset:map") == 0
    printed = capsys.readouterr()
    assert "https://code.earthengine.google.com/?asset=projects/embedded/assets/map" in printed.out
    for words in (("--to", "folder", "--window-px", CELL_PX), ("--to", "drive:kept", "--fetch", "home")):
        assert run(archive, "export", path, *words) == 0
        assert "the composite is read from projects/embedded/assets/map" in capsys.readouterr().err
    for folder in ("folder", "home"):
        for one, other in zip(pixels(folder, study), pixels("computed", study), strict=True):
            assert np.array_equal(one, other)
    bodies = [json.loads(file.read_text())["body"] for file in archive.with_name("archive-exports").glob("operations/*.json")]
    (kept,) = [
        body for body in bodies if body.get("fileExportOptions", {}).get("driveDestination", {}).get("filenamePrefix") == "demo-image"
    ]
    assert "ImageCollection.load" not in json.dumps(kept["expression"])
    other = write(wide(region=region()))
    Path("mine.exports.json").unlink()
    assert run(archive, "export", other, "--to", "asset:map") == 4
    assert "this asset exists; choose another name, or give --overwrite" in capsys.readouterr().err
    assert run(archive, "export", other, "--to", "asset:map", "--overwrite") == 0


def test_a_limit_below_what_is_spent_is_refused_with_both_numbers(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(wide())
    assert run(archive, "export", path, "--to", "gs://bucket-1/limit", "--cell-px", CELL_PX, "--max-eecu-hours", "0.00000001") == 4
    assert "a further task would pass the limit" in capsys.readouterr().err
    assert run(archive, "export", path, "--to", "gs://bucket-1/limit", "--cell-px", CELL_PX, "--max-eecu-hours", "0.00000001") == 2
    assert "--max-eecu-hours 1e-08: this export has used" in capsys.readouterr().err
    assert run(archive, "export", path, "--to", "gs://bucket-1/limit", "--cell-px", CELL_PX, "--max-eecu-hours", "10") == 0
    assert run(archive, "tasks", path, "--to", "gs://bucket-1/limit", "--cell-px", CELL_PX) == 0
    assert "EECU-hours: " in capsys.readouterr().out


def test_the_next_command_that_export_prints_works(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(wide())
    assert run(archive, "export", path, "--to", "drive:a folder") == 0
    (line,) = [text for text in capsys.readouterr().out.splitlines() if text.startswith("next: ")]
    words = shlex.split(line.removeprefix("next: cropcam "))
    assert main(words) == 0
    assert len(pixels("shards", wide())) == 2


def test_a_preview_by_the_command_line_has_the_composite_as_a_layer(archive: Path) -> None:
    with serve(archive) as server:  # in a process of its own: geemap's maps differ where a notebook's were imported before
        words = ["preview", str(write(wide())), "--out", "page.html", "--api-url", server.url, "--json"]
        made = subprocess.run([sys.executable, ROOT / "cli.py", *words], check=True, timeout=200, capture_output=True, text=True)
    assert check(Preview, made.stdout) == {"study": "demo", "page": "page.html"}
    assert "composite 2016-05-01 to 2016-10-01" in Path("page.html").read_text("utf-8")


def told(capsys: pytest.CaptureFixture[str], kind: Any, code: int, *words: object) -> Any:
    """The object that a command prints with --json, checked against its type."""
    assert main([*map(str, words), "--json", "-q"]) == code
    found = capsys.readouterr()
    assert bool(found.err) is (kind is Failure), found.err
    return check(kind, found.out)


def test_tasks_has_an_exit_code_for_not_done_yet_and_one_for_failed(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(wide())
    slow, to = Faults.of(Fault("export:run", "slow", count=50, seconds=0.3)), (path, "--to", "gs://bucket-1/state")
    with serve(archive, out=tmp_path / "engine", faults=slow) as server:
        export = (*to, "--api-url", server.url, "--project", "p")
        found = told(capsys, Tasks, 5, "tasks", *export)
        assert (found["progress"], found["states"]) == ("not done", {"unsubmitted": 2})
        assert told(capsys, Tasks, 0, "export", *export, "--no-wait")["progress"] == "not done"
        assert main(["tasks", *map(str, export)]) == 5
        assert capsys.readouterr().out.splitlines()[-1].startswith("next: cropcam tasks mine.toml --to gs://bucket-1/state --project p")
        assert told(capsys, Tasks, 0, "tasks", *export, "--cancel")["progress"] == "cancelled"
        assert main(["tasks", *map(str, export)]) == 4
        assert capsys.readouterr().out.splitlines()[-1].startswith("next: cropcam export mine.toml --to gs://bucket-1/state --project p")


def test_tasks_that_failed_and_tasks_that_are_done(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(wide())
    with serve(archive, out=tmp_path / "engine", faults=Faults.of(Fault("export:run", "timeout"))) as server:
        export = (path, "--to", "gs://bucket-1/state", "--api-url", server.url, "--project", "p")
        assert told(capsys, Failure, 4, "export", *export)["exit_code"] == 4
        assert told(capsys, Tasks, 4, "tasks", *export)["states"]["failed"] == 1
        assert told(capsys, Tasks, 0, "export", *export)["progress"] == "done"
        assert told(capsys, Tasks, 0, "tasks", *export)["states"] == {"succeeded": 2}


def test_objects_of_the_commands_that_speak_to_the_service(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, engine = write(wide()), ("--archive", archive)
    planned = told(capsys, ExportPlan, 0, "export", path, "--to", "drive:x", "--dry-run")
    assert (planned["files"], len(planned["tasks"]), planned["estimate"]) == (2, 2, None)
    assert planned["pixels"] == sum(task["pixels"] for task in planned["tasks"])
    planned = told(capsys, ExportPlan, 0, "export", path, "--to", "folder", "--dry-run", "--estimate", *engine)
    assert planned["requests"] == sum(layer["requests"] for layer in planned["layers"])
    assert planned["estimate"]["eecu_hours"] > 0
    assert told(capsys, Delivered, 0, "export", path, "--to", "folder", *engine)["files"] == ["folder/image.tif", "folder/labels.tif"]
    found = told(capsys, Tasks, 0, "export", path, "--to", "drive:x", "--fetch", "home", *engine)
    assert (found["fetched"]["files"], found["fetched"]["folder"]) == (2, "home")
    home = told(capsys, Fetch, 0, "fetch", path, "--from", "drive:x", "--to", "home2", *engine)
    assert (home["files"], home["fetched"], home["bytes"]) == (2, 2, found["fetched"]["bytes"])
    assert told(capsys, Failure, 3, "fetch", path, "--from", "drive:y", "--to", "home3", *engine)["exit_code"] == 3


def test_settings_are_said_once(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(wide())
    monkeypatch.setenv("CROPCAM_WORKERS", "3")
    Path("cropcam.toml").write_text(f'archive = "{archive}"\nproject = "mine"\ndevice = "cpu"\n')
    assert main(["export", str(path), "--to", "folder", "-v"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert f"archive = {archive} ({tmp_path / 'cropcam.toml'}, line 1)" in lines
    assert "workers = 3 (the variable CROPCAM_WORKERS)" in lines
    assert not [line for line in lines if line.startswith("device")]
    Path("cropcam.toml").write_text('projct = "mine"\n')
    assert main(["describe", "demo"]) == 2
    assert capsys.readouterr().err == f"cropcam: {tmp_path / 'cropcam.toml'}, line 1: unknown key projct; did you mean project?\n"
