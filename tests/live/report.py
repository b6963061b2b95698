"""The report of a live test: one JSON file that can be attached to an issue. No secrets, no addresses, no project."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ee
import numpy as np

from cropcam.pipeline.earthengine.error_texts import without_secrets
from cropcam.pipeline.runtime.atomic import atomic_write

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")
_NUMBERS = re.compile(r"(?<=project )\d{6,}|(?<=projects/)\d{6,}|(?<=project=)\d{6,}")
_IDS = re.compile(r"(?<=operations/)[\w-]{16,}|(?<=folders/)[\w-]{16,}|(?<=/d/)[\w-]{16,}|(?<=id=)[\w-]{16,}")


@dataclass
class Row:
    """One question with both answers. `status` is "asked", "skipped: ..." or "failed: ..."."""

    name: str
    question: str
    status: str = "asked"
    service: Mapping[str, Any] = field(default_factory=dict)
    embedded: Mapping[str, Any] = field(default_factory=dict)
    equal: bool | None = None  # both answers; None where they cannot be compared
    holds: bool | None = None  # what cropcam relies on
    notes: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    eecu_s: float | None = None

    def line(self) -> str:
        """The row on one line of the screen."""
        mark = {True: "holds", False: "DOES NOT HOLD", None: self.status}[self.holds]
        same = {True: "as the embedded engine", False: "not as the embedded engine", None: ""}[self.equal]
        cost = "" if self.eecu_s is None else f", {self.eecu_s:.1f} EECU-s"
        return f"{self.name}: {mark}{f', {same}' if same else ''} ({self.seconds:.0f} s{cost})"


@dataclass
class Report:
    """All rows, what was spent, and the names that stay out of it."""

    endpoint: str
    began: str
    secrets: tuple[str, ...] = ()  # the project, the bucket, the folder
    rows: list[Row] = field(default_factory=list)
    spent: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> str:
        """The report as JSON text, with everything that names a person or a project replaced."""
        about = {
            "about": "cropcam live test: what Earth Engine answered, beside what the embedded engine answers",
            "cropcam": version("cropcam"),
            "earthengine-api": ee.__version__,
            "python": platform.python_version(),
            "endpoint": self.endpoint,
            "began": self.began,
            "spent": self.spent,
            "summary": self.summary(),
            "points": [vars(row) for row in self.rows],
        }
        return self._anonymous(json.dumps(_plain(about), indent=1, allow_nan=False)) + "\n"

    def summary(self) -> dict[str, list[str]]:
        """Names of the points by how they went."""
        return {
            "hold": [row.name for row in self.rows if row.holds],
            "do not hold": [row.name for row in self.rows if row.holds is False],
            "differ from the embedded engine": [row.name for row in self.rows if row.equal is False],
            "without an answer": [row.name for row in self.rows if row.status != "asked"],
        }

    @property
    def is_good(self) -> bool:
        """Whether everything that was not skipped was answered, compared, and holds."""
        return all(row.holds is not False and row.status.partition(":")[0] in ("asked", "skipped") for row in self.rows)

    def write(self, path: Path) -> None:
        """Write the report, whole or not at all."""
        atomic_write(path, self.to_json())

    def _anonymous(self, text: str) -> str:
        text = _NUMBERS.sub("[number]", _IDS.sub("[id]", _EMAIL.sub("[address]", without_secrets(text))))
        for number, secret in enumerate(sorted(filter(None, self.secrets), key=len, reverse=True)):
            text = re.sub(rf"(?<![\w-]){re.escape(secret)}(?![\w-])", f"[name {number}]", text)
        return text


def _plain(value: Any) -> Any:
    """The value as JSON has it: numbers of numpy as numbers, those that are none as null, anything unknown as text."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray | list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)
