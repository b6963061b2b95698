"""A run's network over a block of a raster, by overlapping patches of the size it was trained on.

The raster is covered by patches at half a patch's stride from its upper left, so that the patch grid is part of them;
patches beyond the edges are filled with nodata. Each patch's logits have a tent weight and are averaged. A pixel's
logits depend on the patches that cover it and on nothing else: the window size does not change the map.
Where a pixel's logits depend on its neighbours alone (`Network.context_px`), patches overlap by these neighbours only,
and each pixel has the logits of the one patch that holds all of them.
Axis suffixes: B batch, C band, K class, Y/X rows and columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cropcam.model.data.normalization import Normalization, physical_encoding, standardise
from cropcam.model.inference.sliding_window import SlidingWindow, tent, window_halo
from cropcam.model.networks import Network
from cropcam.model.networks.cam import pixel_maps
from cropcam.model.runs.config import RunConfig
from cropcam.model.segmentation.methods import Method
from cropcam.model.transfer.pixels import distance_map, sampled
from cropcam.model.transfer.tally import Limits, Tally
from cropcam.pipeline.errors import DataError

# Every batch has this size, the last one padded: the bits of a convolution may depend on the number of patches.
BATCH_PATCHES = 32
MEASURED_EVERY = 4  # patches: they overlap, and four cover a pixel
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Predictor:
    """Logits of blocks by one network; pickles without the network, which each process builds when it first needs it."""

    config: RunConfig
    weights: dict[str, Tensor]
    method: Method
    device: str
    margin_px: int | None = None  # of a patch, whose logits are not used; None: all are, averaged over patches
    distance: Limits | None = (
        None  # adds a layer behind the logits: the feature distance over the one that 99 % of the home's pixels do not reach
    )
    tally: Tally | None = None  # counts sampled pixels of every fourth patch; stays in this process

    @property
    def stride_px(self) -> int:
        """From one patch to the next."""
        size_px = self.config.store.size_px
        return max(size_px // 2, 1) if self.margin_px is None else size_px - 2 * self.margin_px

    @property
    def weight_YX(self) -> Floats:
        """Weight of each pixel of a patch."""
        if self.margin_px is None:
            return tent(self.config.store.size_px)
        return np.pad(np.ones((self.stride_px, self.stride_px), np.float32), self.margin_px)

    @property
    def halo_px(self) -> int:
        """How far the patches that cover a block reach beyond it."""
        return window_halo(self.config.store.size_px, self.stride_px)

    @cached_property
    def network(self) -> Network:
        """The network on its device, in evaluation mode."""
        network = self.config.new_network()
        network.load_state_dict(self.weights)
        return network.to(self.device).eval()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("network", "tally")}

    def __call__(self, block_CYX: Floats) -> Floats:
        """Logits (class, y, x) of the block without its halo: the patches' logits by the run's method, averaged; 0 where no patch with data covers a pixel.

        With `distance`, one more row: the feature distance, averaged likewise.

        Args:
            block_CYX: physical values, NaN = missing, with `halo_px` on every side; its inner upper left pixel is a multiple
                of the stride.

        Raises:
            DataError: the logits are not finite.
        """
        size_px, halo_px = self.config.store.size_px, self.halo_px
        patches, weight_YX = SlidingWindow.over(block_CYX, size_px, self.stride_px, halo_px, self.config.seasons), self.weight_YX
        rows = len(self.config.store.classes) + (self.distance is not None)
        total_KYX = np.zeros((rows + 1, *patches.shape_yx), np.float32)  # weighted logits, then the weights
        for (row, col), logits_KYX in self._logits(patches):
            place_KYX = total_KYX[:, row : row + size_px, col : col + size_px]
            place_KYX[:-1] += logits_KYX * weight_YX
            place_KYX[-1] += weight_YX
        inner_KYX = total_KYX[:, halo_px : block_CYX.shape[1] - halo_px, halo_px : block_CYX.shape[2] - halo_px]
        mean_KYX: Floats = np.divide(inner_KYX[:-1], inner_KYX[-1], out=np.zeros_like(inner_KYX[:-1]), where=inner_KYX[-1] > 0)
        if not np.isfinite(mean_KYX).all():
            raise DataError(
                f"the outputs of the {self.config.network.model} are not finite: its training diverged; train again with a lower --lr"
            )
        return mean_KYX

    def _logits(self, patches: SlidingWindow) -> Iterator[tuple[tuple[int, int], Floats]]:
        """Upper left and logits (class, y, x) of every patch that holds data, row by row."""
        normalization = Normalization.of(self.config, self.device, physical_encoding(len(self.config.store.bands)))
        for start in range(0, len(patches), BATCH_PATCHES):
            corners, values_BCYX = patches.batch(start, BATCH_PATCHES)
            yield from zip(corners, self._rows(torch.from_numpy(values_BCYX), normalization), strict=False)

    @torch.inference_mode()
    def _rows(self, values_BCYX: Tensor, normalization: Normalization) -> Floats:
        """Logits of a batch of patches (patch, class, y, x), and the layer of `distance`."""
        x_BCYX, valid_BYX = standardise(values_BCYX.to(self.device), normalization)
        maps_BFyx = self.network(x_BCYX.contiguous(memory_format=torch.channels_last)).maps_BFhw
        height, width = x_BCYX.shape[2:]
        logits_BKYX = self.method.logits(pixel_maps(self.network, maps_BFyx, height, width), x_BCYX, valid_BYX)
        if self.tally:
            some = (values[::MEASURED_EVERY] for values in (x_BCYX, valid_BYX, maps_BFyx, logits_BKYX))
            self.tally.add(sampled(self.network, self.config, *some))
        if self.distance:
            distance_BYX = distance_map(self.network, maps_BFyx, self.distance.distance, height, width) / self.distance.far
            logits_BKYX = torch.cat([logits_BKYX, distance_BYX[:, None]], dim=1)
        return logits_BKYX.cpu().numpy()
