"""Direct delivery: a study's shards by `computePixels` requests, resumable by window, complete or absent.

Final shards are byte for byte the same, whether the run was disturbed or not.

Source: Earth Engine REST reference, "projects.image/computePixels"; guide "Earth Engine quotas".
"""

from __future__ import annotations

import errno
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy.typing as npt
from rasterio.errors import RasterioError

from cropcam.pipeline.earthengine.delivered_shards import Shard, changed_fields, is_written, verify, write_shard
from cropcam.pipeline.earthengine.delivery_cost import DeliveryCost
from cropcam.pipeline.earthengine.delivery_plan import SHARD_PX, window_sides, windows_of
from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.earthengine.graphs import graph, graph_digest
from cropcam.pipeline.earthengine.kept import Pixels
from cropcam.pipeline.earthengine.layers import Layer, layers_of
from cropcam.pipeline.earthengine.pixel_requests import Journal, empty_pixels, fetch
from cropcam.pipeline.earthengine.plan import cells
from cropcam.pipeline.earthengine.preflight import check_inputs
from cropcam.pipeline.earthengine.request_sizes import RequestSizes
from cropcam.pipeline.earthengine.session import Session
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import Window
from cropcam.pipeline.runtime.atomic import exclusive_lock, kept_if_filled, remove
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.study.study import Study

WORKERS = 40  # concurrent requests a project may have


@dataclass(frozen=True)
class _Job:
    layer: Layer
    shard: Shard
    window: Window


def deliver(
    study: Study,
    session: Session,
    out: Path,
    *,
    workers: int = WORKERS,
    window_px: int | None = None,
    shard_px: int = SHARD_PX,
    pixels: Pixels | None = None,
    progress: Progress = silent,
    log: Callable[[str], object] = silent,
) -> list[Path]:
    """Write all layers of a study as shards into the folder `out`; existing shards stay.

    `image.tif`, `labels.tif` (and `count.tif`), with offsets in their names where a layer has several. Of shards and windows that lie
    outside `area.region` nothing is asked for: such a shard is not written, and such a window has no data.

    Args:
        study: the study.
        session: an open session.
        out: the folder; made if absent.
        workers: requests at once, 1 to 40.
        window_px: side of a request's window, a multiple of 256; by default by layer (`pixel_requests.window_px_for`).
        shard_px: side of a shard, a multiple of the windows'.
        pixels: where the pixels of a layer come from; by default its graph.
        progress: called with (windows done, windows in all, note).
        log: called with a line per event.

    Returns:
        The shards, in the order of layers and rows.

    Raises:
        EarthEngineError: the service refused, or was busy for too long; run again to go on.
        DataError: the folder holds something of another study, or the disk is full.
        ConfigError: an option breaks a limit.
    """
    sides = window_sides(study, window_px, shard_px)
    if not 1 <= workers <= WORKERS:
        raise ConfigError(f"--workers {workers}: 1 to {WORKERS} requests at once are allowed")
    with kept_if_filled(out), exclusive_lock(out / "delivery"), _disk_errors(out):
        return _Delivery(study, session, out, sides, shard_px, pixels or partial(graph, study), progress, log).run(workers)


