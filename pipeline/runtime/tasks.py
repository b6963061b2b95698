"""Independent tasks on dask: threads of this process, or the workers of a dask.distributed cluster."""

from __future__ import annotations

import asyncio
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import Any, TypeVar

from cropcam.pipeline.errors import ConfigError, DataError, WorkStoppedError
from cropcam.pipeline.extras import need

Item = TypeVar("Item")
Result = TypeVar("Result")
Done = Callable[[Any], object]  # takes the result of each task, in no order
RETRIES = 3  # of a task on a cluster: it may end on a worker that is cut off
_CONNECT_S, _POLL_S, _NOBODY_S = 10, 5, 60
_GOES_ON = "run the same command again: it goes on where it stopped"


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_threads() -> int | None:
    """Threads of the cluster's worker that calls this: a library with threads of its own takes no more. None outside of a worker."""
    if "distributed" not in sys.modules:
        return None
    from distributed import get_worker  # noqa: PLC0415

    try:
        return int(get_worker().state.nthreads)
    except ValueError:
        return None


def run_in_threads(function: Callable[[Item], Result], items: Sequence[Item], threads: int, done: Done) -> None:
    """`done(function(item))` of every item, begun in their order, `done` one at a time; no task is at work any more when this returns or raises."""
    from dask.threaded import get  # noqa: PLC0415 - most commands do without

    lock, waiting = Lock(), iter(items)

    def work(_number: int) -> None:
        with lock:  # not the item of this number: dask begins tasks in an order of its own
            item = next(waiting)
        result = function(item)
        with lock:
            done(result)

    graph: dict[Any, Any] = {("task", number): (work, number) for number in range(len(items))}
    with ThreadPoolExecutor(threads, thread_name_prefix="tasks") as pool:
        get(graph, list(graph), pool=pool, num_workers=threads)


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """A client of the scheduler at `address`.

    Raises:
        ConfigError: distributed is not installed, or the address is none.
        DataError: nobody answers there.
    """
    need("--scheduler", "cluster", instead="or leave it out")
    from distributed import Client  # noqa: PLC0415 - only clusters need it
    from distributed.comm.addressing import get_address_host_port  # noqa: PLC0415

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
        with client.as_current():
            yield client
    finally:
        client.close()


def run_on_cluster(client: Any, function: Callable[..., Any], items: Sequence[Any], done: Done, *given: Any) -> None:  # noqa: ANN401
    """`done(function(*given, item))` of every item: `function` on the workers, `done` here. Waits for workers that are still to come.

    Args:
        client: of `connected`.
        function: picklable.
        items: picklable.
        done: takes each result.
        given: picklable; goes to a worker once, not with each item, and stays one object there.

    Raises:
        WorkStoppedError: every worker is gone, one task killed several, or the scheduler went away.
    """
    from distributed import CancelledError, KilledWorker, wait  # noqa: PLC0415
    from distributed.comm.core import CommClosedError  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph")  # the weights of a network; scattered data would be lost with a worker
        shared = [client.submit(_itself, value, pure=False, retries=RETRIES) for value in given]
    futures = client.map(function, *([future] * len(items) for future in shared), items, pure=False, retries=RETRIES)
    try:
        waiting, patience = set(futures), _NOBODY_S
        while waiting:
            try:
                ended, waiting = wait(waiting, timeout=_POLL_S, return_when="FIRST_COMPLETED")  # type: ignore[no-untyped-call]
            except TimeoutError:
                patience = _NOBODY_S if client.nthreads() else patience - _POLL_S
                if patience <= 0 or client.status != "running":
                    raise WorkStoppedError(f"the dask cluster has had no worker for {_NOBODY_S} s; start workers and {_GOES_ON}") from None
                continue
            for future in ended:
                done(future.result())
    except WorkStoppedError:
        raise
    except (DataError, KeyboardInterrupt):
        _stop(client, futures)
        raise
    except KilledWorker:
        raise WorkStoppedError(
            f"several workers died on the same block; give them more memory, or fewer threads each, then {_GOES_ON}"
        ) from None
    except (CommClosedError, CancelledError, asyncio.CancelledError):
        raise WorkStoppedError(f"the dask scheduler went away; start it again and {_GOES_ON}") from None


def _itself(value: Item) -> Item:
    return value


def _stop(client: Any, futures: list[Any]) -> None:  # noqa: ANN401
    """Cancel tasks and wait until no worker is at one: what it wrote could reach a store that is made anew."""
    client.cancel(futures)
    for _ in range(_NOBODY_S):
        if not any(client.run(_running, on_error="ignore").values()):
            return
        time.sleep(1)


def _running(dask_worker: Any) -> int:  # noqa: ANN401 - distributed passes the worker to an argument of this name
    return int(dask_worker.state.executing_count)
