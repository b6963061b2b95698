"""The same steps on a dask.distributed cluster. This process is the only one that writes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pipeline.errors import ConfigError, DataError, WorkStoppedError
from pipeline.parallel import Part, Steps, work_through

_TOGETHER = 3  # parts of one task at most: their results travel together
_CONNECT_S, _POLL_S, _NOBODY_S = 10, 5, 60


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """A client of the scheduler at `address`.

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
        yield client
    finally:
        client.close()


def run_steps(client: Any, steps: Steps, parts: Sequence[Part], consume: Callable[[Part, Any], None]) -> None:  # noqa: ANN401 - distributed is optional
    """`consume(part, result)` of each part, in order, in this process; all else on the workers.

    Two groups of parts per thread are in flight. What is lost with a worker is worked again by another.

    Raises:
        WorkStoppedError: every worker is gone, one part killed several, or the scheduler went away.
    """
    from distributed import CancelledError, KilledWorker  # noqa: PLC0415
    from distributed.comm.core import CommClosedError  # noqa: PLC0415

    try:
        waiting: deque[tuple[Sequence[Part], Any]] = deque()
        for number, group in enumerate(_groups(parts, _threads(client))):
            waiting.append((group, client.submit(work_through, steps, group, pure=False, priority=-number)))
            while len(waiting) >= 2 * _threads(client):
                _next(client, waiting, consume)
        while waiting:
            _next(client, waiting, consume)
    except KilledWorker:
        raise WorkStoppedError(
            "several workers died on the same part; give them more memory, or fewer threads each, then run it again"
        ) from None
    except (CommClosedError, CancelledError, asyncio.CancelledError):
        raise WorkStoppedError(
            "the dask scheduler went away; start it again and run the same command: it goes on where it stopped"
        ) from None


def _groups(parts: Sequence[Part], threads: int) -> Iterator[Sequence[Part]]:
    """Neighbours that one task works through: the first of a group reads its head on its own, which decodes some tiles again."""
    size = max(1, min(_TOGETHER, len(parts) // (4 * threads)))
    for start in range(0, len(parts), size):
        yield parts[start : start + size]


def _threads(client: Any) -> int:  # noqa: ANN401
    return max(1, int(sum(client.nthreads().values())))


def _next(client: Any, waiting: deque[tuple[Sequence[Any], Any]], consume: Callable[[Any, Any], None]) -> None:  # noqa: ANN401
    group, future = waiting.popleft()
    patience = _NOBODY_S
    while True:
        try:
            results = future.result(timeout=_POLL_S)
            break
        except TimeoutError:
            patience = _NOBODY_S if client.nthreads() else patience - _POLL_S
            if patience <= 0 or client.status != "running":
                raise WorkStoppedError(
                    f"the dask cluster has had no worker for {_NOBODY_S} s; start workers and run the same command: it goes on where it stopped"
                ) from None
    for part, result in zip(group, results, strict=True):
        consume(part, result)