class _Delivery:
    """One run: fetches missing windows and writes a shard once it has all of its windows."""

    def __init__(
        self,
        study: Study,
        session: Session,
        out: Path,
        sides: dict[str, int],
        shard_px: int,
        pixels: Pixels,
        progress: Progress,
        log: Callable[[str], object],
    ) -> None:
        self._study, self._session, self._out, self._progress, self._log = study, session, out, progress, log
        self._pixels = pixels
        self._journal, self._cost = Journal(out / ".windows"), DeliveryCost(session)
        self._digests = {layer.name: graph_digest(study, layer.name) for layer in layers_of(study)}
        self._sides = sides
        self._about = {"graphs": self._digests, "lattice": {"window_px": sides, "shard_px": shard_px}, "study": study.to_dict()}
        self._windows: dict[Shard, list[Window]] = {}
        for layer in layers_of(study):
            for shard in self._shards(layer, shard_px):
                self._windows[shard] = windows_of(study, shard.place, sides[layer.name])

    def run(self, workers: int) -> list[Path]:
        self._refuse_other_shards()
        missing = [shard for shard in self._windows if not is_written(shard, self._study)]
        if missing:
            self._journal.open(self._about)
            if not all(self._journal.has(shard.layer, window) for shard in missing for window in self._windows[shard]):
                check_inputs(self._study, self._session)
            self._fetch(missing, workers)
        verify(self._study, list(self._windows))
        remove(self._journal.folder)
        if text := self._cost.text():
            self._log(text)
        return [shard.path for shard in self._windows]

    def _refuse_other_shards(self) -> None:
        """Refuse shards of another layout or study before the first request."""
        expected_names = {shard.path.name for shard in self._windows}
        for path in sorted(self._out.glob("*.tif")):
            if path.name not in expected_names and re.fullmatch(r"(image|labels|count)(-\d{10}-\d{10})?\.tif", path.name):
                reasons = changed_fields(path, self._study)
                problem = (
                    f"a shard of another study ({'; '.join(reasons)})"
                    if reasons
                    else "a shard of another layout; give the --shard-px it was made with"
                )
                raise DataError(f"{path}: {problem}, or choose another folder")

    def _shards(self, layer: Layer, shard_px: int) -> Iterator[Shard]:
        for _, place in cells(self._study, shard_px)[0]:
            offsets = f"-{place.row:010d}-{place.col:010d}" if (place.height, place.width) != self._study.grid.shape_yx else ""
            yield Shard(self._out / f"{layer.name}{offsets}.tif", layer, place, self._digests[layer.name], self._session.is_loopback)

    def _fetch(self, missing: list[Shard], workers: int) -> None:
        """Fetch the windows of the missing shards in order, at most twice as many under way as there are workers."""
        jobs = [_Job(shard.layer, shard, window) for shard in missing for window in self._windows[shard]]
        left = {shard: len(self._windows[shard]) for shard in missing}
        done, total = 0, len(jobs)
        stop = threading.Event()
        session = self._session.with_backoff(replace(self._session.backoff, sleep=_sleeping(stop, self._session)))
        sizes = RequestSizes(self._sides, self._journal.sides_px(), self._changed_side)
        waiting = iter(jobs)
        with ThreadPoolExecutor(workers, thread_name_prefix="pixels") as pool:

            def begin(count: int) -> list[tuple[_Job, Future[None]]]:
                return [(job, pool.submit(self._fetch_window, session, job, sizes, stop)) for job in islice(waiting, count)]

            under_way = deque(begin(2 * workers))
            try:
                while under_way:
                    job, future = under_way.popleft()
                    future.result()
                    under_way.extend(begin(1))
                    done, left[job.shard] = done + 1, left[job.shard] - 1
                    self._progress(done, total, job.layer.name)
                    if not left[job.shard]:
                        self._finish(job.shard)
            except BaseException:
                stop.set()
                sizes.stop()
                self._log("stopping: requests under way end first; what is fetched stays")
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _changed_side(self, layer: str, side_px: int) -> None:
        self._journal.keep_side(layer, side_px)
        self._log(f"{layer}: two requests were too large for the service; from now on they have {side_px} px")

    def _fetch_window(self, session: Session, job: _Job, sizes: RequestSizes, stop: threading.Event) -> None:
        if not stop.is_set() and not self._journal.has(job.layer, job.window):
            image_of = partial(self._pixels, job.layer.name)  # one graph a request: of the scenes near its pixels
            with self._cost.window(job.layer.name, job.window.height * job.window.width):
                pixels = fetch(session, image_of, job.layer, self._study.grid, job.window, sizes)
            self._journal.keep(job.layer, job.window, pixels)

    def _finish(self, shard: Shard) -> None:
        asked, every = set(self._windows[shard]), list(shard.place.cut(self._sides[shard.layer.name]))

        def read(window: Window) -> npt.NDArray[Any]:
            return self._journal.read(shard.layer, window) if window in asked else empty_pixels(shard.layer, window)

        write_shard(shard, self._study, every, read)
        for window in asked:
            self._journal.drop(shard.layer, window)
        self._log(f"{shard.path.name}: written")


def _sleeping(stop: threading.Event, session: Session) -> Callable[[float], object]:
    """The session's sleep, interrupted by an error once the run stops."""
    session_sleep = session.backoff.sleep

    def sleep(seconds: float) -> None:
        if session_sleep is time.sleep:
            stop.wait(seconds)
        else:
            session_sleep(seconds)
        if stop.is_set():
            raise ServiceError("stopped", "stopped")

    return sleep


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    """Report a full or failing disk in one line."""
    try:
        yield
    except (OSError, RasterioError) as error:
        number = getattr(error, "errno", None)  # GDAL and numpy report a failed write without its cause
        if number not in (errno.ENOSPC, errno.EDQUOT, None):
            raise
        message = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        reason = "the disk is full" if number else f"cannot be written ({message}), the disk may be full"
        raise DataError(f"{out}: {reason}; what was fetched stays: free space and run the same command again") from error
