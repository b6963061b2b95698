"""The command line as a user meets it: exit codes, one line per error, nothing half-written, nothing heavy imported."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import rasterio
import xarray as xr
from rio_cogeo.cogeo import cog_validate

from cropcam.cli import main
from cropcam.pipeline.study.study import load_study
from support.answers import answered
from support.own_scene import GRID, STUDY, image_files, write_scene
from support.stores import make_store

ROOT = Path(__file__).parents[2]


def run(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    """cli.py in a process of its own."""
    return subprocess.run(
        [sys.executable, ROOT / "cli.py", *map(str, words)], capture_output=True, text=True, timeout=300, check=False, **options
    )  # type: ignore[call-overload, no-any-return]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scene")
    write_scene(folder)
    return folder


def images(scene: Path) -> list[str]:
    return list(map(str, image_files(scene)))


@pytest.fixture(scope="module")
def trained(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole way over own rasters, two epochs."""
    out = tmp_path_factory.mktemp("way")
    study = out / "mine.toml"
    study.write_text(STUDY)
    assert main(["patches", str(study), "--image", *images(scene), "--labels", str(scene / "cdl.tif"), "--store", str(out / "s.zarr")]) == 0
    assert main(["train", str(out / "s.zarr"), "--run", str(out / "run"), "--epochs", "2", "--device", "cpu"]) == 0
    assert main(["evaluate", str(out / "run"), "--save", str(out / "seg.zarr"), "--device", "cpu"]) == 0
    assert main(["map", str(out / "run"), "--image", *images(scene), "--out", str(out / "map.tif"), "--device", "cpu"]) == 0
    assert main(["report", str(out / "run")]) == 0
    return out


def test_the_whole_way_leaves_what_the_contract_says(trained: Path) -> None:
    metrics = json.loads((trained / "run" / "metrics.json").read_text())
    assert {"split", "patches", "labels", "classification", "segmentation"} <= set(metrics)
    methods = {"cam-argmax", "score-argmax", "spectral"}
    assert set(metrics["segmentation"]["methods"]) == methods
    assert metrics["segmentation"]["default"] == "spectral"
    with xr.open_zarr(trained / "seg.zarr") as saved:
        assert saved.sizes["patch"] == metrics["patches"]
    assert "<html" in (trained / "run" / "report.html").read_text()
    valid, errors, warnings = cog_validate(trained / "map.tif")
    assert (valid, errors, warnings) == (True, [], [])
    with rasterio.open(trained / "map.tif") as file:
        classes = file.read(1)
        assert tuple(file.transform)[:6] == GRID.transform
        assert file.colormap(1)[1][:3] == (255, 211, 0)
    assert (classes[:40, :60] == 255).all()
    assert (classes[40:, 60:] < 5).all()


def test_describe_json_is_the_contracts() -> None:
    result = run("describe", "corn-belt-2016", "--json")
    facts = json.loads(result.stdout)
    assert facts["study"] == "corn-belt-2016"
    assert {key: facts["grid"][key] for key in ("crs", "width", "height")} == {"crs": "EPSG:4326", "width": 29_685, "height": 16_697}
    assert facts["patches"] == {"size_px": 50, "columns": 593, "rows": 333, "count": 197_469}
    assert facts["bands"] == [f"SR_B{n}" for n in range(1, 8)]
    assert facts["classes"] == ["background", "corn", "soybean", "forest", "grassland"]


def test_describe_a_store(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", str(trained / "s.zarr"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert sum(facts["patches"]["splits"].values()) == facts["patches"]["kept"]
    assert sum(facts["class_share"].values()) == pytest.approx(1, abs=1e-4)
    assert main(["describe", str(trained / "s.zarr")]) == 0
    assert "training split" in capsys.readouterr().out


def test_help_fits_on_a_screen_and_imports_nothing_heavy() -> None:
    result = run("--help")
    assert result.returncode == 0
    assert len(result.stdout.splitlines()) <= 40
    code = "import sys; from cropcam import cli; cli._parser(); print(sorted({name.partition('.')[0] for name in sys.modules} & {'numpy', 'torch', 'xarray', 'rich', 'pandas', 'zarr', 'rasterio', 'ee'}))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "unwanted"),
    [
        (["describe", "demo"], {"torch", "matplotlib", "dask", "pandas", "xarray", "zarr", "rasterio"}),
        (["report", "none"], {"rasterio", "dask"}),
    ],
)
def test_commands_import_only_what_they_need(words: list[str], unwanted: set[str]) -> None:
    code = f"import sys; from cropcam import cli; cli.main({words!r}); print(sorted({{name.partition('.')[0] for name in sys.modules}} & {unwanted!r}))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip().endswith("[]")


