"""Overlapping patches that cover a block of a raster, and the weight of each pixel of a patch.

Pure arithmetic. Axis suffixes: B patch, C band, R/Q rows and columns of patches, Y/X rows and columns of pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from cropcam.pipeline.maps.windows import has_data


@dataclass(frozen=True)
class SlidingWindow:
    """The patches over a block that hold data; `shape_yx` is the block's size, filled up to whole patches."""

    views_RQCYX: npt.NDArray[np.float32]
    places_B2: npt.NDArray[np.int64]
    stride_px: int
    shape_yx: tuple[int, int]

    @classmethod
    def over(cls, block_CYX: npt.NDArray[np.float32], size_px: int, stride_px: int, halo_px: int, seasons: int = 1) -> SlidingWindow:
        """Every patch that meets the block within its halo and has a pixel with data in one of `seasons` groups of bands."""
        counts = [math.ceil((length - halo_px) / stride_px) for length in block_CYX.shape[1:]]
        full = [(count - 1) * stride_px + size_px for count in counts]
        missing = [(0, max(needed - length, 0)) for needed, length in zip(full, block_CYX.shape[1:], strict=True)]
        filled_CYX = np.pad(block_CYX, ((0, 0), *missing), constant_values=np.nan)
        window = np.s_[: counts[0] * stride_px : stride_px, : counts[1] * stride_px : stride_px]
        views_CRQYX = sliding_window_view(filled_CYX, (size_px, size_px), axis=(1, 2))[:, *window]
        valid_YX = has_data(filled_CYX, seasons)
        has_data_RQ = np.any(sliding_window_view(valid_YX, (size_px, size_px))[window], axis=(2, 3))
        return cls(np.moveaxis(views_CRQYX, 0, 2), np.argwhere(has_data_RQ), stride_px, (filled_CYX.shape[1], filled_CYX.shape[2]))

    def __len__(self) -> int:
        return len(self.places_B2)

    def batch(self, start: int, count: int) -> tuple[list[tuple[int, int]], npt.NDArray[np.float32]]:
        """Upper left (row, column) of up to `count` patches, and their values (`count`, band, y, x), NaN where they run out."""
        places = self.places_B2[start : start + count]
        values_BCYX = np.full((count, *self.views_RQCYX.shape[2:]), np.nan, np.float32)
        values_BCYX[: len(places)] = self.views_RQCYX[places[:, 0], places[:, 1]]
        return [(int(row) * self.stride_px, int(col) * self.stride_px) for row, col in places], values_BCYX


def window_halo(size_px: int, stride_px: int) -> int:
    """How far patches of `size_px` at multiples of `stride_px` reach beyond a block whose edges are multiples of the stride.

    >>> window_halo(50, 25), window_halo(51, 25)
    (25, 50)
    """
    return (size_px - 1) // stride_px * stride_px


def tent(size_px: int) -> npt.NDArray[np.float32]:
    """Weight (size, size) of a patch's pixels: falls linearly from the centre on both axes, above 0 everywhere.

    >>> tent(4)[1]
    array([0.1875, 0.5625, 0.5625, 0.1875], dtype=float32)
    """
    index = np.arange(size_px)
    side = (np.minimum(index, index[::-1]) + 0.5) * (2 / size_px)
    return np.outer(side, side).astype(np.float32)
