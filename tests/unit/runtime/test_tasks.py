"""Independent tasks on threads and on a cluster: each once, errors as they are, nobody waited for in vain."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.pipeline.errors import ConfigError, DataError, WorkStoppedError
from cropcam.pipeline.runtime import tasks
from cropcam.pipeline.runtime.tasks import connected, cores, run_in_threads, run_on_cluster, worker_threads
from support.clusters import local_cluster


def square(number: int) -> int:
    """The task."""
    if number < 0:
        raise DataError(f"{number} is negative")
    return number**2


def test_there_is_a_core() -> None:
    assert cores() >= 1


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 99)), st.integers(1, 4))
def test_every_task_is_done_once(items: list[int], threads: int) -> None:
    found: list[int] = []
    run_in_threads(square, items, threads, found.append)
    assert sorted(found) == sorted(number**2 for number in items)


def test_tasks_begin_in_order_and_results_come_one_at_a_time() -> None:
    began: list[int] = []
    inside = threading.Lock()

    def work(number: int) -> int:
        began.append(number)
        return number

    def done(_number: int) -> None:
        assert inside.acquire(blocking=False)
        inside.release()

    run_in_threads(work, range(50), 1, done)
    assert began == list(range(50))
    run_in_threads(work, range(50), 3, done)


def test_nothing_is_at_work_any_more_when_an_error_comes_out() -> None:
    begun, failed, ended = threading.Event(), threading.Event(), threading.Event()

    def work(item: str) -> None:
        if item == "fails":
            assert begun.wait(60)
            failed.set()
            raise DataError("it failed")
        if item == "slow":
            begun.set()
            assert failed.wait(60)
            ended.set()
        assert item != "never"

    with pytest.raises(DataError, match=r"^it failed$"):
        run_in_threads(work, ["slow", "fails", *["never"] * 9], 2, lambda _result: None)
    assert ended.is_set()


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A cluster of two threads in this process."""
    with local_cluster() as address, connected(address) as found:
        yield found


def test_a_cluster_does_every_task_once(client: Any) -> None:
    found: list[int] = []
    run_on_cluster(client, square, [3, 1, 1, 2], found.append)
    assert sorted(found) == [1, 1, 4, 9]
    run_on_cluster(client, square, [], found.append)


class Given:
    """Travels as its pickle; `ids` are of the objects that tasks have seen."""

    ids: set[int] = set()  # noqa: RUF012 - of this process, in which the worker runs

    def times(self, number: int) -> int:
        return 3 * number


def with_given(given: Given, number: int) -> int:
    Given.ids.add(id(given))
    return given.times(number)


def test_what_is_given_to_every_task_is_one_object_on_a_worker(client: Any) -> None:
    found: list[int] = []
    run_on_cluster(client, with_given, list(range(10)), found.append, Given())
    assert sorted(found) == list(range(0, 30, 3))
    assert len(Given.ids) == 1


def test_a_worker_knows_its_threads(client: Any) -> None:
    assert client.submit(worker_threads, pure=False).result() == next(iter(client.nthreads().values()))
    assert worker_threads() is None


def test_an_error_on_a_worker_is_the_same_here(client: Any) -> None:
    with pytest.raises(DataError, match=r"^-2 is negative$"):
        run_on_cluster(client, square, [1, -2], lambda _result: None)


def test_nothing_is_at_work_on_a_cluster_when_an_error_comes_out(client: Any) -> None:
    begun, failed = threading.Event(), threading.Event()
    ended: list[str] = []

    def work(item: str) -> None:  # the workers are threads of this process
        if item == "fails":
            assert begun.wait(60)
            failed.set()
            raise DataError("it failed")
        if item == "slow":
            begun.set()
            assert failed.wait(60)
            threading.Event().wait(0.3)  # goes on a while after the error
            ended.append(item)

    SHARED["work"] = work
    with pytest.raises(DataError, match=r"^it failed$"):
        run_on_cluster(client, call_shared, ["slow", "fails"], lambda _result: None)
    assert ended == ["slow"]


SHARED: dict[str, Any] = {}


def call_shared(item: str) -> None:
    """Calls `SHARED["work"]`, which cannot be pickled."""
    SHARED["work"](item)


class Nobody:
    """A scheduler without a worker."""

    status = "running"

    def map(self, _function: Any, items: Any, **_how: Any) -> list[Any]:
        return list(items)

    def nthreads(self) -> dict[str, int]:
        return {}

    def cancel(self, _futures: Any) -> None:
        pass

    def run(self, *_call: Any, **_how: Any) -> dict[str, int]:
        return {}


@pytest.mark.parametrize("status", ["running", "closed"])
def test_a_cluster_without_a_worker_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    import distributed

    waits: list[float] = []

    def never(_waiting: Any, timeout: float, **_how: Any) -> None:
        waits.append(timeout)
        raise TimeoutError

    client = Nobody()
    client.status = status
    monkeypatch.setattr(distributed, "wait", never)
    with pytest.raises(WorkStoppedError, match="has had no worker for 60 s; start workers and run the same command again: it goes on"):
        run_on_cluster(client, square, [1, 2], lambda _result: None)
    assert sum(waits) == (60 if status == "running" else 5)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("KilledWorker", "several workers died on the same block; give them more memory"),
        ("CancelledError", "the dask scheduler went away; start it again"),
    ],
)
def test_what_ends_a_cluster_is_said(monkeypatch: pytest.MonkeyPatch, error: str, message: str) -> None:
    import distributed

    kind = getattr(distributed, error)
    problem = kind("task", "worker", 3) if error == "KilledWorker" else kind("task")

    class Future:
        def result(self) -> None:
            raise problem

    class Client(Nobody):
        def map(self, _function: Any, _items: Any, **_how: Any) -> list[Any]:
            return [Future()]

    monkeypatch.setattr(distributed, "wait", lambda waiting, **_how: (waiting, set()))
    with pytest.raises(WorkStoppedError, match=message):
        run_on_cluster(Client(), square, [1], lambda _result: None)


@pytest.mark.parametrize(
    ("address", "kind", "message"),
    [
        ("tcp://127.0.0.1:1", DataError, "no dask scheduler answers at tcp://127.0.0.1:1 .*; start one with 'dask scheduler', or leave"),
        ("nonsense://x", ConfigError, "--scheduler nonsense://x: .*; write it as tcp://HOST:8786"),
    ],
)
def test_a_scheduler_that_is_not_there(monkeypatch: pytest.MonkeyPatch, address: str, kind: type[Exception], message: str) -> None:
    monkeypatch.setattr(tasks, "_CONNECT_S", 1)
    with pytest.raises(kind, match=message) as caught, connected(address):
        pass
    assert "\n" not in str(caught.value)
