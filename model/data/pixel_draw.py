"""A draw of labelled pixels of a split, with their features. Axis suffixes: N patch, B batch, C band or feature, P pixel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cropcam.model.data.dataset import Patches, batches
from cropcam.model.data.normalization import Normalization
from cropcam.model.data.sampler import Plan
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.store.schema import MOST_PCT

BATCH_PATCHES = 64  # a part of the draw: with another number other pixels are drawn


@torch.inference_mode()
def draw_pixels(
    patches: Patches, features: Callable[[Tensor], Tensor], normalization: Normalization, limit: int, seed: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8], npt.NDArray[np.float32] | None]:
    """At most `limit` pixels with a label and image data in every band: features (P, C) of standardised values, class (P,), and weight (P,).

    The weight is from 0 to 1; None where labels have none.

    The same number from each labelled patch, as far as it has them, so that no patch is left out and memory is bounded by the draw.

    Args:
        patches: a split with labels of pixels.
        features: standardised patches (B, C, H, W) to features (B, C, H, W).
        normalization: of the images.
        limit: pixels at most.
        seed: of the draw.
    """
    random = np.random.default_rng(seed)
    labelled_N = np.flatnonzero(patches.labels.labelled())
    place_N = np.sort(random.permutation(labelled_N)[:limit])
    per_patch = -(-limit // len(place_N))
    drawn = []
    plan = Plan(place_N, np.zeros((len(place_N), 2), np.bool_))
    for x_BCHW, targets in batches(patches, BATCH_PATCHES, normalization, plan):
        assert targets.pixel_BHW is not None
        class_BP = targets.pixel_BHW.flatten(1).cpu().numpy()
        usable_BP = (class_BP != UNLABELLED) & targets.valid_BHW.flatten(1).cpu().numpy()
        # a random key per pixel, unusable ones last: the first `per_patch` usable ones are a fair draw
        order_BP = np.argsort(np.where(usable_BP, random.random(usable_BP.shape), 2.0), axis=1)[:, :per_patch]
        chosen = np.take_along_axis(usable_BP, order_BP, axis=1)
        row_P, pixel_P = np.repeat(np.arange(len(class_BP)), chosen.sum(axis=1)), order_BP[chosen]
        features_PC = features(x_BCHW).flatten(2)[torch.from_numpy(row_P), :, torch.from_numpy(pixel_P)]
        pct_BHW = torch.full_like(targets.pixel_BHW, MOST_PCT) if targets.pct_BHW is None else targets.pct_BHW
        drawn.append((features_PC.cpu().numpy(), class_BP[row_P, pixel_P], pct_BHW.flatten(1).cpu().numpy()[row_P, pixel_P]))
    values_PC, class_P, pct_P = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    kept = np.sort(random.permutation(len(class_P))[:limit])
    weight_P = None if patches.labels.pct_NHW is None else pct_P[kept].astype(np.float32) / np.float32(MOST_PCT)
    return values_PC[kept], class_P[kept], weight_P
