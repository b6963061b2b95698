"""What answers without a network, as rows below the runs that it was scored beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cropcam.model.report.content import without_network
from cropcam.model.report.runs import Entry


@dataclass(frozen=True)
class Reference:
    """A reference, or one class everywhere, on the pixels of a run.

    Attributes:
        name: as in metrics.json; one class everywhere is "all CLASS".
        learnt_from: in words.
        values: its figures.
        entry: the run that it was scored beside.
        runs: that run's name, and the names of further ones that say just the same.
    """

    name: str
    learnt_from: str
    values: Mapping[str, Any]
    entry: Entry
    runs: tuple[str, ...]

    @property
    def seed(self) -> int | None:
        """Of the pixels it learnt from; None where it learnt from none."""
        return None if self.values.get("pixels") is None else self.entry.config.data.seed


def references(entries: Sequence[Entry]) -> list[Reference]:
    """Those that `evaluate --references` scored, run by run, one class everywhere after them; none of other runs.

    Runs of one store, split and seed say the same of what is fitted on all true classes: it stands there once and
    names them all. One class everywhere is left out where the training split's commonest class, a reference itself, is it.
    """
    rows: list[Reference] = []
    for entry in entries:
        for found in _scored_beside(entry):
            twin = next((place for place, row in enumerate(rows) if _alike(row, found)), None)
            if twin is None:
                rows.append(found)
            else:
                rows[twin] = replace(rows[twin], runs=(*rows[twin].runs, entry.name))
    return rows


def _scored_beside(entry: Entry) -> list[Reference]:
    if "references" not in entry.metrics["segmentation"]:
        return []
    *fitted, constant = (Reference(name, source, values, entry, (entry.name,)) for name, values, source in without_network(entry.metrics))
    is_there = any(
        row.seed is None and all(row.values[key] == constant.values[key] for key in ("pixel_accuracy", "macro_f1")) for row in fitted
    )
    return fitted if is_there else [*fitted, constant]


def _alike(one: Reference, other: Reference) -> bool:
    return _ground(one) == _ground(other) and one.values == other.values


def _ground(row: Reference) -> tuple[str | int | None, ...]:
    return row.name, row.seed, row.entry.config.store.digest, row.entry.metrics["split"]
