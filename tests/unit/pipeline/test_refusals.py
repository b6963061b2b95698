"""How failures are told: one line each, their exit codes, the log file and --json."""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import pytest

from cropcam.pipeline.errors import ConfigError, CropcamWarning, DataError, EarthEngineError
from cropcam.pipeline.refusals import explain, interrupted, refuse, show_warning
from cropcam.pipeline.runtime.console import console
from cropcam.pipeline.runtime.log_file import LogFile

ARGS = argparse.Namespace(debug=False)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigError("a\nb"), 2, "cropcam: a\\nb\n"),
        (DataError("no data"), 3, "cropcam: no data\n"),
        (EarthEngineError("no account"), 4, "cropcam: no account\n"),
        (MemoryError("none left"), 3, "cropcam: out of memory (none left); free memory, then run the same command again\n"),
    ],
)
def test_one_line_and_the_exit_code(error: Exception, code: int, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with console(is_json=True):
        assert explain(error, ARGS) == code
    found = capsys.readouterr()
    assert found.err == line
    assert json.loads(found.out) == {"error": str(error) if code != 3 or "data" in line else line[9:-1], "exit_code": code}


def test_an_endless_message_keeps_its_place_and_its_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    error = ConfigError(f"x.toml, line 3: {'a' * 100_000} is unknown; take y", ["b" * 90_000])
    with console(is_json=True):
        assert explain(error, ARGS) == 2
    found = capsys.readouterr()
    head, problem = found.err.splitlines()
    assert head.startswith("cropcam: x.toml, line 3: aaa")
    assert head.endswith("aaa is unknown; take y")
    assert max(len(head), len(problem)) < 1_600
    assert len(json.loads(found.out)["error"]) < 3_200


def test_a_bug_has_its_traceback_in_the_log_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with console(log=LogFile(tmp_path / "l", "map")):
        assert explain(ZeroDivisionError("by none"), ARGS) == 1
    assert "this is a bug" in capsys.readouterr().err
    line = json.loads((tmp_path / "l").read_text())
    assert (line["event"], line["level"], line["message"]) == ("error", "error", "a bug: ZeroDivisionError: by none")
    assert "ZeroDivisionError" in line["traceback"]


def test_an_interrupt_names_the_way_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert interrupted(argparse.Namespace(resume=False)) == 130
    assert "run the same command again with --resume to go on" in capsys.readouterr().err
    assert interrupted(ARGS) == 130
    assert "run the same command again to go on" in capsys.readouterr().err


def test_debug_shows_the_traceback_of_a_refusal(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(DataError("no data"), argparse.Namespace(debug=True)) == 3
    assert "Traceback" in (text := capsys.readouterr().err) or "DataError: no data" in text
    refuse("plain", 2)
    assert capsys.readouterr().err == "cropcam: plain\n"


def test_warnings_of_ours_are_one_line_and_those_of_libraries_are_pythons(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warnings, "showwarning", show_warning)
    with console(log=LogFile(tmp_path / "l", "map")), warnings.catch_warnings():
        warnings.simplefilter("always")
        show_warning(CropcamWarning("left\nout"), CropcamWarning, "f.py", 3)
        show_warning(DeprecationWarning("old"), DeprecationWarning, "f.py", 3)
    found = capsys.readouterr().err
    assert found.startswith("cropcam: warning: left\\nout\n")
    assert "f.py:3: DeprecationWarning: old" in found
    levels = [json.loads(line)["level"] for line in (tmp_path / "l").read_text().splitlines()]
    assert levels == ["warning", "warning"]
