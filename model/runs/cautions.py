"""RUN/cautions.json: the warnings of a training, so that `evaluate`, `report` and `--json` have the same texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.runtime.console import WARNING
from cropcam.pipeline.text_files import read_json

CAUTIONS = "cautions.json"
_STEP = "delete it, or train the run again"


class CautionLog:
    """A log that keeps the texts of its warnings, each once."""

    def __init__(self, log: Callable[[str], object]) -> None:
        self._log = log
        self.texts: list[str] = []

    def __call__(self, text: str) -> None:
        """Log a line; one that begins with `WARNING` is kept without it."""
        if text.startswith(WARNING) and text.removeprefix(WARNING) not in self.texts:
            self.texts.append(text.removeprefix(WARNING))
        self._log(text)

    def caution(self, text: str) -> None:
        """Log a warning."""
        self(f"{WARNING}{text}")

    def write(self, run: Path) -> None:
        """Write the warnings atomically: a JSON list of texts.

        Raises:
            OSError: the disk refused.
        """
        atomic_write(run / CAUTIONS, json.dumps(self.texts, indent=1) + "\n")


def read_cautions(run: Path) -> list[str]:
    """The warnings of a run's training; none of a run of an earlier version.

    Raises:
        DataError: the file is damaged.
    """
    path = run / CAUTIONS
    if not path.is_file():
        return []
    found = read_json(path, "the warnings of a run", step=_STEP)
    if not (isinstance(found, list) and all(isinstance(text, str) for text in found)):
        raise DataError(f"{path}: is no list of texts; {_STEP}")
    return found
