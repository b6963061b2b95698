"""All windows of a map: on this machine, one window predicted while the next are read and the last is packed, or on a cluster's workers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

from cropcam.pipeline.grid import Window
from cropcam.pipeline.maps.cog import disk_errors
from cropcam.pipeline.maps.window_files import WindowFiles
from cropcam.pipeline.maps.window_job import LAYER, Block, Packed, WindowJob
from cropcam.pipeline.runtime.progress import Progress
from cropcam.pipeline.runtime.tasks import connected, run_on_cluster

AHEAD = 2  # windows that are read before they are predicted, and windows that wait to be written


def make_windows(job: WindowJob, files: WindowFiles, progress: Progress, scheduler: str | None = None) -> None:
    """Make the windows that are missing; what is done when this is stopped stays.

    Args:
        job: makes a window.
        files: where they are kept.
        progress: called after each window.
        scheduler: address of a dask.distributed scheduler, whose workers see the source under the same path; this machine without one.

    Raises:
        DataError: the source cannot be read, the predictor refuses, or the disk does.
        WorkStoppedError: the cluster went away.
    """
    todo, total = files.missing(numbers=LAYER in job.layers), len(files.windows)
    done = total - len(todo)
    progress(done, total, "")

    def keep(finished: tuple[Window, Packed]) -> None:
        nonlocal done
        with disk_errors(files.path(finished[0])):
            files.write(*finished)
        done += 1
        progress(done, total, f"row {finished[0].row}, column {finished[0].col}")

    if scheduler is None:
        _here(job, todo, keep)
        return
    with connected(scheduler) as client:
        run_on_cluster(client, _there, todo, keep, job)


def _there(job: WindowJob, window: Window) -> tuple[Window, Packed]:
    return window, job(window)


def _here(job: WindowJob, todo: Sequence[Window], keep: Any) -> None:  # noqa: ANN401 - a callable
    """Predict in this thread, which uses all cores for one window; read ahead and pack behind on others."""
    with ThreadPoolExecutor(AHEAD, thread_name_prefix="read") as readers, ThreadPoolExecutor(1, thread_name_prefix="pack") as packer:
        packing: deque[Future[tuple[Window, Packed]]] = deque()
        try:
            for window, block in _ahead(job, todo, readers):
                packing.append(packer.submit(_packed, job, window, job.scored(block)))
                while len(packing) > AHEAD or (packing and packing[0].done()):
                    keep(packing.popleft().result())
            while packing:
                keep(packing.popleft().result())
        finally:
            readers.shutdown(wait=True, cancel_futures=True)
            packer.shutdown(wait=True, cancel_futures=True)


def _packed(job: WindowJob, window: Window, scored: Any) -> tuple[Window, Packed]:  # noqa: ANN401 - as WindowJob.scored returns it
    return window, job.packed(window, scored)


def _ahead(job: WindowJob, todo: Iterable[Window], readers: ThreadPoolExecutor) -> Iterable[tuple[Window, Block | None]]:
    waiting = iter(todo)
    reading: deque[tuple[Window, Future[Block | None]]] = deque()
    while True:
        reading.extend((window, readers.submit(job.read, window)) for window in islice(waiting, AHEAD - len(reading)))
        if not reading:
            return
        window, future = reading.popleft()
        yield window, future.result()