BAD: list[tuple[list[str], int, str]] = [
    (["export", "demo", "--to", "drive:x", "--archive", "a", "--no-wait"], 2, "--no-wait needs an endpoint that outlives the command"),
    (
        ["map", "run", "--from", "shards", "--out", "m.tif", "--nodata", "7"],
        2,
        "go with --image; shards of an export have their own values",
    ),
    (["describe", "corn-belt-2o16"], 2, "did you mean corn-belt-2016"),
    (["map", "run", "--store", "s.zarr", "--out", "m.tif", "--scale", "7"], 2, "go with --image; a store has its own values"),
    (["map", "run", "--store", "s.zarr", "--image", "a.tif", "--out", "m.tif"], 2, "not allowed with argument"),
    (["patches", "demo", "--image", "none.tif", "--store", "s.zarr"], 3, "none.tif: no such file"),
    (["patches", "demo", "--from", ".", "--labels", "x", "--store", "s.zarr"], 2, "go with --image"),
    (["patches", "demo", "--image", "none.tif", "--labels", "none.tif", "--store", "s.zarr"], 3, "none.tif: no such file"),
    (["patches", "demo", "--from", "none", "--store", "s.zarr"], 3, "none: no such folder"),
    (["train", "none.zarr", "--run", "run"], 3, "none.zarr: no such store"),
    (["train", "none.zarr", "--run", "run", "--lr", "abc"], 2, "invalid float value"),
    (["evaluate", "none"], 3, "none: no run folder"),
    (["map", "none", "--image", "a.tif", "--out", "m.tif"], 3, "none: no run folder"),
    (["report", "none"], 3, "none"),
    (["nonsense"], 2, "invalid choice"),
    (["train", "s.zarr", "--run", "run", "--whiten"], 2, "--whiten was removed: nothing replaced it"),
    (["train", "s.zarr", "--run", "run", "--no-border-levels"], 2, "--no-border-levels was removed: nothing replaced it"),
    (["train", "s.zarr", "--run", "run", "--self-labels=1"], 2, "--self-labels was removed: use --pseudo-label-weight"),
    (["train", "s.zarr", "--run", "run", "--patience", "3"], 2, "--patience was removed: use cropcam.Settings(patience=...) in Python"),
    (["evaluate", "run", "--references"], 2, "--references was removed: train a run with --model trees and use cropcam compare"),
    ([], 2, "COMMAND"),
]


