"""Tasks on the screen while they run."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live

from cropcam.pipeline.earthengine.task_status import Row, summary, table
from cropcam.pipeline.runtime.console import event, is_quiet, note


class TaskView:
    """A live table on a terminal, a line whenever the counts change elsewhere."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._live: Live | None = None
        self._last = ""

    def __enter__(self) -> Self:
        console = Console(stderr=True)
        if console.is_terminal and not is_quiet():
            self._live = Live(console=console, auto_refresh=False)
            self._live.start()
        return self

    def __call__(self, rows: Sequence[Row]) -> None:
        """Show every task's row."""
        has_changed, self._last = (text := summary(rows)) != self._last, text
        if self._live:
            self._live.update(table(rows), refresh=True)
            if has_changed:
                event("stage", stage=self._name, state="working", message=text)
        elif has_changed:
            self.log(text)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def log(self, text: str) -> None:
        """Print a line above the table."""
        live = self._live
        note(text, stage=self._name, shown=(lambda line: live.console.print(line, markup=False, highlight=False)) if live else None)
