"""95 % intervals of figures by a bootstrap over spatial blocks.

Neighbouring pixels and patches share fields, weather, a scene and hence their errors: drawn one by one they would pass
for far more evidence than they are, and intervals would come out too narrow. What is drawn with replacement here are
the blocks by which the store's splits were dealt, each as a whole: a block is represented by counts that add up
(confusion matrices, score histograms), a resample is a weighted sum of them, and each figure is computed anew from
that sum. So memory grows with the blocks, never with the pixels, and figures that are no means (F1, AUC) need no
formula of their own.

What it assumes: blocks are independent of each other, as good as exchangeable, and not too few; with fewer than about
20 an interval is too narrow. What it leaves out: another training seed, another year, errors of the reference.

Sources: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 8 and 13 (percentile interval); Lahiri
2003, Resampling Methods for Dependent Data, chapter 12 (blocks of a spatial sample).

Axis suffixes: N patch, B block, R resample, K class, E bin of a histogram.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.model.evaluation.metrics import Bools, Counts, Figure, Floats, Numbers, figure

RESAMPLES, SEED = 1000, 0
LEVEL_PCT = 95.0
SUFFIX = "_ci95"
UNDEFINED_MAX_SHARE = 0.05  # a figure undefined in more resamples than that hangs on fewer than about three blocks: no interval
FEW_BLOCKS = 20
BINS = 256
Interval = list[float] | None


def block_of(row_N: npt.NDArray[np.integer], col_N: npt.NDArray[np.integer], block_patches: tuple[int, int]) -> Counts:
    """The number (N,) of the spatial block of each patch, 0 for the north-western of those that hold a patch.

    Args:
        row_N: patch rows on the store's patch grid.
        col_N: patch columns, likewise.
        block_patches: columns and rows of patches per block, as the study's `splits.block_patches` has them.
    """
    places = np.stack([row_N // block_patches[1], col_N // block_patches[0]], axis=1)
    return np.unique(places, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


@dataclass(frozen=True)
class Bootstrap:
    """Seeded resamples of blocks.

    Attributes:
        weights_RB: float64, how often each block is in each resample; rows sum to the number of blocks. No row at all
            where there are fewer than two blocks: then nothing has an interval.
    """

    weights_RB: Floats

    @classmethod
    def of(cls, blocks: int, resamples: int = RESAMPLES, seed: int = SEED) -> Bootstrap:
        """Draw `resamples` times as many blocks as there are, with replacement."""
        if blocks < 2:
            return cls(np.zeros((0, blocks)))
        drawn_RB = np.random.default_rng(seed).integers(blocks, size=(resamples, blocks))
        cells = drawn_RB + np.arange(resamples)[:, None] * blocks
        return cls(np.bincount(cells.ravel(), minlength=resamples * blocks).reshape(resamples, blocks).astype(np.float64))

    def sums(self, counts_B: Numbers) -> Floats:
        """Counts (B, ...) of the blocks summed for each resample: (R, ...).

        Exact below 2 ** 53, in whatever order they are added: the same on every machine.
        """
        flat = counts_B.reshape(len(counts_B), -1).astype(np.float64)
        return (self.weights_RB @ flat).reshape(len(self.weights_RB), *counts_B.shape[1:])


def interval(value: float, values_R: Floats, shift: float = 0.0) -> Interval:
    """The percentile interval [low, high] of a figure; None where it has none.

    Args:
        value: the figure itself; undefined (NaN), it has no interval.
        values_R: the figure of each resample, NaN where that leaves it undefined; those are left out, and where they
            are more than 5 %, too few blocks define the figure for an interval to mean anything.
        shift: added to every resample, then cut to 0..1: what the resamples' coarser histograms lose of the figure.
    """
    undefined = np.isnan(values_R)
    if np.isnan(value) or not values_R.size or undefined.mean() > UNDEFINED_MAX_SHARE:
        return None
    known = values_R[~undefined]
    tail = (100 - LEVEL_PCT) / 2
    low, high = np.percentile(np.clip(known + shift, 0, 1) if shift else known, [tail, 100 - tail])
    return [float(low), float(high)]


def beside(
    values: Mapping[str, npt.ArrayLike], values_R: Mapping[str, Floats], coarse: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """Figures as files have them, each with `NAME_ci95` behind it.

    Args:
        values: figures by name, NaN where undefined.
        values_R: the same of each resample.
        coarse: where resamples come from histograms, what these make of the whole sample.
    """
    found: dict[str, Figure | Interval] = {}
    for name, value in values.items():
        number = float(np.asarray(value))
        shift = number - coarse[name] if coarse and name in coarse else 0.0
        found[name] = figure(number)
        found[name + SUFFIX] = interval(number, values_R[name], shift)
    return found


def edges(score: npt.NDArray[np.floating], bins: int = BINS) -> npt.NDArray[np.float32]:
    """Upper bounds (bins - 1,) of histogram bins that hold about equally many of these scores each; the last bin is open."""
    return np.asarray(np.quantile(score, np.linspace(0, 1, bins + 1)[1:-1]), np.float32)


def histograms(
    block: npt.NDArray[np.integer], positive: Bools, score: npt.NDArray[np.floating], bounds_E: npt.NDArray[np.float32], blocks: int
) -> Counts:
    """Counts (B, 2, E) of scores by block, sign (negatives first) and bin; a score at a bound lies below it."""
    bins = len(bounds_E) + 1
    cells = (block.astype(np.int64) * 2 + positive) * bins + np.searchsorted(bounds_E, score)
    return np.bincount(cells.ravel(), minlength=blocks * 2 * bins).reshape(blocks, 2, bins).astype(np.int64)


def about(blocks: int, block_patches: tuple[int, int]) -> dict[str, Any]:
    """How the intervals were made, for metrics.json."""
    made = {
        "level": LEVEL_PCT / 100,
        "method": "percentile bootstrap over spatial blocks",
        "blocks": blocks,
        "block_patches": list(block_patches),
        "resamples": RESAMPLES,
        "seed": SEED,
    }
    if blocks < 2:
        return {**made, "note": "one block: no interval can be given; lower splits.block_patches or widen the area"}
    return {**made, "note": f"fewer than {FEW_BLOCKS} blocks: intervals are too narrow"} if blocks < FEW_BLOCKS else made
