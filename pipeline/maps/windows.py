"""Wall to wall: windows of a raster, read and predicted on threads, written in raster order.

The predictor is a picklable callable, so this package does not depend on networks.
Axis suffixes: C band, K class, Y/X rows and columns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid, Window, tiles
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.runtime.tasks import cores

NODATA_CLASS = 255
Values = npt.NDArray[np.float32]
Classes = npt.NDArray[np.uint8]
Predict = Callable[[Values], npt.NDArray[np.float32]]  # block_CYX with its halo -> scores_KYX of the block alone
Write = Callable[[Window, Classes], None]
_Result = TypeVar("_Result")
WriteLayer = Callable[[Window, Values], None]


class Source(Protocol):
    """A lazy raster on one grid: files or a patch store."""

    @property
    def grid(self) -> PixelGrid:
        """Where its pixels lie."""
        ...

    @property
    def bands(self) -> tuple[str, ...]:
        """Band names in order."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """File names, for messages and tags."""
        ...

    @property
    def encoding(self) -> BandEncoding:
        """What stored values mean."""
        ...

    def read(self, window: Window) -> npt.NDArray[Any]:
        """Stored values (band, y, x) of a window inside the grid. Thread-safe."""
        ...


class Area(Protocol):
    """A part of a raster."""

    def meets(self, window: Window) -> bool:
        """Whether a window may hold a pixel inside."""
        ...

    def inside(self, window: Window) -> npt.NDArray[np.bool_]:
        """Which pixels (y, x) of a window lie inside."""
        ...


def run(
    source: Source,
    predict: Predict,
    halo_px: int,
    block_px: int,
    write: Write,
    *,
    seasons: int = 1,
    write_layer: WriteLayer | None = None,
    region: Area | None = None,
    progress: Progress = silent,
    threads: int | None = None,
) -> None:
    """Predict every window of the raster and pass its class indices to `write`, in raster order.

    Blocks lie on multiples of `block_px` from the upper left. Each is predicted with a halo of `halo_px` on every side,
    NaN beyond the raster. A block without a valid pixel is not predicted. Memory: a block per thread, and as
    many classified blocks that wait for an earlier block.

    Args:
        source: the raster.
        predict: physical values (band, y, x) float32 of a block with its halo, NaN = missing, to scores (class, y, x) of the block alone; the highest score wins.
            Called from several threads.
        halo_px: width of the context that a pixel's scores need beyond the block.
        block_px: side of a block.
        write: takes each window and its classes (y, x) uint8, 255 where any band is nodata. Called from this thread.
        seasons: groups of bands, one behind the other; a pixel is 255 only where each of them has a nodata band.
        write_layer: takes each window and a layer (y, x) float32, NaN where any band is nodata: the last of the scores, which then is no class.
            Called from this thread.
        region: pixels outside it are 255; blocks that do not meet it are neither read nor predicted.
        progress: called after each block.
        threads: blocks in parallel; the number of cores by default.
    """
    windows = list(tiles(source.grid.shape_yx, (block_px, block_px)))

    def work(window: Window) -> tuple[Classes, Values | None]:
        if region is not None and not region.meets(window):
            return _nothing(window, with_layer=write_layer is not None)
        block_CYX = read_block(source, window, halo_px)
        if region is not None:  # the halo keeps its values: pixels near the border are what they are without a region
            outside_YX = ~region.inside(window)
            inner = slice(halo_px, halo_px + window.height), slice(halo_px, halo_px + window.width)
            if (outside_YX | ~has_data(block_CYX[:, inner[0], inner[1]], seasons)).all():
                return _nothing(window, with_layer=write_layer is not None)
        if write_layer:
            classes_YX, layer_YX = classify_with_layer(block_CYX, predict, halo_px, seasons)
        else:
            classes_YX, layer_YX = classify(block_CYX, predict, halo_px, seasons), None
        if region is not None:
            classes_YX[outside_YX] = NODATA_CLASS
            if layer_YX is not None:
                layer_YX[outside_YX] = np.nan
        return classes_YX, layer_YX

    progress(0, len(windows), "")
    for done, (window, (classes_YX, layer_YX)) in enumerate(_in_order(work, windows, threads or cores()), 1):
        write(window, classes_YX)
        if write_layer and layer_YX is not None:
            write_layer(window, layer_YX)
        progress(done, len(windows), f"row {window.row}, column {window.col}")


def _nothing(window: Window, *, with_layer: bool) -> tuple[Classes, Values | None]:
    """A block without data."""
    shape_yx = window.height, window.width
    return np.full(shape_yx, NODATA_CLASS, np.uint8), np.full(shape_yx, np.nan, np.float32) if with_layer else None


def classify(block_CYX: Values, predict: Predict, halo_px: int, seasons: int = 1) -> Classes:
    """Class index (y, x) of a block without its halo; 255 where the pixel has no data (`has_data`).

    Raises:
        DataError: `predict` returns scores of another shape.
    """
    _, height, width = block_CYX.shape
    shape_yx = height - 2 * halo_px, width - 2 * halo_px
    inner = slice(halo_px, halo_px + shape_yx[0]), slice(halo_px, halo_px + shape_yx[1])
    valid_YX = has_data(block_CYX[:, inner[0], inner[1]], seasons)
    if not valid_YX.any():
        return np.full(shape_yx, NODATA_CLASS, np.uint8)
    scores_KYX = predict(block_CYX)
    if scores_KYX.shape[1:] != shape_yx:
        raise DataError(f"predicted scores of {scores_KYX.shape[1:]} px for a block of {shape_yx} px")
    return np.where(valid_YX, highest(scores_KYX), np.uint8(NODATA_CLASS))


def has_data(block_CYX: Values, seasons: int = 1) -> npt.NDArray[np.bool_]:
    """Whether a pixel (y, x) has a value in every band of at least one of `seasons` groups of bands, one behind the other; NaN = missing."""
    missing_SYX = np.isnan(block_CYX).reshape(seasons, -1, *block_CYX.shape[1:]).any(axis=1)
    return np.asarray(~missing_SYX.all(axis=0))


def classify_with_layer(block_CYX: Values, predict: Predict, halo_px: int, seasons: int = 1) -> tuple[Classes, Values]:
    """As `classify`, and the last of the scores (y, x) as a layer, NaN where the pixel has no data."""
    layers: list[Values] = []

    def classes_alone(block_CYX: Values) -> Values:
        scores_KYX = predict(block_CYX)
        layers.append(scores_KYX[-1])
        return scores_KYX[:-1]

    classes_YX = classify(block_CYX, classes_alone, halo_px, seasons)
    layer_YX = np.full(classes_YX.shape, np.nan, np.float32)
    for values_YX in layers:  # none where no pixel is valid
        np.copyto(layer_YX, values_YX, where=classes_YX != NODATA_CLASS)
    return classes_YX, layer_YX


def highest(scores_KYX: npt.NDArray[np.float32]) -> Classes:
    """Index (y, x) of the highest score, the lowest index among equals.

    >>> highest(np.array([[[1.0, 0.0]], [[1.0, 2.0]]], np.float32))
    array([[0, 1]], dtype=uint8)
    """
    best_YX, index_YX = scores_KYX[0].copy(), np.zeros(scores_KYX.shape[1:], np.uint8)
    for index, score_YX in enumerate(scores_KYX[1:], 1):  # several times faster than argmax along the first axis
        index_YX[score_YX > best_YX] = index
        np.maximum(best_YX, score_YX, out=best_YX)
    return index_YX


def read_block(source: Source, window: Window, halo_px: int) -> Values:
    """Physical values (band, y, x) of a window and `halo_px` around it; NaN where they are missing and beyond the raster."""
    height, width = source.grid.shape_yx
    top, left = max(window.row - halo_px, 0), max(window.col - halo_px, 0)
    bottom, right = min(window.row + window.height + halo_px, height), min(window.col + window.width + halo_px, width)
    values_CYX = source.encoding.physical(source.read(Window(top, left, bottom - top, right - left)))
    before = halo_px - (window.row - top), halo_px - (window.col - left)
    after = halo_px - (bottom - window.row - window.height), halo_px - (right - window.col - window.width)
    return np.pad(values_CYX, ((0, 0), (before[0], after[0]), (before[1], after[1])), constant_values=np.nan)


def _in_order(work: Callable[[Window], _Result], windows: list[Window], threads: int) -> Iterator[tuple[Window, _Result]]:
    """Every window with its result, in order. A slow window holds back later ones, at most twice `threads` of them."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="map")
    try:
        waiting = iter(windows)
        ahead: deque[tuple[Window, Future[_Result]]] = deque()
        while True:
            ahead.extend((window, pool.submit(work, window)) for window in islice(waiting, 2 * threads - len(ahead)))
            if not ahead:
                return
            window, future = ahead.popleft()
            yield window, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
