"""What is done to the truth, so that no more is left of it than a weak label says.

Axis suffixes: N patch, G group, K class, H/W rows and columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.legend import UNLABELLED

Shares = npt.NDArray[np.float32]
Classes = npt.NDArray[np.uint8]
_SLICE_PATCHES = 1024  # that are worked on at once: drawing and counting take several bytes of each pixel


def slices(patches: int) -> Iterator[slice]:
    """Patches in order, some at a time."""
    return (slice(first, first + _SLICE_PATCHES) for first in range(0, patches, _SLICE_PATCHES))


def presence(share_NK: Shares, min_share: float) -> Shares:
    """1 where a class covers more than `min_share` of a patch's labelled pixels, else 0; float32 (N, K).

    `min_share` 0 is the poster's rule: one pixel is enough.

    >>> presence(np.array([[0.0, 0.04, 0.96]], np.float32), 0.05)
    array([[0., 0., 1.]], dtype=float32)
    """
    # the bound is rounded to the shares' own type: in float64 a share stored as float32(0.05) would exceed 0.05
    return (share_NK > np.float32(min_share)).astype(np.float32)


def majority(share_NK: Shares) -> Shares:
    """1 for the class with the largest share of each patch, the first of equals; float32 (N, K).

    >>> majority(np.array([[0.4, 0.4, 0.2]], np.float32))
    array([[1., 0., 0.]], dtype=float32)
    """
    return _one_hot(share_NK.argmax(axis=1), share_NK.shape[1])


def sample_points(truth_NHW: Classes, count: int, random: np.random.Generator) -> Classes:
    """The truth at `count` pixels per patch, drawn at random among those that have a label; 255 everywhere else."""
    flat = truth_NHW.reshape(len(truth_NHW), -1)
    points = np.full_like(flat, UNLABELLED)
    for part in slices(len(flat)):
        some, here = flat[part], points[part]
        drawn = np.where(some == UNLABELLED, np.float32(2), random.random(some.shape, np.float32))
        chosen = np.argpartition(drawn, min(count, flat.shape[1] - 1), axis=1)[:, :count]
        np.put_along_axis(here, chosen, np.take_along_axis(some, chosen, axis=1), axis=1)
    return points.reshape(truth_NHW.shape)


def zorder_bags(place_N2: npt.NDArray[np.int32], size: int) -> npt.NDArray[np.int64]:
    """The group (N,) of each patch: `size` patches that lie together, along a Z-shaped curve over the patch grid; the last may be smaller."""
    row, col = (place_N2[:, axis].astype(np.uint64) for axis in (0, 1))
    code = np.zeros(len(place_N2), np.uint64)
    for bit in range(20):  # a million patches either way
        code |= ((row >> np.uint64(bit)) & np.uint64(1)) << np.uint64(2 * bit + 1) | ((col >> np.uint64(bit)) & np.uint64(1)) << np.uint64(
            2 * bit
        )
    group = np.empty(len(place_N2), np.int64)
    group[np.argsort(code, kind="stable")] = np.arange(len(place_N2)) // size
    return group


def noisy_proportions(share_NK: Shares, step: float, noise: float, random: np.random.Generator) -> Shares:
    """Shares with noise added and rounded, made to add up to 1 again; NaN where nothing is left of them, so that such a row no longer tells which was largest."""
    if not step and not noise:
        return share_NK
    share = np.clip(share_NK + random.normal(0, noise, share_NK.shape), 0, None) if noise else share_NK.astype(np.float64)
    left = np.round(share / step) * step if step else share
    total = left.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(left, total, out=np.full_like(left, np.nan), where=total > 0), np.float32)


def bag_means(share_NK: Shares, unknown_N: npt.NDArray[np.bool_], bag_N: npt.NDArray[np.int64]) -> Shares:
    """Mean shares of each group (G, K), of its patches that have some."""
    total = np.zeros((int(bag_N.max()) + 1, share_NK.shape[1]))
    np.add.at(total, bag_N[~unknown_N], share_NK[~unknown_N])
    count = np.bincount(bag_N[~unknown_N], minlength=len(total))[:, None]
    return np.asarray(total / np.maximum(count, 1), np.float32)


def flip_labels(image_NK: Shares, noise: float, questions: bool, random: np.random.Generator) -> Shares:
    """Some answers of patches replaced by wrong ones: each yes or no by itself (`questions`), else the one class that is 1 by another."""
    if not noise:
        return image_NK
    if questions:
        wrong_NK = random.random(image_NK.shape) < noise
        return np.where(wrong_NK, 1 - image_NK, image_NK).astype(np.float32)
    classes = symmetric_label_noise(image_NK.argmax(axis=1).astype(np.uint8), noise, image_NK.shape[1], random)
    return _one_hot(classes, image_NK.shape[1])


def _one_hot(class_N: npt.NDArray[np.integer[Any]], classes: int) -> Shares:
    return np.asarray(class_N[:, None] == np.arange(classes), np.float32)


def symmetric_label_noise(truth: Classes, noise: float, classes: int, random: np.random.Generator) -> Any:  # noqa: ANN401 - of truth's shape
    """Some classes replaced by another, each other one as often; 255 stays."""
    if not noise:
        return truth
    wrong = random.integers(1, classes, truth.shape, np.uint8)
    for part in slices(len(truth)):
        some, instead = truth[part], wrong[part]
        kept = (random.random(some.shape, np.float32) >= noise) | (some == UNLABELLED)
        instead[:] = np.where(kept, some, (some + instead) % np.uint8(classes))
    return wrong
