"""A run's network over a block of a raster: logits of its method, whatever the block's size.

Where the maps of the network depend on a known context (`Network.context_px`), the block is passed through it in large windows with as wide a halo.
Otherwise the raster is covered by patches of the size it was trained on, half a patch apart from the raster's upper left, whose
logits have a tent weight and are averaged. A pixel's logits do not depend on the block it lies in.
Axis suffixes: B batch, C band, K class, L layer (the classes, then further layers), Y/X rows and columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cropcam.model.data.normalization import Normalization, physical_encoding
from cropcam.model.inference.layers import Layers
from cropcam.model.inference.patches import blended_patches
from cropcam.model.inference.refinement import cell_px, refine_window, ring_px
from cropcam.model.inference.sliding_window import window_halo
from cropcam.model.inference.windows import filled_up, large_windows, multiple
from cropcam.model.networks import Network
from cropcam.model.networks.fused import fused
from cropcam.model.runs.config import RunConfig
from cropcam.model.segmentation.methods import Method
from cropcam.model.transfer.tally import Limits
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps.smoothing import RADIUS_PX, smoothed
from cropcam.pipeline.maps.windows import Scores, has_data

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Predictor:
    """Calibrated logits of blocks by one network; pickles without the network, which each process builds when it first needs it.

    Attributes:
        config: the run's.
        weights: the network's.
        method: from activation maps to logits.
        device: where the network runs.
        offset_K: added to the logits (a shift to known class areas); empty = none.
        smoothness: of Bayesian smoothing; 0 = none.
        distance: asks for the feature distance over the one that 99 % of the home's pixels do not reach.
        activations: asks for the logits of each class on its own, activation map and bias.
    """

    config: RunConfig
    weights: dict[str, Tensor]
    method: Method
    device: str
    offset_K: tuple[float, ...] = ()
    smoothness: float = 0.0
    distance: Limits | None = None
    activations: bool = False

    @cached_property
    def network(self) -> Network:
        """The network on its device, in evaluation mode, each batch norm inside the convolution before it."""
        network = self.config.new_network()
        network.load_state_dict(self.weights)
        network = fused(network.to(self.device).eval(), len(self.config.store.bands), self.config.store.size_px)
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("network", "layers")}

    @cached_property
    def layers(self) -> Layers:
        """The layers of a forward pass."""
        normalization = Normalization.of(self.config, self.device, physical_encoding(len(self.config.store.bands)))
        return Layers(self.network, self.method, normalization, self.distance, activations=self.activations)

    @property
    def step_px(self) -> int:
        """The upper left of a block lies on multiples of it."""
        size_px = self.config.store.size_px
        if self.network.context_px is None:
            return max(size_px // 2, 1)
        return math.lcm(self.network.align_px, cell_px(size_px) if self._refines else 1)

    @property
    def halo_px(self) -> int:
        """How far around a block the pixels lie on which its logits depend."""
        return self.network_halo_px + self._ring_px

    @property
    def _refines(self) -> bool:
        """Whether class boundaries are refined after the network, not patch by patch."""
        return self.network.context_px is not None and bool(self.method.mean_KC)

    @property
    def network_halo_px(self) -> int:
        """How far around a pixel the network, or the patches that cover it, see."""
        if self.network.context_px is None:
            return window_halo(self.config.store.size_px, self.step_px)
        return multiple(self.network.context_px, self.network.align_px)

    @property
    def _smoothing_px(self) -> int:
        return multiple(RADIUS_PX if self.smoothness else 0, self.step_px)

    @property
    def _ring_px(self) -> int:
        """How far around a block logits are needed: for smoothing, and for the class boundaries of the patches around it."""
        refining = ring_px(self.config.store.size_px) if self._refines else 0
        return multiple(self._smoothing_px + refining, self.network.align_px if self.network.context_px is not None else self.step_px)

    @torch.inference_mode()
    def __call__(self, block_CYX: Floats) -> Scores:
        """Scores of the block without its halo. Pixels without data have scores of no use.

        Args:
            block_CYX: physical values, NaN = missing, with `halo_px` on every side; its inner upper left pixel is a multiple of `step_px` in the raster.

        Raises:
            DataError: the logits are not finite.
        """
        size_yx = [length - 2 * self.halo_px for length in block_CYX.shape[1:]]
        block_CYX = filled_up(block_CYX, self.halo_px, self.step_px)
        filled = [length - 2 * self.halo_px for length in block_CYX.shape[1:]]
        if self.network.context_px is None:
            layers_LYX = blended_patches(self.layers, block_CYX, self.config.store.size_px, self.step_px, self.network_halo_px)
            classes_KYX = layers_LYX[: self.layers.classes]
        else:
            layers_LYX, x_CYX, valid_YX = large_windows(self.layers, block_CYX, self.network_halo_px, with_bands=self._refines)
            classes_KYX = layers_LYX[: self.layers.classes]
            if self._refines:
                classes_KYX = self._refined(classes_KYX, x_CYX, valid_YX)
        if not bool(classes_KYX.isfinite().all()):
            raise DataError(
                f"the outputs of the {self.config.network.model} are not finite: its training diverged; train again with a lower --lr"
            )
        ring = self._smoothing_px
        inner = np.s_[..., self.halo_px - ring : self.halo_px + ring + filled[0], self.halo_px - ring : self.halo_px + ring + filled[1]]
        with_data_YX = has_data(block_CYX[inner], self.config.seasons) if self.smoothness else np.empty((0, 0), bool)
        return self._scores(classes_KYX, layers_LYX[self.layers.classes :], with_data_YX, (size_yx[0], size_yx[1]))

    def _refined(self, logits_KYX: Tensor, x_CYX: Tensor, valid_YX: Tensor) -> Tensor:
        size_px = self.config.store.size_px
        extra = self._ring_px - self._smoothing_px - ring_px(size_px)
        ring = np.s_[..., extra : logits_KYX.shape[1] - extra, extra : logits_KYX.shape[2] - extra]
        logits, x, valid = (values[ring].cpu().numpy() for values in (logits_KYX, x_CYX, valid_YX))
        refined_KYX = refine_window(logits, x, valid, self.method, cell_px(size_px))
        return self.method.calibrated(torch.from_numpy(refined_KYX))

    def _scores(self, classes_KYX: Tensor, more_LYX: Tensor, valid_YX: npt.NDArray[np.bool_], size_yx: tuple[int, int]) -> Scores:
        """Arrays of the block alone, from layers with a ring for smoothing or wider."""
        height, width = (multiple(length, self.step_px) for length in size_yx)
        ring = self._smoothing_px

        def part(values_LYX: Tensor, around: int) -> Floats:
            down, right = ((length - inner) // 2 for length, inner in zip(values_LYX.shape[1:], (height, width), strict=True))
            found = values_LYX[:, down - around : down + height + around, right - around : right + width + around].cpu().numpy()
            return found if around else np.ascontiguousarray(found[:, : size_yx[0], : size_yx[1]])

        def finished(logits_KYX: Tensor) -> Floats:
            if not self.smoothness:
                return part(logits_KYX, 0)
            smooth_KYX = smoothed(part(logits_KYX, ring), valid_YX, self.smoothness)
            return np.ascontiguousarray(smooth_KYX[:, ring : ring + size_yx[0], ring : ring + size_yx[1]])

        shift_K11 = classes_KYX.new_tensor(self.offset_K)[:, None, None] if self.offset_K else None
        beside_LYX = part(more_LYX, 0) if len(more_LYX) else np.empty((0, *size_yx), np.float32)
        return Scores(
            finished(classes_KYX if shift_K11 is None else classes_KYX + shift_K11),
            None if shift_K11 is None else finished(classes_KYX),
            beside_LYX[: self.layers.classes] if self.activations else None,
            beside_LYX[-1] if self.distance else None,
        )
