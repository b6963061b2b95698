"""The tables of the benchmark `travel`, in Markdown, from its cells. Figures are pixel accuracy / macro F1, means over the seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from benchmarks.places import REAL, SIMULATED, places
from benchmarks.travel_cells import Cell
from benchmarks.travel_warnings import CONSTANTS, Fitted, Judged, cases, figures, judge

Row = list[str]
NONE, FIGURES = "-", ("pixel_accuracy", "macro_f1")
MAJORITY = tuple(f"majority_{key}" for key in FIGURES)
RUN = ("how", "kind", "trained", "source", "weak", "seed")
WHERE = ("how", "kind", "trained", "source", "weak", "place", "part")


def found(cells: Iterable[Cell], **where: Any) -> list[Cell]:  # noqa: ANN401 - of any column
    """The cells of these values, in the order of the seeds."""
    return sorted((cell for cell in cells if all(cell[key] == value for key, value in where.items())), key=lambda cell: cell["seed"])


def values(cells: Sequence[Cell], keys: Sequence[str] = FIGURES) -> str:
    """Mean and, of several seeds, standard deviation of each figure.

    >>> values([{"pixel_accuracy": 0.8406, "macro_f1": 0.75}])
    '.841 / .750'
    """
    return " / ".join(spread([cell[key] for cell in cells]) for key in keys) if cells else NONE


def spread(numbers: Sequence[float], sign: str = "") -> str:
    """Mean and, of several numbers, standard deviation; a dash of none.

    >>> spread([0.8, 0.9]), spread([-0.05], "+"), spread([])
    ('.850 (.071)', '-.050', '-')
    """
    if not numbers:
        return NONE
    mean = f"{np.mean(numbers):{sign}.3f}".replace("0.", ".", 1)
    return mean if len(numbers) < 2 else f"{mean} ({np.std(numbers, ddof=1):.3f})".replace("(0.", "(.")


def title(place: str) -> str:
    """The name of a place, with a mark if it is simulated."""
    return f"{place} (simulated)" if place in SIMULATED else place


def rows_of(cells: Iterable[Cell], keys: Sequence[str]) -> list[dict[str, Any]]:
    """The different values of these keys among the cells, as they come."""
    return [dict(zip(keys, row, strict=True)) for row in dict.fromkeys(tuple(cell[key] for key in keys) for cell in cells)]


def table(head: Row, rows: Iterable[Row]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)) + "\n"


def home_and_away(cells: Sequence[Cell]) -> str:
    """Each run at home (test split) and on every patch of the other places; below the majority guess and the supervised run of each place."""
    homes = [cell for cell in cells if cell["how"] == "home"]
    lines = []
    for row in rows_of(found(homes, part="test"), ("kind", "trained")):
        own = [
            found(homes, **row, place=row["trained"], part="test"),
            *(found(homes, **row, place=place, part="all") for place in places()),
        ]
        lines.append([title(row["trained"]), row["kind"], str(len(own[0])), *map(values, own)])
    guess = [found(homes, place=place, part="all")[:1] for place in places()]
    lines.append(["", "majority guess", "", NONE, *(values(one, MAJORITY) for one in guess)])
    for kind in ("unet", "poster"):
        own = [found(homes, kind=kind, trained=place, place=place, part="test") for place in places()]
        if any(own):
            lines.append(["", f"{kind} trained there, its test split", "", NONE, *map(values, own)])
    tests = [found(homes, trained=place, place=place, part="test")[:1] for place in places()]
    lines.append(["", "majority guess, that test split", "", NONE, *(values(one, MAJORITY) for one in tests)])
    return table(["trained on", "labels", "seeds", "own test split", *map(title, places())], lines)


def adapted(cells: Sequence[Cell]) -> str:
    """The right half of a place: before adapting and after, beside a run from scratch, the majority guess and full supervision of the left half."""
    right, lines = [cell for cell in cells if cell["part"] == "right"], []
    weak = [row["weak"] for row in rows_of([cell for cell in right if cell["weak"]], ("weak",))] or [NONE]
    for row in rows_of(found(right, how="home"), ("trained", "place", "kind")):
        before = found(right, how="home", **row)
        reference = found(right, how="reference", place=row["place"])
        for known in weak:
            after = found(right, how="adapted", kind=row["kind"], source=row["trained"], place=row["place"], weak=known)
            if not after and known != weak[-1]:
                continue
            scratch = found(right, how="scratch", place=row["place"], weak=known)
            both = after and reference
            ratio = np.mean([c[FIGURES[0]] for c in after]) / np.mean([c[FIGURES[0]] for c in reference]) if both else None
            lines.append(
                [
                    *(title(row["trained"]), title(row["place"]), row["kind"], known if after else NONE, str(len(after or before))),
                    *map(values, (before, after, scratch)),
                    *(values(before[:1], MAJORITY), values(reference), f"{ratio:.3f}".removeprefix("0") if ratio else NONE),
                ]
            )
    head = [
        "trained on",
        "right half of",
        "labels",
        "known of the left half",
        "seeds",
        "before",
        "adapted",
        "from scratch (shares or points)",
    ]
    return table([*head, "majority guess", "pixels of the left half", "adapted / pixels"], lines)


def left_out(cells: Sequence[Cell]) -> str:
    """Runs trained on all places but one: that place's test split beside its own run of the same kind, and every patch of it."""
    without, lines = [cell for cell in cells if cell["how"] == "without"], []
    for kind in dict.fromkeys(cell["kind"] for cell in without):
        losses: list[float] = []
        for row in rows_of(found(without, kind=kind), ("place",)):
            there = found(without, kind=kind, **row, part="test")
            own = found(cells, how="home", kind=kind, trained=row["place"], place=row["place"], part="test")
            at_home = {cell["seed"]: cell[FIGURES[0]] for cell in own}
            loss = [at_home[cell["seed"]] - cell[FIGURES[0]] for cell in there if cell["seed"] in at_home]
            losses += loss
            everywhere = found(without, kind=kind, **row, part="all")
            lines.append(
                [
                    kind,
                    title(row["place"]),
                    str(len(there)),
                    *map(values, (there, own)),
                    spread(loss),
                    values(everywhere),
                    values(everywhere[:1], MAJORITY),
                ]
            )
        lines.append([kind, "mean", "", "", "", spread(losses).split(" ")[0], "", ""])
    head = ["labels", "left out", "seeds", "its test split", "own run, same patches", "loss", "every patch", "majority guess, every patch"]
    return table(head, lines)