@pytest.mark.parametrize(("words", "code", "message"), BAD)
def test_errors_are_one_line_with_the_right_exit_code(
    words: list[str], code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        found = main(words)
    except SystemExit as stop:
        found = int(stop.code or 0)
    error = capsys.readouterr().err
    assert found == code
    assert message in error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_problems_of_a_study_are_lines_below_one_heading(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.toml"
    path.write_text('extends = "demo"\n[area]\nbound = 5\n[patchs]\n')
    assert main(["describe", str(path), "--set", "splits.folds=1"]) == 2
    assert capsys.readouterr().err == (
        f"cropcam: {path}: 3 problems\n  line 3: unknown key area.bound; did you mean bounds?\n  line 4: unknown key patchs; did you mean patches?\n"
        "  --set: splits.folds: 1 does not fit; it takes a whole number from 3, such as 5\n"
    )


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "none", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_debug_shows_earth_engines_whole_answer_after_the_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also of an error behind the one that is shown; without secrets, in the traceback too."""
    from cropcam.pipeline.earthengine.error_messages import Backoff, ServiceError

    whole = "Collection.reduceColumns: " + "band " * 200 + "Bearer ya29." + "x" * 30

    def refuse() -> None:
        raise answered(400, whole)

    def fail(_: object) -> None:
        """Fail in place of a command."""
        try:
            Backoff().call(refuse, "counting scenes")
        except ServiceError as error:
            raise ServiceError("1 task failed; run the same command again", "export") from error

    monkeypatch.setattr("cropcam.pipeline.commands.describe", fail)
    assert main(["describe", "demo"]) == 4
    assert capsys.readouterr().err == "cropcam: 1 task failed; run the same command again\n"
    assert main(["describe", "demo", "--debug"]) == 4
    error = capsys.readouterr().err
    head, line, raw = error.partition("cropcam: 1 task failed; run the same command again\n")
    assert line
    assert "Traceback" in head
    assert raw.startswith("Earth Engine's answer, whole:\ncounting scenes: HTTP 400\n")
    assert "band " * 200 in raw
    assert "ya29" not in error


def test_a_preset_is_no_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`demo` leaves a folder of its own name where it ran."""
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["describe", "demo"]) == 0
    assert "demo" in capsys.readouterr().out
    assert main(["describe", "./demo"]) == 3


@pytest.mark.parametrize("crs", ["+proj=utm +zone=15 +datum=WGS84 +units=m", "urn:ogc:def:crs:EPSG::5070"])
def test_a_grid_may_be_named_in_any_way_that_proj_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str], crs: str) -> None:
    (tmp_path / "study.toml").write_text(load_study("demo").to_toml().replace('"EPSG:5070"', f'"{crs}"').replace('"EPSG:4326"', f'"{crs}"'))
    assert main(["describe", str(tmp_path / "study.toml")]) == 0
    assert f"({crs[:21]}...)" in capsys.readouterr().out


def test_a_bug_says_so_and_exits_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("cropcam.pipeline.describe.of_study", lambda *_: 1 / 0)
    assert main(["describe", "demo"]) == 1
    error = capsys.readouterr().err
    assert "ZeroDivisionError" in error
    assert "this is a bug" in error


def test_a_store_of_another_study_is_refused(trained: Path, scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["patches", "demo", "--image", *images(scene), "--labels", str(scene / "cdl.tif"), "--store", str(trained / "s.zarr")]) == 3
    assert "made otherwise (area.bounds:" in capsys.readouterr().err


