"""The core without extras: own rasters the whole way, and the line to type of every command and option that needs more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cropcam.pipeline.extras import COMMANDS
from support.own_scene import STUDY, image_files, write_scene

ROOT = Path(__file__).parents[2]
NEEDY = {
    "demo": ["demo", "--out", "demo"],
    "emulate": ["emulate", "--archive", "archive"],
    "export": ["export", "demo", "--to", "shards", "--archive", "archive"],
    "tasks": ["tasks", "demo", "--to", "drive:crops", "--archive", "archive"],
    "fetch": ["fetch", "demo", "--from", "drive:crops", "--to", "home"],
    "preview": ["preview", "demo", "--out", "page.html"],
    "compare": ["compare", "run", "run"],
    "report": ["report", "run"],
    "view": ["view", "map.tif"],
}
OPTIONS = {
    "cluster": (["patches", "mine.toml", "--image", "IMAGE", "--store", "t.zarr", "--scheduler", "tcp://127.0.0.1:1"], "--scheduler needs distributed"),
    "trees": (["train", "s.zarr", "--run", "run2", "--labels", "pixels", "--model", "trees"], "--model trees needs lightgbm"),
    "tensorboard": (["train", "s.zarr", "--run", "run3", "--epochs", "1", "--tensorboard"], "--tensorboard needs tensorboard"),
    "export": (["export-model", "run", "--to", "m.onnx"], "writing ONNX needs onnx and onnxscript and onnxruntime"),
    "report": (["check", "s.zarr", "--out", "s.png"], "--out s.png: the picture of the splits needs matplotlib"),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("core")
    write_scene(folder)
    (folder / "mine.toml").write_text(STUDY)
    return folder


@pytest.fixture(scope="module")
def outcomes(folder: Path) -> dict[str, dict[str, Any]]:
    """Every command in one process in which no extra is found: its exit code and what it printed, by its words."""
    image = [path.name for path in image_files(folder)]
    commands = [
        ["describe", "mine.toml"],
        ["patches", "mine.toml", "--image", *image, "--labels", "cdl.tif", "--store", "s.zarr"],
        ["describe", "s.zarr"],
        ["check", "s.zarr"],
        ["train", "s.zarr", "--run", "run", "--epochs", "1", "--device", "cpu"],
        ["evaluate", "run", "--device", "cpu"],
        ["map", "run", "--image", *image, "--out", "map.tif", "--polygons", "map.gpkg", "--device", "cpu"],
        ["area", "map.tif"],
        ["sample", "map.tif", "--out", "points.csv"],
        *NEEDY.values(),
        *([part for word in words for part in (image if word == "IMAGE" else [word])] for words, _ in OPTIONS.values()),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    result = subprocess.run(
        [sys.executable, "-m", "support.bare"], input=json.dumps(commands), cwd=folder, env=environment, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return {" ".join(outcome["words"]): outcome for outcome in json.loads(result.stdout)}


def of(outcomes: dict[str, dict[str, Any]], start: str) -> dict[str, Any]:
    return next(outcome for words, outcome in outcomes.items() if words.startswith(start))


@pytest.mark.parametrize(
    "start", ["describe mine.toml", "patches mine.toml", "describe s.zarr", "check s.zarr", "train s.zarr --run run --", "evaluate", "map", "area", "sample"]
)  # fmt: skip
def test_own_rasters_go_the_whole_way(outcomes: dict[str, dict[str, Any]], start: str) -> None:
    outcome = of(outcomes, start)
    assert outcome["code"] == 0, outcome["err"]


def test_check_draws_no_picture_and_gives_the_line(outcomes: dict[str, dict[str, Any]], folder: Path) -> None:
    outcome = of(outcomes, "check s.zarr")
    assert "s.zarr: sound" in outcome["out"]
    assert "note: the picture of the splits needs matplotlib; install with: pip install 'cropcam[report]'" in outcome["err"]
    assert not (folder / "s-splits.png").exists()


def test_every_command_that_needs_an_extra_is_tried() -> None:
    assert set(NEEDY) == set(COMMANDS)


@pytest.mark.parametrize("name", NEEDY)
def test_a_command_that_needs_an_extra_gives_the_line_to_type(outcomes: dict[str, dict[str, Any]], folder: Path, name: str) -> None:
    outcome = outcomes[" ".join(NEEDY[name])]
    assert outcome["code"] == 2
    assert outcome["out"] == ""
    (line,) = outcome["err"].splitlines()
    assert line.startswith(f"cropcam: cropcam {name} needs ")
    assert line.endswith(f"; install with: pip install 'cropcam[{','.join(COMMANDS[name])}]'")
    assert not {"demo", "shards", "home", "page.html", "comparison"} & {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("extra", OPTIONS)
def test_an_option_that_needs_an_extra_gives_the_line_to_type(outcomes: dict[str, dict[str, Any]], folder: Path, extra: str) -> None:
    words, text = OPTIONS[extra]
    outcome = next(one for one in outcomes.values() if (one["words"][0], one["words"][-1]) == (words[0], words[-1]))
    assert outcome["code"] == 2, outcome["err"]
    assert outcome["err"].splitlines()[-1].startswith(f"cropcam: {text}")
    assert f"; install with: pip install 'cropcam[{extra}]'" in outcome["err"]
    assert not {"t.zarr", "m.onnx", "s.png"} & {path.name for path in folder.iterdir()}
