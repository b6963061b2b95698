"""The interface of every network: feature maps, global average pooling, a dense layer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cropcam.pipeline.errors import ConfigError

STATISTICS = "statistics"  # the name by which `Network.freeze` means the running statistics of every batch norm


class NetworkOutput(NamedTuple):
    """Image-level logits (B, K), empty where not computed, and the feature maps (B, F, h, w)."""

    logits_BK: Tensor
    maps_BFhw: Tensor


class Network(nn.Module):
    """Feature maps, global average pooling, one dense layer: logit = dense(mean over h, w of the maps).

    The constructor takes the number of bands and the number of classes, then keyword-only options with defaults (docs/networks.md).
    """

    dense: nn.Linear  # weights (K, F), also those of the class activation maps
    stride: int  # input pixels per map cell; cell i covers input pixels [i * stride, (i + 1) * stride)
    features: nn.Module  # the layers before it, unless `maps` is overridden
    min_size_px: ClassVar[int] = 1  # the smallest patch side that `maps` takes
    size_multiple_px: ClassVar[int] = 1  # the patch side has to be a multiple of it
    align_px: ClassVar[int] = 1  # where it pools: input that is shifted by a multiple of it gives shifted maps
    context_px: int | None = (
        None  # how far around an aligned square of `align_px` the pixels lie on which its maps depend; None = the whole patch
    )
    lone_size_px: ClassVar[int] = 0  # a smaller patch becomes one cell inside: batch norm cannot train on a batch of one
    takes_missing_seasons: ClassVar[bool] = (
        False  # a pixel is valid where one of its seasons is complete; else where every band has a value
    )
    season_drop: float = 0.0  # share of the training patches that lose some of their seasons: missing ones are learned
    defaults: ClassVar[Mapping[str, Any]] = {}  # of training settings, by name: those of a network that is not built in
    frozen: tuple[str, ...] = ()  # parts that are not trained (`freeze`)

    def maps(self, x_BCHW: Tensor) -> Tensor:
        """The last feature maps (B, F, h, w) of standardised input; h = H // stride and w likewise, unless the network differs."""
        return self.features(x_BCHW)  # type: ignore[no-any-return]

    def forward(self, x_BCHW: Tensor, valid_BHW: Tensor | None = None, *, pooled: bool = True) -> NetworkOutput:
        """Logits (B, K) and maps (B, F, h, w) of standardised input; invalid pixels have no weight in the mean over the maps.

        Without `pooled` the logits are empty: predictions of pixels do not need them.
        """
        maps_BFhw = self.maps(x_BCHW)
        if not pooled:
            return NetworkOutput(maps_BFhw.new_empty(0), maps_BFhw)
        if valid_BHW is None or bool(valid_BHW.all()):
            return NetworkOutput(self.dense(maps_BFhw.mean(dim=(2, 3))), maps_BFhw)
        return NetworkOutput(self.dense(self.pooled(maps_BFhw, valid_BHW)), maps_BFhw)

    def pooled(self, maps_BFhw: Tensor, valid_BHW: Tensor) -> Tensor:
        """Mean over the maps (B, F), each cell weighted by its number of valid pixels."""
        height, width = maps_BFhw.shape[2:]
        weight_B1HW = valid_BHW[:, None, : height * self.stride, : width * self.stride].to(maps_BFhw.dtype)
        weight_B1hw = F.avg_pool2d(weight_B1HW, self.stride) if self.stride > 1 else weight_B1HW
        return (maps_BFhw * weight_B1hw).sum(dim=(2, 3)) / weight_B1hw.sum(dim=(2, 3)).clamp(min=1e-6)

    def state_shapes(self) -> dict[str, torch.Size | None]:
        """Names and shapes of `state_dict`, to check a checkpoint before it is loaded; None = any shape."""
        return {name: tensor.shape for name, tensor in self.state_dict().items()}

    def freeze(self, *parts: str) -> None:
        """Leave parts out of training: `encoder` means every parameter below `encoder`, whose batch norm and dropout stay in evaluation mode.

        `statistics` means the running mean and variance of every batch norm, which then normalise in training too; its gain and offset
        are trained. A few patches of a new place have other statistics than the place itself.

        Raises:
            ConfigError: no parameter has such a name, or none is left to train.
        """
        names = [name for name, _ in self.named_parameters()]
        named = [part for part in parts if part != STATISTICS]
        for part in named:
            if not any(_is_within(name, part) for name in names):
                known = ", ".join(dict.fromkeys(name.split(".")[0] for name in names))
                raise ConfigError(f"--freeze {part}: no parameter of the network has a name that begins so; its parts are {known}")
        for name, parameter in self.named_parameters():
            if any(_is_within(name, part) for part in named):
                parameter.requires_grad_(False)
        if not any(parameter.requires_grad for parameter in self.parameters()):
            raise ConfigError(f"--freeze {','.join(parts)}: no parameter is left to train; freeze fewer parts")
        self.frozen = parts
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Training mode, or evaluation mode; frozen parts stay in evaluation mode."""
        super().train(mode)
        for name, module in self.named_modules():
            is_norm = STATISTICS in self.frozen and isinstance(module, nn.modules.batchnorm._BatchNorm)
            if is_norm or any(_is_within(name, part) for part in self.frozen):
                module.eval()
        return self


class FittedNetwork(Network):
    """A classifier of pixels that is fitted at once to a draw of labelled pixels, without gradients."""

    defaults: ClassVar[Mapping[str, Any]] = {"epochs": 1, "precision": "fp32"}
    stride = 1
    pixels: int  # labelled pixels at most

    def maps(self, x_BCHW: Tensor) -> Tensor:
        """Each pixel's scores (B, F, H, W), from its features."""
        features_BHWC = self.features(x_BCHW).movedim(1, -1)
        return self.score(features_BHWC.flatten(0, 2)).view(*features_BHWC.shape[:3], -1).movedim(-1, 1)

    @abstractmethod
    def score(self, values_PC: Tensor) -> Tensor:
        """Scores (P, F) that `dense` makes logits of, from features (P, C) as `features` gives them; 0 before `fit`."""

    @abstractmethod
    def fit(
        self,
        values_PC: npt.NDArray[np.float32],
        class_P: npt.NDArray[np.uint8],
        seed: int,
        proceed: Callable[[int, int], bool],
        weight_P: npt.NDArray[np.float32] | None = None,
    ) -> bool:
        """Fit to pixels: features (P, C), classes (P,) and weights (P,), 1 each by default. The same arguments give the same state.

        `proceed` is called with the steps done and their number; where it returns False, fitting stops, nothing changes, and the result is False.
        """


def _is_within(name: str, part: str) -> bool:
    return f"{name}.".startswith(f"{part}.")
