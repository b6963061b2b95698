"""Independent pieces of work on dask's threads: results in order, bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from dask.base import compute
from dask.delayed import delayed

Item = TypeVar("Item")
Result = TypeVar("Result")


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
