"""Evenly spaced pixels of a batch of patches: standardised values, features, predicted class and confidence. No label is read.

Axis suffixes: B patch, C band, F feature map, D feature, K class, P pixel, H/W rows and columns, h/w rows and columns of map cells.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cropcam.model.networks import Network
from cropcam.model.networks.cam import argmax_classes, to_pixels
from cropcam.model.runs.config import RunConfig
from cropcam.model.segmentation.methods import Method
from cropcam.model.segmentation.predictions import forward_batches
from cropcam.model.transfer.class_distance import ClassDistance
from cropcam.pipeline.store.patch_store import PatchStore
from cropcam.pipeline.store.schema import StoreInfo

PER_SIDE = 10  # pixels per row and per column of a patch
FEATURES = 64  # a network with more feature maps has this many random projections of them
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


class Pixels(NamedTuple):
    """P pixels of patches."""

    patch_P: Indices  # place of the patch in its batch
    x_PC: Floats  # standardised band values, clipped to +-6
    feature_PD: Floats
    class_P: Indices  # class index by the run's method
    confidence_P: Floats  # the largest probability, 0..1

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """The pixels of several batches, one after the other."""
        return cls(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def sampled(
    network: Network, config: RunConfig, x_BCHW: Tensor, valid_BHW: Tensor, maps_BFhw: Tensor, logits_BKHW: Tensor, temperature: float
) -> Pixels:
    """About `PER_SIDE` x `PER_SIDE` pixels of each patch whose valid share is that of the run's patches (`valid_min_share` of its study).

    Args:
        network: the run's.
        config: the run's.
        x_BCHW: standardised patches.
        valid_BHW: pixels with a value in every band; others are left out.
        maps_BFhw: the maps that the network's dense layer reads.
        logits_BKHW: the run's method's, calibrated, at full resolution.
        temperature: the method's. The confidence is that before calibration: the score of a shift was measured with it.
    """
    rows, cols = (_lattice(length) for length in x_BCHW.shape[2:])
    whole_B = valid_BHW.flatten(1).float().mean(dim=1) >= valid_share(config) - 1e-6
    at_BYX = valid_BHW[:, rows][:, :, cols] & whole_B[:, None, None]
    cell_rows, cell_cols = (
        [min(i // network.stride, n - 1) for i in places] for places, n in zip((rows, cols), maps_BFhw.shape[2:], strict=True)
    )
    patch_P = at_BYX.nonzero()[:, 0]
    logits_PK = logits_BKHW[:, :, rows][..., cols].movedim(1, -1)[at_BYX].float()
    features_PF = maps_BFhw[:, :, cell_rows][..., cell_cols].movedim(1, -1)[at_BYX].float()
    return Pixels(
        patch_P.cpu().numpy(),
        x_BCHW[:, :, rows][..., cols].movedim(1, -1)[at_BYX].float().cpu().numpy(),
        reduced(features_PF).cpu().numpy(),
        argmax_classes(logits_PK[:, :, None, None])[:, 0, 0].cpu().numpy(),
        confidence(logits_PK * temperature, softmax=config.objective.is_softmax).cpu().numpy(),
    )


@torch.inference_mode()
def pixels_of_store(
    network: Network, config: RunConfig, method: Method, store: PatchStore, patches_N: Indices, device: torch.device
) -> Iterator[tuple[Indices, Pixels]]:
    """Batches of patches of a store: their indices, and the sampled pixels. Images alone are read."""
    for patches_B, x_BCHW, outputs in forward_batches(network, config, store, patches_N, device):
        logits_BKHW = method.logits(outputs.cams_BKHW, x_BCHW, outputs.valid_BHW)
        yield patches_B, sampled(network, config, x_BCHW, outputs.valid_BHW, outputs.output.maps_BFhw, logits_BKHW, method.temperature)


def confidence(logits_PK: Tensor, *, softmax: bool) -> Tensor:
    """The largest probability (P,), 0..1: of the softmax, or of one-vs-rest sigmoids divided by their sum."""
    if softmax:
        return logits_PK.softmax(dim=1).amax(dim=1)
    log_PK = torch.nn.functional.logsigmoid(logits_PK)
    return (log_PK - log_PK.logsumexp(dim=1, keepdim=True)).amax(dim=1).exp()


def reduced(features: Tensor) -> Tensor:
    """Features (..., F) as they are, or `FEATURES` fixed random projections (..., D) of more than that.

    Source: Johnson, Lindenstrauss 1984, "Extensions of Lipschitz mappings into a Hilbert space": distances are kept approximately.
    """
    count = features.shape[-1]
    return features if count <= FEATURES else features @ _projection(count).to(features.device)


def distance_map(network: Network, maps_BFhw: Tensor, distance: ClassDistance, height: int, width: int) -> Tensor:
    """Feature distance to the nearest class at full resolution (B, H, W), bilinear between map cells."""
    features_PD = reduced(maps_BFhw.movedim(1, -1).flatten(0, 2).float())
    distance_BYX = distance(features_PD).view(len(maps_BFhw), *maps_BFhw.shape[2:])
    return to_pixels(distance_BYX[:, None], network.stride, height, width)[:, 0]


def valid_share(config: RunConfig) -> float:
    """The least valid share (0..1) of the patches that the run's stores keep; 1 where the run does not record it."""
    infos = (StoreInfo.from_attrs(attrs, "the run's config.json") for attrs in config.store_attrs())
    return min((float(info.study["patches"].get("valid_min_share", 1.0)) for info in infos), default=1.0)


@lru_cache
def _projection(count: int) -> Tensor:
    values = np.random.default_rng(0).normal(size=(count, FEATURES)) / math.sqrt(FEATURES)
    return torch.from_numpy(values.astype(np.float32))


def _lattice(length: int) -> list[int]:
    step = max(length // PER_SIDE, 1)
    return list(range(step // 2, length, step))
