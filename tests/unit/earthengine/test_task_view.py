"""Tasks on the screen: a live table on a terminal, a line per change elsewhere."""

from __future__ import annotations

import pytest

from cropcam.pipeline.earthengine.task_status import Row
from cropcam.pipeline.earthengine.task_view import TaskView


def rows(*states: str) -> list[Row]:
    return [Row(f"t{number}", "image", state, None, None, "", ()) for number, state in enumerate(states)]


def test_elsewhere_a_line_is_written_whenever_the_counts_change(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    with TaskView("export") as view:
        for states in (("PENDING", "PENDING"), ("PENDING", "PENDING"), ("PENDING", "RUNNING"), ("RUNNING", "PENDING")):
            view(rows(*states))
        view.log("t0: [submitted] as 1")
    assert capsys.readouterr().err.splitlines() == [
        "export    2 tasks: 2 pending",
        "export    2 tasks: 1 running, 1 pending",
        "export    t0: [submitted] as 1",
    ]


def test_a_terminal_shows_the_table_and_lines_above_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with TaskView("export") as view:
        view(rows("SUCCEEDED", "FAILED"))
        view.log("t1: [why] it failed")
    found = capsys.readouterr().err
    assert "2 tasks: 1 succeeded, 1 failed" in found
    assert "t1: [why] it failed" in found
    assert "t0" in found
