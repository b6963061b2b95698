"""What commands share about their arguments."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from cropcam.cli import main, parsers
from cropcam.pipeline.arguments import (
    COMMON,
    common_first,
    empty_argument,
    folder_argument,
    seed_argument,
    study_argument,
    study_words,
    version_line,
)
from cropcam.pipeline.user_settings import SETTINGS, variable

MOST_HELP = 100


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


def actions() -> list[tuple[str, argparse.ArgumentParser, argparse.Action]]:
    """Every argument and option that a user sees."""
    return [
        (f"{name} {action.option_strings or action.dest}", parser, action)
        for name, parser in parsers().items()
        for action in parser._actions
        if action.help != argparse.SUPPRESS and not isinstance(action, argparse._SubParsersAction)
    ]


def test_every_option_has_a_help_of_at_most_100_characters() -> None:
    texts = {where: parser._get_formatter()._expand_help(action) if action.help else "" for where, parser, action in actions()}
    assert len(texts) > 150
    assert not {where: text for where, text in texts.items() if not 0 < len(text) <= MOST_HELP}


def test_the_help_of_a_setting_names_its_variable() -> None:
    named = [action for _, _, action in actions() if action.dest in SETTINGS and action.option_strings]
    assert {action.dest for action in named} == set(SETTINGS)
    assert not [action.option_strings for action in named if variable(action.dest) not in str(action.help)]


def test_options_of_every_command_stand_before_or_after_its_name() -> None:
    words = ["export", "demo", "--to=x", "-v", "--log-file=l", "--config", "c", "--", "-q", "--debug"]
    common, others = common_first(words)
    assert common == ["-v", "--log-file=l", "--config", "c"]
    assert others == ["export", "demo", "--to=x", "--", "-q", "--debug"]
    assert common_first(["demo", "--log-file"]) == (["--log-file"], ["demo"])
    for flag in ("-q", "-v", "--log-file", "--config", "--debug"):
        assert flag in COMMON
        assert flag in parsers()[""].format_help()


def test_a_value_that_lacks_is_refused_wherever_the_option_stands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["describe", "demo", "--log-file"])
    assert "cropcam: error: argument --log-file: expected one argument" in capsys.readouterr().err


def test_versions_without_importing_torch(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    line = capsys.readouterr().out.strip()
    assert line == version_line()
    assert line.startswith("cropcam ")
    assert f", torch {version('torch')}, " in line
