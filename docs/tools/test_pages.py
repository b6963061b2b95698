"""Runs the code blocks of the tutorial and of every how-to, and compares the outputs that the pages show. Part of `make docs`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from filelock import FileLock
from site_blocks import DOCS, blocks, differs, run, same

MADE = DOCS.parent / "build" / "docs-run"
TUTORIAL = DOCS / "tutorial.md"
# longest first: two processes end at the same time
PAGES = [
    TUTORIAL,
    *sorted(
        (path for path in (DOCS / "howto").glob("*.md") if path.name != "README.md"),
        key=lambda path: -path.read_text().count("cropcam train"),
    ),
]
OUTPUTS = MADE / f"outputs-{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}.json"  # of the tutorial, in this run of the tests
MOST_NOT_RUN = 4


@pytest.fixture(scope="session")
def tutorial() -> Path:
    """The files of the tutorial, which the other pages begin with; made once, by the process that comes first."""
    MADE.mkdir(parents=True, exist_ok=True)
    with FileLock(MADE / "tutorial.lock"):
        if not OUTPUTS.exists():
            for old in MADE.glob("outputs-*.json"):
                old.unlink()
            shown = run(TUTORIAL, MADE / "tutorial")
            OUTPUTS.write_text(json.dumps([(block.line, block.text, real) for block, real in shown]))
    return MADE / "tutorial"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_blocks(path: Path, tutorial: Path) -> None:
    if path == TUTORIAL:
        shown = json.loads(OUTPUTS.read_text())
    else:
        shown = [(block.line, block.text, real) for block, real in run(path, MADE / path.stem, tutorial)]
    wrong = [f"line {line}: {each}\nthe real output is\n{real}\n" for line, text, real in shown if (each := differs(text, real))]
    assert not wrong, "\n".join([*wrong, f"write it with: make docs-outputs PAGES={path.relative_to(DOCS.parent)}"])


def test_few_blocks_are_not_run_and_each_has_its_reason() -> None:
    every = [(path.name, block) for path in PAGES for block in blocks(path.read_text("utf-8"))]
    left_out = [f"{name}, line {block.line}: {block.not_run}" for name, block in every if block.not_run]
    print(f"{len(every)} blocks, not run: {len(left_out)}", *left_out, sep="\n")
    assert len(every) > 50
    assert len(left_out) <= MOST_NOT_RUN


def test_outputs_are_compared_by_words_and_nearly_by_numbers() -> None:
    assert same("train  done in 5.9 s, accuracy 0.78 of 52 patches", "train done in 12 s, accuracy 0.80 of 52 patches")
    assert not same("accuracy 0.28", "accuracy 0.78")
    assert not same("52 patches", "72 patches")
    assert not same("52 patches", "52 points")
    assert differs("one\n...\nthree", "one\ntwo\nthree") == ""
    assert differs("one\nthree", "one\ntwo\nthree") == "shows 'three'"
    assert differs("", "one") == "shows ''"
    assert differs("one", "one\ntwo") != ""
