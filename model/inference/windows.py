"""A block by large windows through a network whose maps depend on a known context.

A window is read with a halo as wide as that context, so its maps equal the maps of the whole raster. Beyond the raster there is no data.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cropcam.model.inference.layers import Layers
from cropcam.pipeline.maps.windows import has_data

SIDE_PX, HALO_SHARE = 512, 20  # of a window; a halo of a twentieth of it costs a fifth more work


def window_px(halo_px: int) -> int:
    """Side of a window for a network with that halo: large enough to make little of the halo, small enough for caches and memory.

    >>> window_px(3), window_px(48)
    (512, 1024)
    """
    return max(multiple(HALO_SHARE * halo_px, SIDE_PX), SIDE_PX)


def large_windows(layers: Layers, block_CYX: npt.NDArray[np.float32], halo_px: int, *, with_bands: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Layers (L, Y, X) of a block without its halo, its standardised bands (C, Y, X) and valid pixels (Y, X), on the network's device.

    Layers are 0 where a window has no data. Bands are filled with `with_bands` alone, and then logits are neither refined nor calibrated.

    Args:
        layers: of a forward pass.
        block_CYX: physical values, NaN = missing, with `halo_px` on every side; its upper left lies on a multiple of the network's `align_px`.
        halo_px: a multiple of `align_px`, at least the network's context.
        with_bands: the caller refines.
    """
    device = layers.network.dense.weight.device
    height, width = (length - 2 * halo_px for length in block_CYX.shape[1:])
    layers_LYX = torch.zeros((layers.count, height, width), device=device)
    x_CYX = torch.zeros((len(block_CYX), height, width) if with_bands else (0, 0, 0), device=device)
    valid_YX = torch.zeros((height, width), dtype=torch.bool, device=device)
    inner = slice(halo_px, -halo_px or None)
    for rows, cols in _windows((height, width), window_px(halo_px), layers.network.align_px):
        values_CYX = block_CYX[:, rows.start : rows.stop + 2 * halo_px, cols.start : cols.stop + 2 * halo_px]
        if not has_data(values_CYX[:, inner, inner], layers.normalization.seasons).any():
            continue
        values_CYX = np.ascontiguousarray(filled_up(values_CYX, halo_px, layers.network.align_px))
        found = layers(torch.from_numpy(values_CYX)[None].to(device), refine=not with_bands)
        part = np.s_[..., halo_px : halo_px + rows.stop - rows.start, halo_px : halo_px + cols.stop - cols.start]
        layers_LYX[:, rows, cols] = found.layers_BLYX[0][part]
        valid_YX[rows, cols] = found.valid_BYX[0][part]
        if with_bands:
            x_CYX[:, rows, cols] = found.x_BCYX[0][part]
    return layers_LYX, x_CYX, valid_YX


def _windows(shape_yx: tuple[int, int], side_px: int, align_px: int) -> Iterator[tuple[slice, slice]]:
    """Windows of about `side_px`, as equal as whole multiples of `align_px` allow."""
    rows, cols = (_parts(length, side_px, align_px) for length in shape_yx)
    return product(rows, cols)


def _parts(length: int, side_px: int, align_px: int) -> list[slice]:
    """A length in about equal parts that begin at multiples of `align_px`.

    >>> _parts(1100, 512, 8)
    [slice(0, 552, None), slice(552, 1100, None)]
    """
    count = max(round(length / side_px), 1)
    side_px = multiple(-(-length // count), align_px)
    return [slice(first, min(first + side_px, length)) for first in range(0, length, side_px)]


def filled_up(block_CYX: npt.NDArray[np.float32], halo_px: int, step_px: int) -> npt.NDArray[np.float32]:
    """A block filled up at the lower right, without data, so that its sides without the halo are multiples of `step_px`."""
    missing = [(0, -(length - 2 * halo_px) % step_px) for length in block_CYX.shape[1:]]
    return np.pad(block_CYX, ((0, 0), *missing), constant_values=np.nan) if any(after for _, after in missing) else block_CYX


def multiple(length: int, step: int) -> int:
    """The next multiple of `step`.

    >>> multiple(46, 8), multiple(48, 8), multiple(0, 8)
    (48, 48, 0)
    """
    return -(-length // step) * step
