"""Independent pieces of work on dask: its threads in this process, or the workers of a cluster. In order, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, Protocol, TypeVar

from dask.base import compute
from dask.delayed import delayed
from dask.threaded import get

Item = TypeVar("Item")
Result = TypeVar("Result")


class Steps(Protocol):
    """Work on parts in a row, where a part needs what is left over from the one before. Picklable for a cluster."""

    def read(self, part: Any, /) -> Any:  # noqa: ANN401 - whatever the steps pass on
        """The part's own input; the heavy part of the work."""

    def head(self, part: Any, /) -> Any:  # noqa: ANN401
        """What is left over from the part before, had on its own: for the first part of a run."""

    def tail(self, part: Any, block: Any, /) -> Any:  # noqa: ANN401
        """What is left over for the next part; small."""

    def cut(self, part: Any, block: Any, head: Any, /) -> Any:  # noqa: ANN401
        """The part's result."""


def cores() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered(function: Callable[[Item], Result], items: Iterable[Item], workers: int | None = None) -> Iterator[Result]:
    """`function(item)` of each item, in order; no more than `workers` (every core by default) are in flight."""
    workers = workers or cores()
    task = delayed(function, pure=False, traverse=False)
    waiting = iter(items)
    while group := list(islice(waiting, workers)):
        yield from compute(*map(task, group), scheduler="threads", num_workers=workers)  # type: ignore[no-untyped-call]


def run_steps(steps: Steps, parts: Sequence[Item], consume: Callable[[Item, Any], None], workers: int) -> None:
    """`consume(part, result)` of each part, in order and one at a time, on dask's threads.

    One graph: consuming is a chain, so dask works depth first and holds little more than `workers` parts.
    """
    graph: dict[tuple[str, int], Any] = {}
    for number, part in enumerate(parts):
        earlier = number - workers - 1  # reading does not run ahead of what is consumed
        graph["read", number] = (partial(_read, steps, part), *((("consume", earlier),) if earlier >= 0 else ()))
        if number:
            graph["head", number] = (partial(steps.tail, parts[number - 1]), ("read", number - 1))
        else:
            graph["head", 0] = (partial(steps.head, part),)
        graph["cut", number] = (partial(steps.cut, part), ("read", number), ("head", number))
        before = (("consume", number - 1),) if number else ()
        graph["consume", number] = (partial(_consume, consume, part), ("cut", number), *before)
    if parts:
        get(graph, ("consume", len(parts) - 1), num_workers=workers)


def _read(steps: Steps, part: Any, _after: None = None) -> Any:  # noqa: ANN401
    return steps.read(part)


def _consume(consume: Callable[[Item, Any], None], part: Item, result: Any, _before: None = None) -> None:  # noqa: ANN401
    consume(part, result)
