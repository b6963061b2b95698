"""Progress of long work on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_LINE_EVERY_S = 10.0


class Stage:
    """One named stage; call it with (done, total, note) as work goes on.

    Example:
        with Stage("patches") as stage: cut(..., progress=stage)
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._bar: Progress | None = None
        self._started = self._said = time.monotonic()
        self._last = ""

    def __enter__(self) -> Self:
        console = Console(stderr=True)
        if console.is_terminal:
            columns = (TextColumn("{task.description:<9}"), BarColumn(30), TaskProgressColumn(), MofNCompleteColumn())
            self._bar = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}"), console=console)
            self._bar.start()
            self._task = self._bar.add_task(self._name, total=None, note="")
        else:
            self._say("started")
        return self

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Tell how far the work is."""
        self._last = note
        if self._bar:
            self._bar.update(self._task, completed=done, total=total, note=note)
        elif done < total and time.monotonic() - self._said >= _LINE_EVERY_S:
            elapsed = time.monotonic() - self._started
            left = elapsed / done * (total - done) if done else float("nan")
            self._say(f"{done}/{total}, {elapsed:.0f} s, about {left:.0f} s to go  {note}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()
        elif kind is None:
            self._say(f"done in {time.monotonic() - self._started:.1f} s  {self._last}".rstrip())

    def log(self, text: str) -> None:
        """Say one line for the reader without tearing the bar."""
        if self._bar:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            sys.stderr.write(f"{self._name:<9} {text}\n")

    def _say(self, text: str) -> None:
        self._said = time.monotonic()
        sys.stderr.write(f"{self._name:<9} {text}\n")
        sys.stderr.flush()
