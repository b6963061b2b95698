"""Progress: lines where there is no terminal, a bar where there is one."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from cropcam.pipeline.runtime import progress
from cropcam.pipeline.runtime.progress import Stage

CODE = """
from cropcam.pipeline.runtime.progress import Stage
with Stage("patches") as stage:
    for done in range(1, 4):
        stage(done, 3, f"{done} kept")
    stage.log("a line for the reader [with brackets]")
"""


def test_lines_without_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_LINE_EVERY_S", 0.0)
    with Stage("patches") as stage:
        stage(1, 2, "5 kept")
        stage.log("hello")
        stage(2, 2, "9 kept")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "patches   started"
    assert lines[1].startswith("patches   1/2, 0 s, about 0 s to go  5 kept")
    assert lines[2] == "patches   hello"
    assert lines[3].startswith("patches   done in 0.0 s  9 kept")


def test_a_failed_stage_does_not_say_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="stop"), Stage("patches"):
        raise RuntimeError("stop")
    assert "done" not in capsys.readouterr().err


def test_a_bar_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", CODE], stderr=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"}) as process:
        assert process.wait(60) == 0
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "3/3" in shown
    assert "a line for the reader [with brackets]" in shown
