"""Completion in real shells: what a TAB answers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cropcam.model.options import KINDS, MODELS
from cropcam.pipeline import presets
from cropcam.pipeline.completion import SHELLS, WHERE, script

ROOT = Path(__file__).parents[3]
LINES = {
    "cropcam comp": ["compare", "completion"],
    "cropcam describe corn-belt-2016": ["corn-belt-2016", "corn-belt-2016-albers"],
    "cropcam export de": ["demo", "demo-seasons"],
    "cropcam train s.zarr --labels ": list(KINDS),
    "cropcam train s.zarr --model ": list(MODELS),
    "cropcam export demo --dr": ["--dry-run"],
    "cropcam export m": ["mine.toml"],
    "cropcam completion f": ["fish"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a program `cropcam` to be called, and files."""
    program = tmp_path / "bin" / "cropcam"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT / "cli.py"}" "$@"\n')
    program.chmod(0o755)
    for name in ("mine.toml", "map.tif"):
        (tmp_path / name).write_text("")
    return tmp_path


def shell(words: list[str], text: str, folder: Path) -> str:
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        words, input=text, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    ).stdout


def test_bash_completes_commands_presets_models_labels_and_files(folder: Path) -> None:
    if not shutil.which("bash"):
        pytest.skip("no bash here")
    asked = "\n".join(
        f'COMP_LINE="{line}" COMP_POINT={len(line)} COMP_TYPE=9; COMP_WORDS=(); COMPREPLY=(); _python_argcomplete cropcam; '
        'printf "%s|" "${COMPREPLY[@]}"; echo'
        for line in LINES
    )
    found = shell(["bash", "--norc"], f"{script('bash')}\n{asked}\n", folder)
    answers = [sorted(word.strip() for word in line.split("|") if word.strip()) for line in found.splitlines()]
    assert dict(zip(LINES, answers, strict=True)) == {line: sorted(words) for line, words in LINES.items()}


def test_zsh_reads_its_script(folder: Path) -> None:
    if not shutil.which("zsh"):
        pytest.skip("no zsh here")
    text = f"autoload -U compinit; compinit -u -D\n{script('zsh')}\nprint -r -- $_comps[cropcam]\n"
    assert shell(["zsh", "-f"], text, folder).strip().startswith("_python_argcomplete")


def test_fish_completes(folder: Path) -> None:
    if not shutil.which("fish"):
        pytest.skip("no fish here")
    text = f"{script('fish')}\ncomplete -C 'cropcam describe corn-belt-2017'\n"
    found = [line.partition("\t")[0] for line in shell(["fish", "--no-config"], text, folder).splitlines()]
    assert found == [name for name in presets.names() if name.startswith("corn-belt-2017")]


@pytest.mark.parametrize("name", SHELLS)
def test_a_script_has_the_line_for_the_start_up_file(name: str) -> None:
    assert script(name).splitlines()[-1] == f"# {WHERE[name]}"
    assert "cropcam" in script(name)