def warned(judged: Sequence[Judged], fixed: Sequence[Judged]) -> tuple[str, list[dict[str, Any]]]:
    """How often a warning was due and given, by fitted constants and by those of the package; and the same as values."""
    lines = []
    for name, each in (("fitted without the home place", judged), ("model/transfer/score.py", fixed)):
        real = [one for one in each if one.case.is_real]
        others = [one for one in each if not one.case.is_real]
        lines += [
            {"constants": name, "which": which, **figures(some)}
            for which, some in (("all", each), ("between real places", real), ("with a simulated place", others))
        ]
    return table(list(map(_words, lines[0])), [[_cell(value) for value in line.values()] for line in lines]), lines


def each_case(judged: Sequence[Judged], fixed: Sequence[Judged]) -> str:
    """Every case: accuracy at home, there, estimated; score and warning."""
    other = {one.case: one for one in fixed}
    lines = [
        [
            *(title(one.case.home), title(one.case.target), one.case.kind, str(one.case.seed)),
            *(f"{value:.3f}" for value in (one.case.home_accuracy, one.case.accuracy, one.case.loss)),
            *(text for by in (one, other[one.case]) for text in (f"{by.estimate:.3f}", f"{by.score:.2f}", "yes" if by.warned else "no")),
        ]
        for one in judged
    ]
    head = ["trained on", "place", "labels", "seed", "home", "there", "loss", "estimate", "score", "warned"]
    return table([*head, "estimate, score.py", "score", "warned"], lines)


def constants(fitted: dict[str, Fitted]) -> str:
    """What was fitted, by the home place that was left out."""
    lines = [[name, *(f"{w:.2f}" for w in by.weights), f"{by.threshold:.3f}"] for name, by in (*fitted.items(), ("score.py", CONSTANTS))]
    return table(["left out", *CONSTANTS.weights._fields, "threshold"], lines)


def computed(cells: Sequence[Cell], wanted: Sequence[str]) -> str:
    """The runs with cells, and their seconds; then what is missing."""
    lines, sums = [], np.zeros(4)
    for row in rows_of(cells, RUN):
        own = found(cells, **row)
        spent = [own[0]["train_s"], own[0]["train_cpu_s"], *(sum(cell[key] for cell in own) for key in ("s", "cpu_s"))]
        sums += spent
        where = ", ".join(f"{cell['place']} {cell['part']}" for cell in own)
        lines.append([*(str(value) or NONE for value in row.values()), *(f"{value:.0f}" for value in spent), where])
    missing = f"\n{len(wanted)} cells are missing{': ' + ', '.join(wanted[:12]) if wanted else ''}{', ...' if len(wanted) > 12 else ''}.\n"
    lines.append(["sum", *[""] * 5, *(f"{value:.0f}" for value in sums), f"{len(cells)} cells"])
    head = ["run", "labels", "place", "from", "known", "seed", "training, s", "of CPU", "scoring, s", "of CPU", "scored on"]
    return table(head, lines) + missing


def report(cells: Sequence[Cell], wanted: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """All tables, and the values of the last line."""
    every = cases(cells)
    judged, fitted = judge(every)
    fixed, _ = judge(every, CONSTANTS)
    text, lines = warned(judged, fixed)
    sections = {
        "Home and away (every patch of the other places)": home_and_away(cells),
        "Adapted, scored on the right half": adapted(cells),
        "Leave one place out": left_out(cells),
        "Warnings": "\n".join([text, constants(fitted), each_case(judged, fixed)]),
        "Computed": computed(cells, wanted),
    }
    note = f"Pixel accuracy / macro F1. Real: {', '.join(REAL)}. Simulated: {', '.join(SIMULATED)}.\n"
    means = [
        {
            **row,
            "seeds": len(own := found(cells, **row)),
            **{key: round(float(np.mean([cell[key] for cell in own])), 5) for key in (*FIGURES, *MAJORITY)},
        }
        for row in rows_of(cells, WHERE)
    ]
    runs = [found(cells, **row)[0] for row in rows_of(cells, RUN)]
    weights = {place: {**by.weights._asdict(), "threshold": by.threshold} for place, by in fitted.items()}
    return note + "".join(f"\n## {name}\n\n{part}" for name, part in sections.items()), {
        "cells": len(cells),
        "missing": list(wanted),
        **{key: round(sum(cell[key] for cell in cells) + sum(run[f"train_{key}"] for run in runs)) for key in ("s", "cpu_s")},
        "warnings": lines,
        "fitted": weights,
        "means": means,
    }


def _words(key: str) -> str:
    return key.replace("_", " ")


def _cell(value: object) -> str:
    return NONE if value is None else f"{value:.3f}".replace("0.", ".", 1) if isinstance(value, float) else str(value)
