"""Progress of long work on stderr: a bar on a terminal, elsewhere a line every ten seconds, with -q nothing; in the log file always."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from rich import progress as bars
from rich.console import Console

from cropcam.pipeline.runtime.console import event, is_quiet, note
from cropcam.pipeline.runtime.machine import say
from cropcam.pipeline.runtime.terminal import one_line

Progress = Callable[[int, int, str], object]  # units done, units in total, a note
_LINE_EVERY_S = 10.0


def silent(*_: object) -> None:
    """A progress, or a log, without output."""


class Stage:
    """A named stage of work: a `Progress`, called with (done, total, note).

    Example:
        with Stage("patches") as stage: cut(..., progress=stage)
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._bar: bars.Progress | None = None
        self._started = self._printed = time.monotonic()
        self._last = ""

    def __enter__(self) -> Self:
        console = Console(stderr=True)
        self._event("started")
        if console.is_terminal and not is_quiet():
            self._bar = bars.Progress(
                bars.TextColumn("{task.description:<9}"),
                bars.BarColumn(30),
                bars.TaskProgressColumn(),
                bars.MofNCompleteColumn(),
                bars.TimeElapsedColumn(),
                bars.TimeRemainingColumn(),
                bars.TextColumn("{task.fields[note]}", markup=False),
                console=console,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._name, total=None, note="")
        else:
            self._print("started")
        return self

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Show how far the work is."""
        self._last = note = one_line(note)
        if self._bar:
            self._bar.update(self._task, completed=done, total=total, note=note)
        if done < total and time.monotonic() - self._printed >= _LINE_EVERY_S:
            elapsed = time.monotonic() - self._started
            self._printed = time.monotonic()
            self._event("working", done=done, total=total, message=note)
            if not self._bar:
                left = f", about {elapsed / done * (total - done):.0f} s to go" if done else ""
                self._print(f"{done}/{total}, {elapsed:.0f} s{left}  {note}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()
        if kind is None:
            self._event("done", message=self._last)
        if not self._bar and kind is None:
            self._print(f"done in {time.monotonic() - self._started:.1f} s  {self._last}".rstrip())

    def log(self, text: str) -> None:
        """Print a line above the bar."""
        bar = self._bar
        note(text, stage=self._name, shown=(lambda line: bar.console.print(line, markup=False, highlight=False)) if bar else None)

    def _print(self, text: str) -> None:
        if not is_quiet():
            say(f"{self._name:<9} {one_line(text)}\n")

    def _event(self, state: str, **fields: Any) -> None:  # noqa: ANN401 - JSON values
        event("stage", stage=self._name, state=state, seconds=round(time.monotonic() - self._started, 3), **fields)
