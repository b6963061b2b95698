"""A stratified random sample of a map's pixels: how many in each class, and which ones.

Sizes follow Olofsson et al. 2014 (Remote Sensing of Environment 148, 42-57): equation 13 for the whole, at least 25 points a class and
100 in all, the rest in proportion to the mapped areas. The same map and seed give the same sample. Axis suffixes: K class, S sampled pixel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps.class_map import FinishedMap

LEAST_PER_CLASS, LEAST = 25, 100
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


class Drawn(NamedTuple):
    """Sampled pixels, by class and then in the order of the map's blocks."""

    row_S: Indices
    col_S: Indices
    class_S: Indices


def sample_size(share_K: Floats, expected_K: Floats, standard_error: float) -> int:
    """Points in all for a wanted standard error of the overall accuracy (Olofsson et al. 2014, equation 13).

    Args:
        share_K: share of each class in the mapped area.
        expected_K: user's accuracy expected of each class.
        standard_error: wanted, of the overall accuracy.
    """
    deviation = float((share_K * np.sqrt(expected_K * (1 - expected_K))).sum())
    return int(np.ceil(round((deviation / standard_error) ** 2, 6)))


def allocate(pixels_K: Indices, total: int = 0) -> Indices:
    """Points (K,) for each class: 25, or all of a class of fewer pixels; the rest of `total` (at least 100) in proportion to the pixels."""
    least_K = np.minimum(pixels_K, LEAST_PER_CLASS)
    count_K = least_K.copy()
    rest = max(total, LEAST) - int(least_K.sum())
    while rest > 0 and (room_K := pixels_K - count_K).any():
        open_K = np.where(room_K > 0, pixels_K, 0)
        exact_K = rest * open_K / open_K.sum()
        more_K = np.floor(exact_K).astype(np.int64)
        more_K[np.argsort(more_K - exact_K, kind="stable")[: rest - int(more_K.sum())]] += 1  # the largest remainders
        count_K += np.minimum(more_K, room_K)
        rest = max(total, LEAST) - int(count_K.sum())
    return count_K


def draw(opened: FinishedMap, pixels_K: Indices, count_K: Indices, seed: int) -> Drawn:
    """Random pixels of each class, each with the same chance in its class, without replacement. Reads the map once, block by block.

    Args:
        opened: the map.
        pixels_K: pixels of each class, as they were counted on this map.
        count_K: how many to draw of each.
        seed: of the random numbers; classes have streams of their own.

    Raises:
        DataError: the map changed between the count and this pass.
    """
    streams = np.random.SeedSequence(seed).spawn(len(pixels_K))
    ranks = [
        np.sort(np.random.default_rng(stream).choice(int(pixels), int(count), replace=False))
        for stream, pixels, count in zip(streams, pixels_K, count_K, strict=True)
    ]
    seen_K = np.zeros(len(pixels_K), np.int64)
    found: list[list[tuple[Indices, Indices]]] = [[] for _ in ranks]
    for window, classes_YX in opened.blocks():
        for k in np.flatnonzero(count_K):
            flat = np.flatnonzero(classes_YX == k)
            first, last = np.searchsorted(ranks[k], [seen_K[k], seen_K[k] + flat.size])
            place = flat[ranks[k][first:last] - seen_K[k]]
            found[k].append((window.row + place // window.width, window.col + place % window.width))
            seen_K[k] += flat.size
    if any(seen_K[k] != pixels_K[k] for k in np.flatnonzero(count_K)):
        raise DataError(f"{opened.path}: changed while the sample was drawn; draw it again")
    rows, cols = ([np.concatenate([part[axis] for part in parts]) for parts in found if parts] for axis in (0, 1))
    return Drawn(np.concatenate(rows), np.concatenate(cols), np.repeat(np.arange(len(count_K)), count_K))
