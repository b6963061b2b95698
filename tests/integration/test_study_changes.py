"""A study with changes through the commands: what is made records it whole; the loop over years in the docs."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from cropcam.cli import main
from cropcam.model.documents import Simulate, check
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.study.study import load_study

DOCS = Path(__file__).parents[2] / "docs" / "study.md"
CHANGES = [
    "study.name=small-2017", "area.bounds=[-90.03, 40.99, -90.0, 41.02]", "image.seasons=[[2017-05-01, 2017-10-01]]",
    "labels.asset=USDA/NASS/CDL/2017", "patches.size_px=16", "splits.block_patches=[1, 1]", "splits.method=random",
]  # fmt: skip


def test_every_command_takes_the_changed_study_and_what_it_makes_records_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["demo", *(word for text in CHANGES for word in ("--set", text))]
    study = load_study("demo", CHANGES)
    assert main(["simulate", *words, "--archive", "archive", "--json"]) == 0
    assert check(Simulate, capsys.readouterr().out) == {"archive": "archive", "study": "small-2017", "seed": 0}
    assert main(["export", *words, "--to", "drive:x", "--archive", "archive"]) == 0
    assert json.loads((tmp_path / "small-2017.exports.json").read_text())["study"] == "small-2017"
    assert not (tmp_path / "demo.exports.json").exists()
    next_step = capsys.readouterr().out.splitlines()[-1]
    assert next_step.startswith("next: cropcam fetch demo --set study.name=small-2017 --set 'area.bounds=[-90.03, 40.99, -90.0, 41.02]' ")
    assert main(["export", *words, "--to", "shards", "--archive", "archive"]) == 0
    assert main(["patches", *words, "--from", "shards", "--store", "s.zarr"]) == 0
    assert open_store(tmp_path / "s.zarr").info.study == study.to_dict()
    capsys.readouterr()
    assert main(["patches", *words, "--set", "patches.size_px=20", "--from", "shards", "--store", "s.zarr"]) == 3
    assert "made otherwise (patches.size_px: 16 against 20)" in capsys.readouterr().err
    words = [word for place, word in enumerate(words) if "image.seasons" not in " ".join(words[place : place + 2]) or word == "demo"]
    assert main(["patches", *words, "--from", "shards", "--store", "t.zarr"]) == 3
    assert "image.seasons" in capsys.readouterr().err


def test_the_loop_over_years_of_the_docs_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```sh\n(belt\(\).*?)```", DOCS.read_text(), re.DOTALL)
    shell = "cropcam() { printf '%s\\0' \"$@\"; printf '\\n'; }\n" + block
    lines = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True).stdout.split("\0\n")
    commands = [line.split("\0") for line in lines if line]
    assert len(commands) == 10
    for number, words in enumerate(commands):
        year = 2015 + number // 2
        assert main(words) == 0
        output = capsys.readouterr().out
        assert f"belt-{year}" in output
        changes = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
        study = load_study(words[1], changes)
        assert study.image.seasons == ((f"{year}-01-01", f"{year + 1}-01-01"),)
        assert study.labels_for("this").asset == f"USDA/NASS/CDL/{year}"
        assert study.grid == load_study("corn-belt-2016").grid


@pytest.mark.parametrize("text", re.findall(r"^    cropcam (describe .*)$", DOCS.read_text(), re.MULTILINE))
def test_the_commands_of_the_docs_work(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    import shlex

    assert main(shlex.split(text)) == 0
    assert capsys.readouterr().out


def test_the_study_of_the_docs_extends_another(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(extends.*?)```", DOCS.read_text(), re.DOTALL)
    (tmp_path / "iowa.toml").write_text(text)
    iowa = load_study(str(tmp_path / "iowa.toml"))
    assert (iowa.name, iowa.classes) == ("iowa-2017", load_study("corn-belt-2016").classes)
