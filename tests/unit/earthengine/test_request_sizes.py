"""Sizes of requests: two failures make them smaller, and until one has succeeded two are under way."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.earthengine.request_sizes import RequestSizes


class Service:
    """Requests that fail above a size; `most` counts those under way at once, by size."""

    def __init__(self, largest_px: int, kind: str = "timeout") -> None:
        self.largest_px, self.kind = largest_px, kind
        self.asked: list[int] = []
        self.failed: list[int] = []
        self._lock = threading.Lock()

    def send(self, px: int) -> int:
        with self._lock:
            self.asked.append(px)
        if px > self.largest_px:
            self.failed.append(px)
            raise ServiceError("Computation timed out.", self.kind)
        return px


def whole(sizes: RequestSizes, service: Service, px: int, layer: str = "image") -> int:
    """A window, in parts where it is too large: their number."""
    if sizes.ask(layer, px, lambda: service.send(px)) is not None:
        return 1
    part = sizes.part_px(layer, px)
    return (-(-px // part)) ** 2 * whole(sizes, service, part, layer)


@pytest.mark.parametrize("kind", ["timeout", "memory", "request_size"])
def test_after_two_failures_all_requests_have_half_the_side(kind: str) -> None:
    changes = []
    sizes, service = RequestSizes({"image": 512}, changed=lambda *change: changes.append(change)), Service(256, kind)
    assert [whole(sizes, service, 512) for _ in range(5)] == [4] * 5
    assert service.failed == [512, 512]
    assert changes == [("image", 256)]
    assert sizes.side_px("image") == 256


def test_half_is_halved_again_and_layers_do_not_share_a_size() -> None:
    changes = []
    sizes = RequestSizes({"image": 512, "labels": 2048}, changed=lambda *change: changes.append(change))
    service = Service(100)
    for _ in range(6):
        whole(sizes, service, 512)
    assert changes == [("image", 256), ("image", 128), ("image", 64)]
    assert service.failed == [512, 256, 128, 512, 256, 128]
    assert sizes.side_px("labels") == 2048
    assert sizes.ask("labels", 2048, lambda: 1) == 1


def test_one_failure_among_successes_changes_nothing() -> None:
    sizes = RequestSizes({"image": 512})
    answers = iter([True, True, False, True, True])

    def send() -> int:
        if not next(answers):
            raise ServiceError("Computation timed out.", "timeout")
        return 1

    assert [sizes.ask("image", 512, send) for _ in range(5)] == [1, 1, None, 1, 1]
    assert sizes.side_px("image") == 512


def test_what_an_earlier_run_has_learned_is_where_this_one_begins() -> None:
    sizes, service = RequestSizes({"image": 512}, {"image": 128, "gone": 64}), Service(10_000)
    assert whole(sizes, service, 512) == 16
    assert service.asked == [128]
    assert RequestSizes({"image": 256}, {"image": 512}).side_px("image") == 256


def test_windows_at_an_edge_count_as_the_size_they_belong_to() -> None:
    sizes = RequestSizes({"image": 768})
    for px in (700, 500):
        assert sizes.ask("image", px, lambda px=px: Service(100).send(px)) is None
    assert sizes.side_px("image") == 384
    assert sizes.ask("image", 385, lambda: 1) is None
    assert sizes.part_px("image", 385) == 384


@pytest.mark.parametrize("workers", [2, 40])
def test_a_layer_that_always_times_out_costs_two_windows_however_many_workers_wait(workers: int) -> None:
    sizes = RequestSizes({"image": 512})
    at_once, lock, most = [0], threading.Lock(), [0]
    both = threading.Barrier(2)
    sent: list[int] = []

    def send(px: int) -> int:
        with lock:
            sent.append(px)
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        if px == 512:
            both.wait(30)  # the second begins before the first has failed
        with lock:
            at_once[0] -= 1
        if px > 256:
            raise ServiceError("Computation timed out.", "timeout")
        return px

    def window() -> int | None:
        found = sizes.ask("image", 512, lambda: send(512))
        return found if found is not None else sizes.ask("image", 256, lambda: send(256))

    with ThreadPoolExecutor(workers) as pool:
        assert list(pool.map(lambda _: window(), range(200))) == [256] * 200
    assert sent.count(512) == 2


def test_all_workers_go_once_a_request_has_succeeded() -> None:
    sizes = RequestSizes({"image": 512})
    assert sizes.ask("image", 512, lambda: 1) == 1
    all_at_once = threading.Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: sizes.ask("image", 512, lambda: all_at_once.wait(30) >= 0), range(8))) == [True] * 8


def test_other_errors_and_the_smallest_size_are_the_callers() -> None:
    sizes = RequestSizes({"image": 512})
    with pytest.raises(ServiceError, match="no permission"):
        sizes.ask("image", 512, lambda: (_ for _ in ()).throw(ServiceError("no permission", "permission")))
    assert sizes.side_px("image") == 512
    with pytest.raises(ServiceError, match="timed out"):
        sizes.ask("image", 32, lambda: Service(10).send(32))


def test_a_stopped_run_ends_those_that_wait() -> None:
    sizes = RequestSizes({"image": 512})
    begun, end = threading.Semaphore(0), threading.Event()

    def long() -> int:
        begun.release()
        assert end.wait(30)
        return 1

    with ThreadPoolExecutor(3) as pool:
        first = [pool.submit(sizes.ask, "image", 512, long) for _ in range(2)]
        assert begun.acquire(timeout=30)
        assert begun.acquire(timeout=30)
        third = pool.submit(sizes.ask, "image", 512, long)
        sizes.stop()
        with pytest.raises(ServiceError, match="stopped"):
            third.result(30)
        end.set()
        assert [one.result(30) for one in first] == [1, 1]
