"""Images read block by block: every evaluation of the server runs here, so memory is bounded for any request."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.emulator import budget
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.images import Band, LazyImage
from cropcam.pipeline.grid import PixelGrid, Window, tiles
from cropcam.pipeline.runtime.tasks import cores

BLOCK_PX = 512
_FOOTPRINT_PX = 2_048  # native pixels along one side of a block
_ANSWERS_BYTES = 256 * 2**20  # of all responses in preparation


class Block(NamedTuple):
    """One block of an image: its window, values and mask (band, y, x), and its CPU time in seconds."""

    window: Window
    values: npt.NDArray[Any]
    mask: npt.NDArray[np.bool_]
    cpu_s: float


@dataclass(frozen=True)
class Deadline:
    """The time at which an interactive computation is stopped."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """So many seconds from here."""
        return cls(time.monotonic() + seconds)

    def check(self) -> None:
        """Give up once it has passed.

        Raises:
            EngineError: it has.
        """
        if time.monotonic() > self.at:
            raise EngineError("Computation timed out.")


class Reader:
    """Reads images on a few threads that all requests share; blocks come in order, few of them in flight.

    Memory: `workers` blocks in evaluation, one more per waiting reader, and the responses that `admitted` allows.
    """

    def __init__(self, workers: int | None = None, block_px: int = BLOCK_PX) -> None:
        self._workers = workers or cores()
        self._block_px = block_px
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="evaluate")
        self._room = threading.Condition()
        self._taken_bytes = 0

    def blocks(
        self, image: LazyImage, grid: PixelGrid, bands: Sequence[str] | None = None, deadline: Deadline | None = None
    ) -> Iterator[Block]:
        """The image on the grid, block by block, row by row.

        Raises:
            EngineError: the evaluation fails, or the deadline has passed.
        """
        side = block_side(grid, chosen(image, bands), self._block_px)
        ahead: deque[Future[Block]] = deque()
        windows = tiles(grid.shape_yx, (side, side))
        try:
            for window in windows:
                ahead.append(self._pool.submit(_evaluate, image, grid, window, bands, deadline))
                if len(ahead) > self._workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()

    @contextmanager
    def admitted(self, answer_bytes: int) -> Iterator[None]:
        """Wait for memory for a response of so many bytes, and reserve it."""
        with self._room:
            self._room.wait_for(lambda: not self._taken_bytes or self._taken_bytes + answer_bytes <= _ANSWERS_BYTES)
            self._taken_bytes += answer_bytes
        try:
            yield
        finally:
            with self._room:
                self._taken_bytes -= answer_bytes
                self._room.notify_all()

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def chosen(image: LazyImage, names: Sequence[str] | None) -> tuple[Band, ...]:
    """The named bands in the order named, all by default.

    Raises:
        EngineError: a band is absent.
    """
    return image.bands if names is None else tuple(image.band(name) for name in names)


def block_side(grid: PixelGrid, bands: Sequence[Band], largest_px: int = BLOCK_PX) -> int:
    """Side of the blocks of `grid`: smaller where its pixels are much larger than the native pixels of the bands.

    A block covers at most about 2,048 native pixels a side, so that a world map reads no whole continent at once.
    """
    natives = {band.grid for band in bands if band.grid is not None}
    ratio = max((_pixel_ratio(grid, native) for native in natives), default=1.0)
    return int(min(largest_px, max(8, _FOOTPRINT_PX / max(ratio, 1e-9))))


def _pixel_ratio(grid: PixelGrid, native: PixelGrid) -> float:
    """Number of native pixels along one pixel of `grid`, at the middle of the native grid."""
    west, south, east, north = native.bounds_xyxy
    step = min(native.width, native.height) // 2 or 1
    x, y = (west + east) / 2, (south + north) / 2
    own_x, own_y = transform_points(native.crs, grid.crs, [x, x + native.transform[0] * step, x], [y, y, y + native.transform[4] * step])
    if not (np.isfinite(own_x).all() and np.isfinite(own_y).all()):
        return 1.0
    length = min(math.hypot(own_x[i] - own_x[0], own_y[i] - own_y[0]) for i in (1, 2)) / step
    return abs(grid.transform[0]) / length if length else 1.0


def _evaluate(image: LazyImage, grid: PixelGrid, window: Window, bands: Sequence[str] | None, deadline: Deadline | None) -> Block:
    if deadline:
        deadline.check()
    started = time.thread_time()
    try:
        with budget.limited(deadline.at - time.monotonic() if deadline else math.inf):
            values, mask = image.read(grid.window(window), bands)
    except MemoryError:
        raise EngineError("User memory limit exceeded.") from None
    except RecursionError:
        raise EngineError("Invalid expression: it is nested too deeply for the embedded engine.") from None
    return Block(window, values, mask, time.thread_time() - started)
