"""What one request may cost: time, and the memory of the values that it makes. Nothing is allocated before it is known to fit.

A budget holds for a block of code and all that it calls, in its thread. Without one nothing is limited, as in tests of single algorithms.

Source: Earth Engine guide "Debugging guide", "User memory limit exceeded" and "Computation timed out"; the numbers are not the service's.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from cropcam.pipeline.emulator.service_texts import TEXTS

ITEMS = 1_000_000  # of one list, of one text in units of `_CHARACTERS`, of one collection
RETAINED = 4_000_000  # of all values that one evaluation keeps
_CHARACTERS = 8  # of text weigh as much as one element of a list
Item = TypeVar("Item")


@dataclass
class Budget:
    """Time and room that are left."""

    until_s: float
    room: int = RETAINED


_current: ContextVar[Budget | None] = ContextVar("budget", default=None)


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """A budget of so many seconds for the block."""
    token = _current.set(Budget(time.monotonic() + seconds))
    try:
        yield
    finally:
        _current.reset(token)


def check_time() -> None:
    """Give up once the time is over.

    Raises:
        EngineError: it is.
    """
    budget = _current.get()
    if budget is not None and time.monotonic() > budget.until_s:
        raise TEXTS["timeout"].error()


def seconds_left(most: float) -> float:
    """Seconds that one step may take, at most `most`; never 0."""
    budget = _current.get()
    return most if budget is None else max(min(most, budget.until_s - time.monotonic()), 1e-3)


def check_items(count: float) -> None:
    """Refuse a list of so many elements before it is made.

    Raises:
        EngineError: it is too large.
    """
    if count > ITEMS:
        raise TEXTS["memory"].error()


def check_text(characters: int) -> None:
    """Refuse a text of so many characters before it is made.

    Raises:
        EngineError: it is too long.
    """
    check_items(characters / _CHARACTERS)


def check_steps(count: float) -> None:
    """Refuse so many comparisons before they begin: they hold all other requests up.

    Raises:
        EngineError: they are too many.
    """
    if count > 100 * ITEMS:
        raise TEXTS["timeout"].error()


def gathered(items: Iterable[Item]) -> list[Item]:
    """The items as a list.

    Raises:
        EngineError: they are too many, or take too long.
    """
    found: list[Item] = []
    for item in items:
        found.append(item)
        check_items(len(found))
        check_time()
    return found


def weight(value: Any) -> int:  # noqa: ANN401 - any value
    """Elements that a value has, with those of all lists within it: what it takes as JSON, and at most in memory.

    Raises:
        EngineError: more than `ITEMS`.
    """
    total, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str | bytes):
            total += len(one) // _CHARACTERS
        elif isinstance(one, list | tuple | Mapping):
            total += len(one)
            check_items(total)
            inner = one.values() if isinstance(one, Mapping) else one
            waiting.extend(part for part in inner if not isinstance(part, int | float))
        elif (coordinates := getattr(one, "coordinates", None)) is not None:  # of a geometry
            waiting += (coordinates, getattr(one, "parts", ()))
    check_items(total)
    return total


def keep(count: int) -> None:
    """Count so many elements as kept; a negative number frees them.

    Raises:
        EngineError: all that is kept is too much.
    """
    budget = _current.get()
    if budget is not None:
        budget.room -= count
        if budget.room < 0:
            raise TEXTS["memory"].error()
