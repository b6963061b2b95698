"""Independent pieces of work on dask: its threads in this process, or the workers of a cluster. In order, in bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol, TypeVar

from dask.base import compute
from dask.delayed import delayed
from dask.threaded import get

Item = TypeVar("Item")
Result = TypeVar("Result")
Part = TypeVar("Part", bound="Pieces")


class Steps(Protocol):
    """Work on parts made of pieces, where a piece needs what the ones above and before it left over. Picklable for a cluster."""

    def read(self, piece: Any, /) -> Any:  # noqa: ANN401 - whatever the steps pass on
        """The piece's own input; the heavy part of the work."""

    def above(self, piece: Any, /) -> Any:  # noqa: ANN401
        """What the piece above left over, had on its own: for the first part of a run."""

    def below(self, piece: Any, block: Any, /) -> Any:  # noqa: ANN401
        """What is left over for the piece of the next part; small."""

    def beside(self, piece: Any, block: Any, above: Any, /) -> Any:  # noqa: ANN401
        """What is left over for the next piece of the same part; small."""

    def cut(self, piece: Any, block: Any, above: Any, before: Any, /) -> Any:  # noqa: ANN401
        """The piece's result; `before` is None for the first piece of a part."""

    def join(self, found: list[Any], /) -> Any:  # noqa: ANN401
        """The part's result from those of its pieces."""


class Pieces(Protocol):
    """One part of the work."""

    @property
    def pieces(self) -> Sequence[Any]:
        """Its pieces, in order; the parts of one work have equally many."""


def work_through(steps: Steps, parts: Sequence[Pieces]) -> Iterator[Any]:
    """The result of each of some neighbouring parts, one piece after the other."""
    above = [steps.above(piece) for piece in parts[0].pieces]
    for part in parts:
        found, before = [], None
        for number, piece in enumerate(part.pieces):
            block = steps.read(piece)
            found.append(steps.cut(piece, block, above[number], before))
            before, above[number] = steps.beside(piece, block, above[number]), steps.below(piece, block)
        yield steps.join(found)


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


def run_steps(steps: Steps, parts: Sequence[Part], consume: Callable[[Part, Any], None], workers: int) -> None:
    """`consume(part, result)` of each part, in order and one at a time, on dask's threads.

    One graph, which holds itself back. A piece is read once the piece `workers` places before it is read and the one twice as
    far back is cut: a thread that must wait for a neighbour's margin reads ahead, and no thread runs away, as dask takes
    last what has been ready for longest. What a piece leaves over is copied before it is cut: then its own input can go.
    """
    graph: dict[tuple[Any, ...], Any] = {}
    earlier: deque[tuple[int, int]] = deque(maxlen=2 * workers)
    for number, part in enumerate(parts):
        for column, piece in enumerate(part.pieces):
            here, left, up = (number, column), (number, column - 1), (number - 1, column)
            after = [("below", *earlier[-workers])] if len(earlier) >= workers else []
            after += [("cut", *earlier[0])] if len(earlier) == earlier.maxlen else []
            if number and column == min(2 * workers + 2, len(part.pieces) - 1):
                after += [("consume", number - 1)]  # its last pieces are cut by then; until it is consumed it takes memory
            graph["read", *here] = (_read, steps, piece, after)
            if not number:
                graph["below", *up] = (steps.above, piece)
            block, above, before = ("read", *here), ("below", *up), ("beside", *left) if column else None
            graph["below", *here] = (steps.below, piece, block)
            graph["beside", *here] = (steps.beside, piece, block, above)
            graph["cut", *here] = (_cut, steps, piece, block, above, before, [("below", *here), ("beside", *here)])
            earlier.append(here)
        cuts = [("cut", number, column) for column in range(len(part.pieces))]
        graph["consume", number] = (_consume, consume, part, steps.join, cuts, ("consume", number - 1) if number else None)
    if parts:
        get(graph, ("consume", len(parts) - 1), num_workers=workers)


def _read(steps: Steps, piece: Any, _after: list[Any]) -> Any:  # noqa: ANN401
    return steps.read(piece)


def _cut(steps: Steps, piece: Any, block: Any, above: Any, before: Any, _left_over: list[Any]) -> Any:  # noqa: ANN401
    return steps.cut(piece, block, above, before)


def _consume(consume: Callable[[Any, Any], None], part: Any, join: Callable[[list[Any]], Any], found: list[Any], _before: None) -> None:  # noqa: ANN401
    consume(part, join(found))
