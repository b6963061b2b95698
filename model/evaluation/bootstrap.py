"""95 % intervals of metrics by a bootstrap over spatial blocks.

Neighbouring pixels and patches share fields, weather, a scene and hence their errors. Drawn one by one they would count
as far more evidence than they are, and intervals would be too narrow. So blocks are drawn with replacement, the blocks
by which the store's splits were dealt, each as a whole. A block is represented by counts that add up (confusion
matrices, score histograms), a resample is a weighted sum of them, and each metric is computed anew from that sum.
Memory grows with the blocks, never with the pixels, and metrics that are no means (F1, AUC) need no formula of their own.

Assumptions: blocks are independent, exchangeable, and not too few; with fewer than about 20 an interval is too narrow.
Not covered: another training seed, another year, errors of the ground truth.

Sources: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 8 and 13 (percentile interval); Lahiri
2003, Resampling Methods for Dependent Data, chapter 12 (blocks of a spatial sample).

Own code, not torchmetrics' `BootStrapper`: that one draws samples one by one, and keeps one metric object per resample.
Axis suffixes: N patch, B block, S the sample itself followed by its resamples, K class, E bin of a histogram.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.model.evaluation.metrics import Bools, Counts, Floats, Numbers

RESAMPLES, SEED = 1000, 0
LEVEL_PCT = 95.0
SUFFIX = "_ci95"
UNDEFINED_MAX_SHARE = 0.05  # a metric undefined in more resamples than that depends on fewer than about three blocks: no interval
FEW_BLOCKS = 20
BINS = 256
Interval = list[float] | None


def block_of(row_N: npt.NDArray[np.integer], col_N: npt.NDArray[np.integer], block_patches: tuple[int, int]) -> Counts:
    """The number (N,) of the spatial block of each patch, from 0, only blocks with a patch counted.

    Args:
        row_N: patch rows on the store's patch grid.
        col_N: patch columns, likewise.
        block_patches: columns and rows of patches per block, the study's `splits.block_patches`.
    """
    block_N2 = np.stack([row_N // block_patches[1], col_N // block_patches[0]], axis=1)
    return np.unique(block_N2, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


@dataclass(frozen=True)
class Bootstrap:
    """Seeded resamples of blocks.

    Attributes:
        weights_SB: float64, how often each block is in each sample. Row 0 is the sample itself, all ones; the rows of
            the resamples sum to the number of blocks. With fewer than two blocks there are no resamples, and no intervals.
    """

    weights_SB: Floats

    @classmethod
    def of(cls, blocks: int, resamples: int = RESAMPLES, seed: int = SEED) -> Bootstrap:
        """Draw `resamples` times as many blocks as there are, with replacement."""
        itself = np.ones((1, blocks))
        if blocks < 2:
            return cls(itself)
        drawn_RB = np.random.default_rng(seed).integers(blocks, size=(resamples, blocks))
        cells = drawn_RB + np.arange(resamples)[:, None] * blocks
        return cls(np.concatenate([itself, np.bincount(cells.ravel(), minlength=resamples * blocks).reshape(resamples, blocks)]))

    def sums(self, counts_B: Numbers) -> Floats:
        """Counts (B, ...) of the blocks summed for each sample: (S, ...). Exact below 2 ** 53 in any order: the same on every machine."""
        flat = counts_B.reshape(len(counts_B), -1).astype(np.float64)
        return (self.weights_SB @ flat).reshape(len(self.weights_SB), *counts_B.shape[1:])


def interval(value: float, values_R: Floats, shift: float = 0.0) -> Interval:
    """The percentile interval [low, high] of a metric; None where it has none.

    Args:
        value: the metric of the sample; undefined (NaN), it has no interval.
        values_R: the metric of each resample. Undefined ones (NaN) are left out; where they are more than 5 %, too few
            blocks define the metric for an interval.
        shift: added to every resample, then cut to 0..1: the error of the resamples' coarser histograms.
    """
    undefined_R = np.isnan(values_R)
    if np.isnan(value) or not values_R.size or undefined_R.mean() > UNDEFINED_MAX_SHARE:
        return None
    known = values_R[~undefined_R]
    tail = (100 - LEVEL_PCT) / 2
    low, high = np.percentile(np.clip(known + shift, 0, 1) if shift else known, [tail, 100 - tail])
    return [float(low), float(high)]


def with_intervals(values_S: Mapping[str, Floats], exact: Mapping[str, npt.ArrayLike] | None = None) -> dict[str, Any]:
    """Metrics as files have them: a float, None where undefined, and behind each `NAME_ci95`.

    Args:
        values_S: metrics by name of the sample and its resamples, NaN where undefined.
        exact: metrics of the sample that replace those of coarse histograms.
    """
    entries: dict[str, Any] = {}
    for name, of_samples in values_S.items():
        value = float(np.asarray((exact or {}).get(name, of_samples[0])))
        entries[name] = None if np.isnan(value) else value
        entries[name + SUFFIX] = interval(value, of_samples[1:], shift=value - float(of_samples[0]))
    return entries


def by_class(
    values_SK: Mapping[str, Floats], names: Sequence[str], exact_K: Mapping[str, Floats] | None = None
) -> dict[str, dict[str, Any]]:
    """`with_intervals` of each class, from metrics (S, K) and exact ones (K,)."""
    exact_K = exact_K or {}
    return {
        name: with_intervals({key: values[:, k] for key, values in values_SK.items()}, {key: values[k] for key, values in exact_K.items()})
        for k, name in enumerate(names)
    }


def edges(score: npt.NDArray[np.floating], bins: int = BINS) -> npt.NDArray[np.float32]:
    """Upper bounds (bins - 1,) of histogram bins that hold about equally many of these scores each; the last bin is open. Without a score they are 0."""
    return np.asarray(np.quantile(score if score.size else np.zeros(1, np.float32), np.linspace(0, 1, bins + 1)[1:-1]), np.float32)


def histograms(
    block: npt.NDArray[np.integer], positive: Bools, score: npt.NDArray[np.floating], bounds_E: npt.NDArray[np.float32], blocks: int
) -> Counts:
    """Counts (B, 2, E) of scores by block, sign (negatives first) and bin; a score at a bound lies below it."""
    bins = len(bounds_E) + 1
    cells = (block.astype(np.int64) * 2 + positive) * bins + np.searchsorted(bounds_E, score)
    return np.bincount(cells.ravel(), minlength=blocks * 2 * bins).reshape(blocks, 2, bins).astype(np.int64)


def metadata(blocks: int, block_patches: tuple[int, int]) -> dict[str, Any]:
    """How the intervals were made, for metrics.json."""
    unit, remedy = {"block_patches": list(block_patches)}, "lower splits.block_patches or widen the area"
    return described("percentile bootstrap over spatial blocks", "block", blocks, unit, remedy)


def described(method: str, word: str, blocks: int, unit: Mapping[str, Any], remedy: str) -> dict[str, Any]:
    """How intervals were made: level, method, number and size (`unit`) of what is drawn, called `word`; with too few of them a note."""
    notes = {}
    if blocks < 2:
        notes["note"] = f"one {word}: no interval can be given; {remedy}"
    elif blocks < FEW_BLOCKS:
        notes["note"] = f"fewer than {FEW_BLOCKS} {word}s: intervals are too narrow"
    return {"level": LEVEL_PCT / 100, "method": method, "blocks": blocks, **unit, "resamples": RESAMPLES, "seed": SEED, **notes}
