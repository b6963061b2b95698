"""A block by overlapping patches of the size a network was trained on, their layers averaged with a tent weight."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cropcam.model.inference.layers import Layers
from cropcam.model.inference.sliding_window import SlidingWindow, tent

# Every batch has this size, the last one padded: the bits of a convolution may depend on the number of patches.
BATCH_PATCHES = 32


def blended_patches(layers: Layers, block_CYX: npt.NDArray[np.float32], size_px: int, stride_px: int, halo_px: int) -> Tensor:
    """Layers (L, Y, X) of a block without its halo, on the CPU; 0 where no patch with data covers a pixel.

    Args:
        layers: of a forward pass.
        block_CYX: physical values, NaN = missing, with `halo_px` on every side, its inner upper left a multiple of the stride.
        size_px: side of a patch.
        stride_px: from one patch to the next.
        halo_px: how far patches reach beyond the block.
    """
    patches, weight_YX = (
        SlidingWindow.over(block_CYX, size_px, stride_px, halo_px, layers.normalization.seasons),
        torch.from_numpy(tent(size_px)),
    )
    total_LYX = torch.zeros((layers.count + 1, *patches.shape_yx))  # weighted layers, then the weights
    for start in range(0, len(patches), BATCH_PATCHES):
        corners, values_BCYX = patches.batch(start, BATCH_PATCHES)
        found_BLYX = layers(torch.from_numpy(values_BCYX).to(layers.network.dense.weight.device), refine=True).layers_BLYX.cpu()
        for (row, col), layers_LYX in zip(corners, found_BLYX, strict=False):
            place_LYX = total_LYX[:, row : row + size_px, col : col + size_px]
            place_LYX[:-1] += layers_LYX * weight_YX
            place_LYX[-1] += weight_YX
    inner_LYX = total_LYX[:, halo_px : block_CYX.shape[1] - halo_px, halo_px : block_CYX.shape[2] - halo_px]
    weight_YX = inner_LYX[-1]
    return torch.where(weight_YX > 0, inner_LYX[:-1] / weight_YX, 0.0)