def test_a_corrupt_checkpoint_is_named(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import shutil

    copy = tmp_path / "run"
    shutil.copytree(trained / "run", copy)
    best = copy / "best.safetensors"
    best.write_bytes(best.read_bytes()[:1000])
    assert main(["evaluate", str(copy)]) == 3
    assert "best.safetensors: damaged checkpoint" in capsys.readouterr().err
    best.unlink()
    assert main(["evaluate", str(copy)]) == 3
    assert "best.safetensors: no checkpoint" in capsys.readouterr().err


def cutting(trained: Path, scene: Path, store: Path) -> list[object]:
    """The words that cut the scene into a store."""
    return ["patches", trained / "mine.toml", "--image", *images(scene), "--labels", scene / "cdl.tif", "--store", store]


@contextmanager
def small_disk() -> Iterator[None]:
    """As a full disk: no file may grow beyond 500 bytes, and the write is answered with an error."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("stage", ["patches", "train", "evaluate", "map"])
def test_a_full_disk_leaves_nothing_half_written(
    stage: str, trained: Path, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {
        "patches": cutting(trained, scene, tmp_path / "out.zarr"),
        "train": ["train", trained / "s.zarr", "--run", tmp_path / "out", "--epochs", "1", "--device", "cpu"],
        "evaluate": ["evaluate", trained / "run", "--save", tmp_path / "out.zarr", "--device", "cpu"],
        "map": ["map", trained / "run", "--image", *images(scene), "--out", tmp_path / "out.tif", "--device", "cpu"],
    }[stage]
    with small_disk():
        code = main(list(map(str, words)))
    error = capsys.readouterr().err
    assert code == 3, error
    assert "Traceback" not in error
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert not left & {"zarr.json", "out.tif", "last.safetensors", "best.safetensors"}, left


@pytest.mark.parametrize("stage", ["patches", "train", "map"])
def test_ctrl_c_is_130_and_the_next_run_completes(stage: str, trained: Path, scene: Path, tmp_path: Path) -> None:
    words = {
        "patches": cutting(trained, scene, tmp_path / "out.zarr"),
        "train": ["train", trained / "s.zarr", "--run", tmp_path / "out", "--epochs", "6", "--device", "cpu"],
        "map": ["map", trained / "run", "--image", *images(scene), "--out", tmp_path / "out.tif", "--device", "cpu"],
    }[stage]
    # where the tests run in the background, Ctrl-C is ignored, and by their processes too
    heard: dict[str, Any] = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(
        [sys.executable, ROOT / "cli.py", *map(str, words)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, **heard
    ) as process:
        assert process.stderr is not None
        process.stderr.readline()  # "started"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        error = process.stderr.read()
        code = process.wait(60)
    if " done in " in error:  # a quick stage: a signal while the interpreter closes ends it, which is 130 in a shell too
        assert code in (0, 130, -signal.SIGINT), error
    else:
        assert code == 130, error
        next_step = "again with --resume to go on" if stage == "train" else "again to go on"
        assert f"interrupted; nothing is half-written: run the same command {next_step}" in error
        assert not (tmp_path / "out.zarr" / "zarr.json").exists()
        assert not (tmp_path / "out.tif").exists()
    if stage == "train":
        words.append("--resume")
    assert main(list(map(str, words))) == 0
    assert not [path.name for path in tmp_path.rglob("*") if path.name.startswith(".")]
    if " done in " in error:
        pytest.skip(f"{stage} was done before the interrupt came: nothing was interrupted")


def test_two_writers_of_one_store(trained: Path, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from cropcam.pipeline.runtime.atomic import exclusive_lock

    with exclusive_lock(tmp_path / "s.zarr"):
        assert (
            main(
                [
                    "patches",
                    str(trained / "mine.toml"),
                    "--image",
                    *images(scene),
                    "--labels",
                    str(scene / "cdl.tif"),
                    "--store",
                    str(tmp_path / "s.zarr"),
                ]
            )
            == 3
        )
    assert "another process is writing it" in capsys.readouterr().err


def test_a_read_only_place(trained: Path, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("not a folder")
    code = main(
        [
            "patches",
            str(trained / "mine.toml"),
            "--image",
            *images(scene),
            "--labels",
            str(scene / "cdl.tif"),
            "--store",
            str(tmp_path / "file" / "s.zarr"),
        ]
    )
    assert code == 3
    assert "Traceback" not in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208


def test_simulated_stores_train_too_and_a_run_may_be_called_from_within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_store(tmp_path / "s.zarr", count=40, size_px=24)
    assert main(["train", str(tmp_path / "s.zarr"), "--run", str(tmp_path / "run"), "--epochs", "1", "--device", "cpu"]) == 0
    assert main(["train", str(tmp_path / "s.zarr"), "--run", str(tmp_path / "run"), "--epochs", "1"]) == 2  # a run is there
    monkeypatch.chdir(tmp_path / "run")
    assert main(["train", "../s.zarr", "--run", ".", "--resume", "--device", "cpu"]) == 0
    assert main(["evaluate", ".", "--device", "cpu"]) == 0


def test_a_run_and_its_store_may_move_together(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    shutil.copytree(trained / "run", tmp_path / "a" / "run")
    shutil.copytree(trained / "s.zarr", tmp_path / "a" / "s.zarr")
    monkeypatch.chdir("/")
    assert main(["evaluate", str(tmp_path / "a" / "run"), "--device", "cpu"]) == 0
    (tmp_path / "a" / "s.zarr").rename(tmp_path / "elsewhere.zarr")
    assert main(["evaluate", str(tmp_path / "a" / "run"), "--device", "cpu"]) == 3
    assert main(["evaluate", str(tmp_path / "a" / "run"), "--store", str(tmp_path / "elsewhere.zarr"), "--device", "cpu"]) == 0
