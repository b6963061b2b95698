"""Windows of a raster and the scores of their pixels: the input and the output of a predictor.

A predictor is a picklable callable, so this package does not depend on networks.
Axis suffixes: C band, K class, Y/X rows and columns.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.grid import PixelGrid, Window

NODATA_CLASS = 255
Values = npt.NDArray[np.float32]
Classes = npt.NDArray[np.uint8]


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


class Scores(NamedTuple):
    """A predictor's answer for a block.

    Attributes:
        logits_KYX: float32; their softmax over classes is the probability of each, the highest is the pixel's class.
        unshifted_KYX: as they were before a shift to known class areas; None without one.
        activations_KYX: each class's own logit, whose sigmoid is shown as its activation map; None where not asked for.
        layer_YX: a layer of numbers beside the map, float32; None where not asked for.
    """

    logits_KYX: Values
    unshifted_KYX: Values | None = None
    activations_KYX: Values | None = None
    layer_YX: Values | None = None


class Predict(Protocol):
    """Scores of blocks."""

    @property
    def halo_px(self) -> int:
        """How far around a block the pixels lie on which its scores depend."""
        ...

    @property
    def step_px(self) -> int:
        """The upper left of a block lies on multiples of it."""
        ...

    def __call__(self, block_CYX: Values) -> Scores:
        """Scores of a block from physical values with `halo_px` on every side, float32, NaN = missing."""
        ...


class Area(Protocol):
    """A part of a raster."""

    def meets(self, window: Window) -> bool:
        """Whether a window may hold a pixel inside."""
        ...

    def inside(self, window: Window) -> npt.NDArray[np.bool_]:
        """Which pixels (y, x) of a window lie inside."""
        ...


def has_data(block_CYX: Values, seasons: int = 1) -> npt.NDArray[np.bool_]:
    """Whether a pixel (y, x) has a value in every band of at least one of `seasons` groups of bands, one behind the other; NaN = missing."""
    missing_SYX = np.isnan(block_CYX).reshape(seasons, -1, *block_CYX.shape[1:]).any(axis=1)
    return np.asarray(~missing_SYX.all(axis=0))


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
    if values_CYX.shape[1:] == (window.height + 2 * halo_px, window.width + 2 * halo_px):
        return values_CYX
    before = halo_px - (window.row - top), halo_px - (window.col - left)
    after = halo_px - (bottom - window.row - window.height), halo_px - (right - window.col - window.width)
    return np.pad(values_CYX, ((0, 0), (before[0], after[0]), (before[1], after[1])), constant_values=np.nan)
