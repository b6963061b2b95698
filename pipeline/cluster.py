"""The same steps on a dask.distributed cluster, and single calls on its workers. Only this process keeps the journal."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from operator import itemgetter
from typing import Any

from cropcam.pipeline.errors import ConfigError, DataError, WorkStoppedError
from cropcam.pipeline.parallel import Item, Part, Result, Steps, work_one
from cropcam.pipeline.runtime.memory import keep_freed_memory

_TOGETHER = 5  # parts of one group at most: the first of them decodes the row of tiles above it once more
_CONNECT_S, _POLL_S, _NOBODY_S = 10, 5, 60


@contextmanager
def connected(address: str) -> Iterator[Workers]:
    """The workers of the scheduler at `address`.

    Raises:
        ConfigError: distributed is not installed, or the address is none.
        DataError: nobody answers there.
    """
    try:
        from distributed import Client  # noqa: PLC0415 - only clusters need it
        from distributed.comm.addressing import get_address_host_port  # noqa: PLC0415
    except ImportError:
        raise ConfigError("--scheduler needs dask.distributed; install it with: pip install distributed") from None
    try:
        get_address_host_port(address)  # before a client is made: one that could not be made is slow to go away, and loud
    except ValueError as error:
        raise ConfigError(f"--scheduler {address}: {str(error).splitlines()[0]}; write it as tcp://HOST:8786") from None
    try:
        client: Any = Client(address, timeout=_CONNECT_S, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError) as error:
        raise DataError(
            f"no dask scheduler answers at {address} ({str(error).splitlines()[0][:120] or type(error).__name__}); start one with 'dask scheduler', or leave --scheduler out"
        ) from None
    try:
        yield Workers(client)
    finally:
        client.close()


@dataclass(frozen=True)
class Answer:
    """What a worker will have found."""

    client: Any
    future: Any

    def done(self) -> bool:
        """Whether `result` need not wait."""
        return bool(self.future.done())

    def result(self) -> Any:  # noqa: ANN401 - whatever was asked
        """It; waits for it, also for workers that are still to come.

        Raises:
            WorkStoppedError: every worker is gone, this killed several, or the scheduler went away.
        """
        patience = _NOBODY_S
        with _in_words():
            while True:
                try:
                    return self.future.result(timeout=_POLL_S)
                except TimeoutError:
                    patience = _NOBODY_S if self.client.nthreads() else patience - _POLL_S
                    if patience <= 0 or self.client.status != "running":
                        raise WorkStoppedError(
                            f"the dask cluster has had no worker for {_NOBODY_S} s; start workers and run the same command: it goes on where it stopped"
                        ) from None


@dataclass
class Workers:
    """The workers of a cluster, as a client of their scheduler has them."""

    client: Any
    _consumed: int = 0  # the group of parts whose results are being consumed
    _calls: list[tuple[str | None, int, Answer]] = field(default_factory=list)  # those not known to be done, and to whom they went

    @property
    def dashboard(self) -> str:
        """Address of the scheduler's pages."""
        return str(self.client.dashboard_link)

    def submit(self, load: int, function: Callable[..., Any], *arguments: Any) -> Answer:  # noqa: ANN401
        """Have a worker call a function: from `consume`, after the group of parts that follows and before those after that.

        Earlier, calls would hold up the last parts of one worker while another has nothing left to do; later, what they consume would pile up.
        The worker is chosen here, by the `load` of its calls (of the same unit): a scheduler does not know that some take ten times as long as others, and
        of tasks without dependencies and without a worker it sends few, and late.
        """
        threads = self.client.nthreads()
        self._calls = [call for call in self._calls if not call[2].done()]
        loads = {worker: sum(each for at, each, _ in self._calls if at == worker) / max(count, 1) for worker, count in threads.items()}
        worker = min(loads, key=loads.__getitem__, default=None)
        where = {"workers": worker, "allow_other_workers": True} if worker else {}
        future = self.client.submit(function, *arguments, pure=False, priority=-self._consumed - 1.5, **where)
        answer = Answer(self.client, future)
        self._calls.append((worker, load, answer))
        return answer

    def each(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """`function(item)` of each item, in order, before all other work. From any thread.

        Raises:
            WorkStoppedError: as of `Answer.result`.
        """
        with _in_words():
            answers = [Answer(self.client, self.client.submit(function, item, pure=False, priority=1)) for item in items]
        return [answer.result() for answer in answers]

    def everywhere(self, function: Callable[[], Any]) -> None:
        """Call a function on every worker; what fails there is let be."""
        self.client.run(function, on_error="ignore")

    def run_steps(self, steps: Steps, parts: Sequence[Part], consume: Callable[[Part, Any], None], leave: Callable[[Any], Any]) -> None:
        """`consume(part, leave(result))` of each part, in order, in this process; all else, `leave` too, on the workers.

        Neighbours are worked one after the other, each with what the one before left over, in groups; two groups per thread are in
        flight. What is lost with a worker is worked again by another.

        Raises:
            WorkStoppedError: every worker is gone, one part killed several, or the scheduler went away.
        """
        with _in_words():
            threads = max(1, int(sum(self.client.nthreads().values())))
            waiting: deque[tuple[int, Part, Answer]] = deque()

            def consume_first() -> None:
                self._consumed, part, answer = waiting.popleft()
                consume(part, answer.result())

            for number, group in enumerate(groups(parts, threads)):
                while waiting and number - waiting[0][0] >= 2 * threads:
                    consume_first()
                done = left = None
                for part in group:
                    # `left` comes first, or a worker of one thread would hand it over only after the next part
                    done = self.client.submit(_work, steps, part, done, leave, left, pure=False, priority=-number)
                    left = self.client.submit(itemgetter(0), done, pure=False, priority=1)
                    waiting.append((number, part, Answer(self.client, left)))
            while waiting:
                consume_first()


@cache
def _keep_memory() -> None:
    """Let this process's malloc keep some tens of megabytes that were freed, where it is glibc's.

    A nanny tells its workers to give everything back at once (MALLOC_TRIM_THRESHOLD_); GDAL's tiles are then mapped, cleared and unmapped one by one, at
    a third of the time that cutting takes.
    """
    keep_freed_memory(32 * 2**20, heap_bytes=64 * 2**20)


def _work(
    steps: Steps,
    part: Part,
    before: tuple[Any, Sequence[Any]] | None,
    leave: Callable[[Any], Any],
    _left: Any,  # noqa: ANN401
) -> tuple[Any, Sequence[Any]]:
    _keep_memory()
    found, below = work_one(steps, part, before[1] if before else None)
    return leave(found), below


def groups(parts: Sequence[Part], threads: int) -> Iterator[Sequence[Part]]:
    """Neighbours, equally many for each thread: the first of a group reads its head on its own, which decodes some tiles again."""
    rounds = max(1, -(-len(parts) // (_TOGETHER * threads)))
    edges = [len(parts) * n // (rounds * threads) for n in range(rounds * threads + 1)]
    yield from (parts[start:stop] for start, stop in pairwise(edges) if start < stop)


@contextmanager
def _in_words() -> Iterator[None]:
    from distributed import CancelledError, KilledWorker  # noqa: PLC0415
    from distributed.comm.core import CommClosedError  # noqa: PLC0415

    try:
        yield
    except KilledWorker:
        raise WorkStoppedError(
            "several workers died on the same part; give them more memory, or fewer threads each, then run it again"
        ) from None
    except (CommClosedError, CancelledError, asyncio.CancelledError):
        raise WorkStoppedError(
            "the dask scheduler went away; start it again and run the same command: it goes on where it stopped"
        ) from None
