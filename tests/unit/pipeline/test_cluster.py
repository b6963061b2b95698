"""To which worker of a cluster a call goes, and when it is due there."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.cluster import Workers
from cropcam.pipeline.errors import WorkStoppedError


class Future:
    def __init__(self) -> None:
        self.is_done = False

    def done(self) -> bool:
        return self.is_done


class Scheduler:
    """What a client hears of workers with so many threads, and what it asks of them."""

    def __init__(self, threads: dict[str, int]) -> None:
        self.threads = threads
        self.asked: list[tuple[str | None, float]] = []
        self.futures: list[Future] = []

    def nthreads(self) -> dict[str, int]:
        return self.threads

    def submit(self, *_call: Any, priority: float, workers: str | None = None, **_how: Any) -> Future:
        self.asked.append((workers, priority))
        self.futures.append(Future())
        return self.futures[-1]


@given(st.dictionaries(st.sampled_from("abc"), st.integers(1, 4), min_size=1), st.lists(st.integers(1, 100), min_size=1))
def test_calls_are_spread_by_their_load(threads: dict[str, int], loads: list[int]) -> None:
    scheduler = Scheduler(threads)
    workers = Workers(scheduler)
    for load in loads:
        workers.submit(load, print)
    given_to: Counter[str | None] = Counter()
    for (worker, _), load in zip(scheduler.asked, loads, strict=True):
        given_to[worker] += load
    per_thread = [given_to[worker] / count for worker, count in threads.items()]
    assert max(per_thread) - min(per_thread) <= max(loads)


def test_what_is_done_burdens_nobody_and_a_worker_that_comes_is_asked() -> None:
    scheduler = Scheduler({"a": 1, "b": 1})
    workers = Workers(scheduler)
    for load in (9, 1):
        workers.submit(load, print)
    scheduler.futures[0].is_done = True
    workers.submit(5, print)
    scheduler.threads = {"a": 1, "b": 1, "c": 1}
    workers.submit(1, print)
    assert [worker for worker, _ in scheduler.asked] == ["a", "b", "a", "c"]
    scheduler.threads = {}
    workers.submit(1, print)
    assert scheduler.asked[-1][0] is None  # whoever comes


class Nobody(Scheduler):
    """A scheduler without a worker."""

    status = "running"

    def __init__(self) -> None:
        super().__init__({})

    def submit(self, *_call: Any, **_how: Any) -> Any:
        def never(timeout: float) -> None:
            raise TimeoutError(timeout)

        return SimpleNamespace(result=never)


def test_digests_are_not_waited_for_where_nobody_works() -> None:
    with pytest.raises(WorkStoppedError, match="has had no worker for 60 s; start workers and run the same command"):
        Workers(Nobody()).each(print, [1, 2])
