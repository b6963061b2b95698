"""Weak labels from dense truth: presence, majority, points, bags, and noise on each of them.

Axis suffixes: N patch, G bag, K class, H/W rows and columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.legend import UNLABELLED

Shares = npt.NDArray[np.float32]
Classes = npt.NDArray[np.uint8]
_SLICE_PATCHES = 1024  # patches per step: drawing and counting take several bytes per pixel


def slices(patches: int) -> Iterator[slice]:
    """Consecutive slices of at most `_SLICE_PATCHES` patches."""
    return (slice(first, first + _SLICE_PATCHES) for first in range(0, patches, _SLICE_PATCHES))


def presence(share_NK: Shares, min_share: float) -> Shares:
    """1 where a class covers more than `min_share` of a patch's labelled pixels, else 0; float32 (N, K). 0 is the poster's rule: any pixel.

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
    """The truth at `count` random labelled pixels per patch; 255 everywhere else."""
    flat = truth_NHW.reshape(len(truth_NHW), -1)
    points = np.full_like(flat, UNLABELLED)
    for part in slices(len(flat)):
        truth = flat[part]
        rank = np.where(truth == UNLABELLED, np.float32(2), random.random(truth.shape, np.float32))
        chosen = np.argpartition(rank, min(count, flat.shape[1] - 1), axis=1)[:, :count]
        np.put_along_axis(points[part], chosen, np.take_along_axis(truth, chosen, axis=1), axis=1)
    return points.reshape(truth_NHW.shape)


def zorder_bags(place_N2: npt.NDArray[np.int32], size: int) -> npt.NDArray[np.int64]:
    """The bag (N,) of each patch: `size` neighbours along a Z-shaped curve over rows and columns `place_N2`; the last may be smaller."""
    bit_A = np.arange(20)  # a million patches either way
    row_code_N, col_code_N = ((place_N2[:, axis, None].astype(np.int64) >> bit_A & 1) @ (1 << 2 * bit_A) for axis in (0, 1))
    bag_N = np.empty(len(place_N2), np.int64)
    bag_N[np.argsort(2 * row_code_N + col_code_N, kind="stable")] = np.arange(len(place_N2)) // size
    return bag_N


def noisy_proportions(share_NK: Shares, step: float, noise: float, random: np.random.Generator) -> Shares:
    """Shares with normal noise, rounded to multiples of `step`, scaled to sum 1; NaN where all round to 0, so that the row carries no order."""
    if not step and not noise:
        return share_NK
    share = np.clip(share_NK + random.normal(0, noise, share_NK.shape), 0, None) if noise else share_NK.astype(np.float64)
    rounded = np.round(share / step) * step if step else share
    total = rounded.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(rounded, total, out=np.full_like(rounded, np.nan), where=total > 0), np.float32)


def bag_means(share_NK: Shares, unknown_N: npt.NDArray[np.bool_], bag_N: npt.NDArray[np.int64]) -> Shares:
    """Mean shares (G, K) of the labelled patches of each bag."""
    total = np.zeros((int(bag_N.max()) + 1, share_NK.shape[1]))
    np.add.at(total, bag_N[~unknown_N], share_NK[~unknown_N])
    count = np.bincount(bag_N[~unknown_N], minlength=len(total))[:, None]
    return np.asarray(total / np.maximum(count, 1), np.float32)


def flip_labels(image_NK: Shares, noise: float, multi_label: bool, random: np.random.Generator) -> Shares:
    """Labels of patches, each wrong with probability `noise`: every 0 or 1 by itself (`multi_label`), else the class by another."""
    if not noise:
        return image_NK
    if multi_label:
        return np.where(random.random(image_NK.shape) < noise, 1 - image_NK, image_NK).astype(np.float32)
    classes = symmetric_label_noise(image_NK.argmax(axis=1).astype(np.uint8), noise, image_NK.shape[1], random)
    return _one_hot(classes, image_NK.shape[1])


def _one_hot(class_N: npt.NDArray[np.integer[Any]], classes: int) -> Shares:
    return np.asarray(class_N[:, None] == np.arange(classes), np.float32)


def symmetric_label_noise(truth: Classes, noise: float, classes: int, random: np.random.Generator) -> Classes:
    """Class indices, each replaced with probability `noise` by one of the other classes at random; 255 stays."""
    if not noise:
        return truth
    noisy = random.integers(1, classes, truth.shape, np.uint8)
    for part in slices(len(truth)):
        true, shift = truth[part], noisy[part]
        kept = (random.random(true.shape, np.float32) >= noise) | (true == UNLABELLED)
        shift[:] = np.where(kept, true, (true + shift) % np.uint8(classes))
    return noisy
