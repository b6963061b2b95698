"""What commands share about their arguments."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from cropcam.pipeline.arguments import empty_argument, folder_argument, seed_argument, study_argument, study_words


def test_a_folder_keeps_a_name_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert folder_argument("a/b") == Path("a/b")
    assert folder_argument(".") == tmp_path


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["train", "s", "--points", ""], "--points is empty"),
        (["train", "s", "--points="], "--points is empty"),
        (["report", " "], "argument 2 is empty"),
        (["train", "s", "--run", "r"], None),
    ],
)
def test_an_empty_argument_is_named(words: list[str], named: str | None) -> None:
    found = empty_argument(words)
    assert found is None if named is None else str(found).startswith(f"{named} (an unset variable?)")


@pytest.mark.parametrize("text", ["-1", str(2**63)])
def test_a_seed_is_one_that_all_take(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="whole number from 0 to 9223372036854775807"):
        seed_argument(text)
    assert seed_argument(str(2**63 - 1)) == 2**63 - 1


def test_a_study_and_its_changes_can_be_copied_to_a_shell() -> None:
    parser = argparse.ArgumentParser()
    study_argument(parser)
    words = ["my study.toml", "--set", "area.scale_m=10", "--set", "image.seasons=[[2017-01-01, 2018-01-01]]"]
    args = parser.parse_args(words)
    assert (args.study, args.changes) == (words[0], [words[2], words[4]])
    assert study_words(args) == words
    assert parser.parse_args(["demo"]).changes == []
