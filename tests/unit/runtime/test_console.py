"""What a command shows: by verbosity, with --json, and in the log file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cropcam.pipeline.runtime.console import (
    Verbosity,
    command_line,
    console,
    detail,
    event,
    free_name,
    is_json,
    is_quiet,
    note,
    show,
    show_error,
)
from cropcam.pipeline.runtime.log_file import LogFile
from cropcam.pipeline.runtime.progress import Stage


def work() -> None:
    with Stage("patches") as stage:
        stage(1, 2, "half")
        stage.log("a line")
        stage.log("warning: dark")
    note("note: few blocks")
    detail("read 3 files")
    print("of a library")
    show({"store": "s.zarr"}, "10 patches", places=[Path("s.zarr")], then="cropcam train s.zarr --run r")


@pytest.mark.parametrize(
    ("verbosity", "shown"),
    [
        (Verbosity.QUIET, ["patches   warning: dark"]),
        (Verbosity.NORMAL, ["patches   started", "patches   a line", "patches   warning: dark", "patches   done", "note: few blocks"]),
        (
            Verbosity.VERBOSE,
            ["patches   started", "patches   a line", "patches   warning: dark", "patches   done", "note: few blocks", "read 3 files"],
        ),
    ],
)
def test_stderr_by_verbosity(verbosity: Verbosity, shown: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with console(verbosity):
        assert is_quiet() is (verbosity == Verbosity.QUIET)
        work()
    found = capsys.readouterr()
    assert [line.partition(" in ")[0] for line in found.err.splitlines()] == shown
    end = "s.zarr\n" if verbosity == Verbosity.QUIET else "10 patches\nresults: s.zarr\nnext: cropcam train s.zarr --run r\n"
    assert found.out == f"of a library\n{end}"


def test_with_json_stdout_has_the_object_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with console(is_json=True):
        assert is_json()
        work()
        show_error("too late: the object is out", 3)
    found = capsys.readouterr()
    assert json.loads(found.out) == {"store": "s.zarr"}
    assert "of a library" in found.err
    assert not is_json()


def test_with_json_a_failure_is_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    with console(is_json=True):
        show_error("no such file", 3)
    assert json.loads(capsys.readouterr().out) == {"error": "no such file", "exit_code": 3}
    show_error("no such file", 3)
    assert capsys.readouterr().out == ""


def test_quiet_without_places_prints_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    with console(Verbosity.QUIET):
        show({}, "12 ha", then="cropcam sample m.tif --out p.csv")
    assert capsys.readouterr().out == "12 ha\n"


def test_the_log_has_all_of_it_whatever_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with console(Verbosity.QUIET, log=LogFile(path, "patches")):
        work()
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["event"], line["level"]) for line in found] == [
        ("stage", "info"),
        ("message", "info"),
        ("warning", "warning"),
        ("stage", "info"),
        ("message", "info"),
        ("message", "debug"),
        ("result", "info"),
    ]
    assert [line.get("state") for line in found if line["event"] == "stage"] == ["started", "done"]
    assert found[2]["message"] == "dark"
    assert (found[-1]["places"], found[-1]["next"]) == (["s.zarr"], "cropcam train s.zarr --run r")


def test_a_log_on_a_full_disk_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with console(log=LogFile(Path("/dev/full"), "map")):
        event("start")
        event("end")
    assert capsys.readouterr().err == "cropcam: warning: the log file cannot be written any more; the work goes on without it\n"


def test_names_for_the_next_command(tmp_path: Path) -> None:
    (tmp_path / "my run").mkdir()
    (tmp_path / "my run-2").mkdir()
    assert free_name(tmp_path / "my run") == tmp_path / "my run-3"
    assert free_name(tmp_path / "m.tif") == tmp_path / "m.tif"
    assert command_line("train", Path("-s"), "--run", "it's") == """cropcam train ./-s --run 'it'"'"'s'"""
