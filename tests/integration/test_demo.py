"""The demo, two epochs long, and the single commands over what it leaves."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import ee
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

from cropcam.cli import main
from cropcam.model.documents import Demo, check

ROOT = Path(__file__).parents[2]


def run(*words: object) -> None:
    """One command in this process; it must end well."""
    assert main(list(map(str, words))) == 0
    ee.Reset()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    words = [sys.executable, ROOT / "cli.py", "demo", "--out", folder / "demo", "--epochs", "2", "--device", "cpu"]
    result = subprocess.run(list(map(str, words)), cwd=folder, capture_output=True, text=True, timeout=400, check=False)
    assert result.returncode == 0, result.stderr
    for stage in ("simulate", "export", "patches", "train", "evaluate", "map", "report"):
        assert re.search(rf"^{stage} +done in", result.stderr, re.MULTILINE), stage
    return folder / "demo"


def test_the_demo_leaves_everything(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = json.loads((demo / "run" / "metrics.json").read_text())
    run("describe", demo / "patches.zarr", "--json")
    facts = json.loads(capsys.readouterr().out)
    assert facts["patches"]["kept"] >= 400
    assert metrics["classification"]["majority_accuracy"] < 0.75  # the simulated labels say something
    assert metrics["classification"]["mean_auc"] > 0.6
    assert cog_validate(demo / "map.tif")[0]
    assert "<html" in (demo / "run" / "report.html").read_text()


def test_the_demo_again_changes_nothing(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in demo.glob("run/*.safetensors")} | {demo / "map.tif": (demo / "map.tif").read_bytes()}
    run("demo", "--out", demo, "--epochs", 2, "--device", "cpu", "--json")
    assert check(Demo, capsys.readouterr().out)["report"] == str(demo / "run" / "report.html")
    assert all(path.read_bytes() == content for path, content in before.items())


def test_export_and_map_as_single_commands_give_the_same_bytes(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    archive = tmp_path / "archive"  # its exports land beside it
    archive.symlink_to(demo / "archive")
    run("export", "demo", "--to", tmp_path / "shards", "--archive", archive)
    for name in ("image.tif", "labels.tif"):
        assert (tmp_path / "shards" / name).read_bytes() == (demo / "shards" / name).read_bytes()
    run("map", demo / "run", "--from", tmp_path / "shards", "--out", tmp_path / "map.tif", "--device", "cpu")
    with rasterio.open(tmp_path / "map.tif") as ours, rasterio.open(demo / "map.tif") as theirs:
        assert (ours.read(1) == theirs.read(1)).all()


def test_tasks_are_started_once_and_listed(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    archive = tmp_path / "archive"
    shutil.copytree(demo / "archive", archive, copy_function=lambda source, target: Path(target).hardlink_to(source))
    words = ("demo", "--to", "drive:crops", "--archive", archive)
    run("export", *words)
    assert "2 tasks: 2 succeeded" in capsys.readouterr().out
    run("export", *words)
    assert "submitted" not in capsys.readouterr().err
    run("tasks", *words)
    assert capsys.readouterr().out.count("succeeded") == 3
    run("patches", "demo", "--from", tmp_path / "archive-exports" / "drive" / "crops", "--store", tmp_path / "s.zarr")


def test_emulate_prints_its_url_and_stops_cleanly(demo: Path) -> None:
    words = [sys.executable, ROOT / "cli.py", "emulate", "--archive", demo / "archive", "--out", demo / "exports"]
    with subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert json.loads(urllib.request.urlopen(f"{url}/$discovery/rest?version=v1", timeout=20).read())["version"] == "v1"  # noqa: S310
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
