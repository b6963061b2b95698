"""Next steps in messages: every command, option, study key and page that a text of the product names is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from cropcam.cli import parsers
from cropcam.pipeline.study.study import Study

ROOT = Path(__file__).parents[2]
# of `earthengine authenticate`, `torchrun`, `git lfs` and `gdal_calc.py` (--allBands)
ELSEWHERE = {"--force", "--share", "--nproc-per-node", "--include", "--all", "--calc", "--outfile"}
VERBS = {"reads", "wrote", "made", "did", "and", "version", "segmentation"}  # "a file that cropcam wrote"
NO_KEYS = {"patches.csv", "splits.png", "splits.tif", "image.tif", "labels.tif", "labels.areas", "study.image"}  # files and modules


@cache
def texts() -> tuple[tuple[str, str], ...]:
    """Where a text stands, and the text with X for each value put into it."""
    return tuple(each for plane in ("pipeline", "model") for file in sorted((ROOT / plane).rglob("*.py")) for each in _of(file))


def _of(file: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        yield f"{file.relative_to(ROOT)}, line {node.lineno}", text


@cache
def options() -> dict[str, set[str]]:
    """The options of each command, with those of the program, which go with all."""
    found = {name: {flag for action in parser._actions for flag in action.option_strings} for name, parser in parsers().items()}
    return {name: flags | found[""] for name, flags in found.items() if name}


def test_options_that_are_named_are_there() -> None:
    known = set().union(*options().values()) | ELSEWHERE
    wrong = [(where, flag) for where, text in texts() for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*", text) if flag not in known]
    assert len(texts()) > 5_000
    assert not wrong


def test_command_lines_that_are_named_are_those_of_a_command() -> None:
    seen, wrong = 0, []
    for where, text in texts():
        for name, rest in re.findall(r"(?<![\w.])cropcam ([a-z][a-z-]*)((?: (?!and |or )[^ ;,'`)]+)*)", text):
            if name in VERBS:
                continue
            seen += 1
            flags = re.findall(r"(?<![\w-])--[a-z][a-z-]*", rest)
            wrong += [(where, name, flag) for flag in flags if flag not in options().get(name, set())]
            wrong += [(where, name)] if name not in options() else []
    assert seen > 40
    assert not wrong


TABLES_OF_NAMES = ("classes", "colours")  # whose keys are the user's


@pytest.mark.parametrize("pattern", [r"(?<![\w./])({})\.([a-z_]+)\b(?!\()", r"\[({})\] ([a-z]+(?:_[a-z]+)*) ="])
def test_keys_of_a_study_that_are_named_are_there(pattern: str) -> None:
    kinds = {
        name: get_args(field.annotation) or (field.annotation,) for name, field in Study.model_fields.items() if name not in TABLES_OF_NAMES
    }
    keys = {name: set(kind[0].model_fields) for name, kind in kinds.items()}  # type: ignore[union-attr]
    found = [(where, *match) for where, text in texts() for match in re.findall(pattern.format("|".join(keys)), text)]
    assert not [each for each in found if each[2] not in keys[each[1]] and f"{each[1]}.{each[2]}" not in NO_KEYS]


def test_pages_that_are_named_are_there() -> None:
    named = {page for _, text in texts() for page in re.findall(r"\bdocs/[\w/-]+\.md\b", text)}
    assert {"docs/labels.md"} <= named
    assert not [page for page in named if not (ROOT / page).is_file()]
