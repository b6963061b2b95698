"""The doubtful points: a question, how to ask it of one side, and how to judge both answers.

An answer is a mapping of JSON values; under "arrays" it may hold pixels, which are compared and not reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from live.side import Side

Answer = dict[str, Any]
LEAST_SHARE = 0.999  # of pixels that are equal; whether the service projects each centre exactly is not documented


@dataclass(frozen=True)
class Verdict:
    """Whether both answers are the same, whether the service's is as cropcam needs it, and what was found in comparing."""

    equal: bool | None
    holds: bool | None
    notes: Mapping[str, Any]


@dataclass(frozen=True)
class Point:
    """One question.

    Attributes:
        name: short, unique.
        question: one sentence.
        ask: the answer of one side.
        judge: of the service's answer and the embedded engine's.
        begin: called for all points before the first question: starts tasks, which run while other questions are asked.
        needs: what a side must have ("drive", "gs", "fetch"), or "".
        seconds: at most needed, as far as is known.
        eecu_s: likewise.
    """

    name: str
    question: str
    ask: Callable[[Side], Answer]
    judge: Callable[[Answer, Answer], Verdict]
    begin: Callable[[Side], None] | None = None
    needs: str = ""
    seconds: float = 30.0
    eecu_s: float = 20.0


def same(*keys: str, needed: Callable[[Answer], bool] | None = None) -> Callable[[Answer, Answer], Verdict]:
    """Judge by equal values under some keys (all but times, if none is named); `needed` is what cropcam relies on."""

    def judge(service: Answer, embedded: Answer) -> Verdict:
        names = keys or tuple(sorted((service.keys() | embedded.keys()) - {"seconds", "arrays"}))
        different = {name: [service.get(name), embedded.get(name)] for name in names if _differ(service.get(name), embedded.get(name))}
        return Verdict(not different, needed(service) if needed else None, {"different": sorted(different)} if different else {})

    return judge


def pixels_agree(service: Answer, embedded: Answer) -> Verdict:
    """Judge by pixels: 99.9 % are equal, and each that differs has the value of a pixel beside it."""
    notes = {name: differences(service["arrays"][name], embedded["arrays"][name]) for name in service["arrays"]}
    holds = all(one["share equal"] >= LEAST_SHARE and one["not from a neighbour"] == 0 for one in notes.values())
    return Verdict(all(one["share equal"] == 1 for one in notes.values()), holds, notes)


def only_compared(service: Answer, embedded: Answer) -> Verdict:
    """Judge by pixels that cropcam does not rely on."""
    found = pixels_agree(service, embedded)
    return Verdict(found.equal, None, found.notes)


def differences(theirs: npt.NDArray[Any], ours: npt.NDArray[Any]) -> dict[str, Any]:
    """How two arrays (y, x) or (band, y, x) differ: the share of equal pixels, the size of the differences, and how many are no shift by a pixel.

    A pixel counts as shifted where one side has the value that the other has in one of the eight pixels beside it.
    """
    if theirs.shape != ours.shape:
        return {"share equal": 0.0, "not from a neighbour": theirs.size, "shapes": [theirs.shape, ours.shape]}
    first, second = (np.atleast_3d(one.T).T.astype(np.float64) for one in (theirs, ours))
    different = first != second
    if not different.any():
        return {"share equal": 1.0, "pixels": int(first.size), "not from a neighbour": 0}
    padded = np.pad(second, ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    height, width = first.shape[1:]
    shifts = [padded[:, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    shifted = np.any([first == other for other in shifts], axis=0)
    gaps = np.abs(first - second)[different]
    return {
        "share equal": float(1 - different.mean()),
        "pixels": int(first.size),
        "differ": int(different.sum()),
        "not from a neighbour": int((different & ~shifted).sum()),
        "largest difference": float(gaps.max()),
        "median difference": float(np.median(gaps)),
        "where": np.argwhere(different)[:20].tolist(),
    }


def _differ(first: object, second: object) -> bool:
    """Whether two answers differ; times do not count."""
    return _timeless(first) != _timeless(second)


def _timeless(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _timeless(inner) for key, inner in value.items() if key != "seconds"}
    return [_timeless(inner) for inner in value] if isinstance(value, list | tuple) else value
