"""Independent pieces of work on dask: its threads in this process, or the workers of a cluster. In order, in bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Lock
from typing import Any, Protocol, TypeVar

from dask.base import compute
from dask.delayed import delayed
from dask.threaded import get

AHEAD = 3  # pieces that a thread may have read and not cut
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


def work_one(steps: Steps, part: Pieces, above: Sequence[Any] | None = None) -> tuple[Any, list[Any]]:
    """The result of one part, one piece after the other, and what its pieces leave over for the next part.

    Args:
        steps: what is to be done.
        part: where.
        above: what the part before it left over, if this process knows.
    """
    found, below, before = [], [], None
    for piece, over in zip(part.pieces, above or map(steps.above, part.pieces), strict=True):
        block = steps.read(piece)
        found.append(steps.cut(piece, block, over, before))
        before = steps.beside(piece, block, over)
        below.append(steps.below(piece, block))
    return steps.join(found), below


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


@dataclass
class _Held:
    """A piece that was read: its input, until it is cut, and what it leaves over."""

    block: Any
    below: Any
    beside: Any


def run_steps(steps: Steps, parts: Sequence[Part], consume: Callable[[Part, Any], None], workers: int) -> None:
    """`consume(part, result)` of each part, in order and one at a time, on dask's threads.

    One graph, which holds itself back. A piece is read once the piece `workers` places before it is read and the one AHEAD times
    as far back is cut: a thread that must wait for a neighbour's margin reads on, and none runs away, as dask takes last
    what has been ready for longest. What a piece leaves over is copied when it is read: its input goes when it is cut.
    """
    graph: dict[tuple[Any, ...], Any] = {}
    turn = _Turn()
    earlier: deque[tuple[int, int]] = deque(maxlen=AHEAD * workers)
    for number, part in enumerate(parts):
        for column, piece in enumerate(part.pieces):
            here, left, up = ("read", number, column), ("read", number, column - 1) if column else None, ("read", number - 1, column)
            if not number:
                graph[up] = (_above, steps, piece)
            after: list[Any] = [("read", *earlier[-workers])] if len(earlier) >= workers else []
            after += [("cut", *earlier[0])] if len(earlier) == earlier.maxlen else []
            if number and column >= min(2 * workers, len(part.pieces) - 1):
                after.append(("consume", number - 1))  # its last pieces are cut by then; until it is consumed it takes memory
            graph[here] = (_read, steps, piece, up, after)
            graph["cut", number, column] = (_cut, steps, piece, here, up, left)
            earlier.append((number, column))
        cuts = [("cut", number, column) for column in range(len(part.pieces))]
        graph["consume", number] = (_consume, turn, consume, part, steps.join, cuts, ("consume", number - 1) if number else None)
    try:
        if parts:
            get(graph, ("consume", len(parts) - 1), num_workers=workers)
    finally:
        turn.end()  # dask raises what one thread raised while others go on


class _Turn:
    """The right to consume; after `end` nobody has it, and nobody is at it."""

    def __init__(self) -> None:
        self._lock, self._ended = Lock(), False

    def end(self) -> None:
        """Refuse whoever comes; wait for the one who has it."""
        self._ended = True
        with self._lock:
            pass

    def take(self, consume: Callable[[Part, Any], None], part: Part, found: Any) -> None:  # noqa: ANN401
        """`consume(part, found)`, unless it is over."""
        with self._lock:
            if not self._ended:
                consume(part, found)


def _above(steps: Steps, piece: Any) -> _Held:  # noqa: ANN401
    return _Held(None, steps.above(piece), None)


def _read(steps: Steps, piece: Any, above: _Held, _after: list[Any]) -> _Held:  # noqa: ANN401
    block = steps.read(piece)
    return _Held(block, steps.below(piece, block), steps.beside(piece, block, above.below))


def _cut(steps: Steps, piece: Any, here: _Held, above: _Held, left: _Held | None) -> Any:  # noqa: ANN401
    block, here.block = here.block, None
    return steps.cut(piece, block, above.below, left.beside if left else None)


def _consume(
    turn: _Turn,
    consume: Callable[[Any, Any], None],
    part: Any,  # noqa: ANN401
    join: Callable[[list[Any]], Any],
    found: list[Any],
    _before: None,
) -> None:
    turn.take(consume, part, join(found))
