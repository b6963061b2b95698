"""Plain English: no long sentence in what a user reads first, the README, the tutorial, the how-tos, the notebooks and the commands' help."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cropcam.cli import _parser

ROOT = Path(__file__).parents[3]
MOST_WORDS = 35
EXCEPTIONS: frozenset[str] = frozenset()  # beginnings of sentences; at most ten
PAGES = [
    ROOT / "README.md",
    ROOT / "docs/tutorial.md",
    *sorted((ROOT / "docs/howto").glob("*.md")),
    *sorted((ROOT / "docs/notebooks").glob("*")),
]


def sentences(text: str) -> list[str]:
    """The sentences of Markdown; each item of a list, cell of a table and heading begins one; code blocks and comments hold none."""
    text = re.sub(r"^```.*?^```$|<!--.*?-->", "\n\n", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<[a-z/][^>\n]*>", "", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"\n\s*\n|(?<=[^\n])\n(?=\s*(?:[-*]|\d+\.) |#|\|)|(?<!\\)\|", text)
    return [
        sentence for part in parts for sentence in re.split(r"(?<=[.!?])[*_)]*\s+(?=[A-Z`*_(\d])", part.strip()) if sentence.strip(" -|#\n")
    ]


def long(text: str) -> list[str]:
    found = [" ".join(sentence.split()) for sentence in sentences(text)]
    return [
        f"{len(each.split())} words: {each}" for each in found if len(each.split()) > MOST_WORDS and not each.startswith(tuple(EXCEPTIONS))
    ]


def helps(parser: argparse.ArgumentParser, name: str = "cropcam") -> Iterator[tuple[str, str]]:
    """Every text of the help: of the commands and of their options."""
    yield name, parser.description or ""
    yield name, parser.epilog or ""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command, sub in action.choices.items():
                yield from helps(sub, f"{name} {command}")
        elif action.help and action.help != argparse.SUPPRESS:
            yield f"{name} {'/'.join(action.option_strings) or action.dest}", action.help


@pytest.mark.parametrize(
    "path", [path for path in PAGES if path.suffix in {".md", ".ipynb"}], ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_a_page_has_no_long_sentence(path: Path) -> None:
    text = path.read_text("utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert len(sentences(text)) > 2
    assert not long(text)


def test_no_help_has_a_long_sentence() -> None:
    found = list(helps(_parser()))
    assert len(found) > 150
    assert not [f"{name}: {each}" for name, text in found for each in long(text)]


def test_the_exceptions_are_few_and_needed() -> None:
    assert len(EXCEPTIONS) <= 10
    every = [" ".join(each.split()) for path in PAGES if path.suffix == ".md" for each in sentences(path.read_text("utf-8"))]
    assert all(any(each.startswith(start) for each in every) for start in EXCEPTIONS)


def test_sentences_are_counted_as_a_reader_would() -> None:
    text = "# A title\nOne sentence here. And `another` one:\n- an item\n- [a link](to/it.md)\n\n```bash\nno sentence. At all\n```\n| a | b |\n|---|---|"
    assert sentences(text) == ["# A title\nOne sentence here.", "And `another` one:", "- an item", "- a link", "a", "b"]
    assert long(" ".join(["word"] * (MOST_WORDS + 1))) != []
    assert long(" ".join(["word"] * MOST_WORDS)) == []
