"""README: its commands are those of the parser, its links and pictures are there, its extras and targets exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from cropcam.cli import _parser
from support.bare import project

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
LINES = [*(line for block in BLOCKS for line in block.splitlines()), *re.findall(r"`(cropcam [a-z].*?)` \|", TEXT)]
COMMANDS = [line for line in LINES if line.startswith("cropcam ")]


@pytest.mark.parametrize("line", COMMANDS)
def test_its_commands_are_taken_as_printed(line: str) -> None:
    assert _parser().parse_args(shlex.split(line, comments=True)[1:]).call


def test_it_has_a_command_for_each_thing_that_one_has() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \| `cropcam .+` \|$", TEXT, re.MULTILINE)
    assert len(rows) > 20
    assert len(COMMANDS) == len(rows) + 3  # those of the block about Earth Engine


def test_its_extras_and_targets_exist() -> None:
    named = {extra for extras in re.findall(r"\.\[([a-z,]+)\]", TEXT) for extra in extras.split(",")}
    assert {"earthengine", "all"} <= named <= set(project()["optional-dependencies"])
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= set(re.findall(r"(?:^|`)make ([a-z]+)", TEXT, re.MULTILINE)) <= targets


def test_its_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)]+)\)|src=\"([^\"]+)\"", TEXT)
    paths = {(link or source).partition("#")[0] for link, source in targets}
    assert len(paths) > 15
    assert not [path for path in paths if not (ROOT / path).is_file()]


def test_its_pictures_are_small() -> None:
    pictures = [ROOT / source for source in re.findall(r"src=\"([^\"]+)\"", TEXT)]
    assert len(pictures) == 2
    assert all(0 < path.stat().st_size <= 300_000 for path in pictures)
