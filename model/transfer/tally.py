"""Counts over the pixels of an image against what a run has seen: whole numbers, so that batches may come in any order and from several threads.

Memory: one histogram per band and one of the confidence, whatever the image's size.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

import numpy as np
import numpy.typing as npt
import torch

from cropcam.model.data.normalization import CLIP
from cropcam.model.transfer.class_distance import ClassDistance, Rows
from cropcam.model.transfer.pixels import Pixels

QUANTILES = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
BINS = 1200  # of a band, from -6 to 6 standard deviations: 0.01 each
CONFIDENCE_BINS = 1000
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Block = tuple[int, int]


@dataclass(frozen=True)
class Limits:
    """Where a pixel is outside of what a run has seen."""

    low_C: Floats  # 0.1 % and 99.9 % of the training pixels, standardised
    high_C: Floats
    low_KC: Floats  # of the training pixels predicted to be of a class
    high_KC: Floats
    distance: ClassDistance
    far: float  # the distance that 99 % of the home's validation pixels do not reach
    unsure: float  # the confidence that 80 % of the home's validation pixels reach


@dataclass(frozen=True)
class Figures:
    """Measured shares (0..1) and means of an image's sampled pixels."""

    pixels: int
    below_C: tuple[float, ...]  # share below the 0.1 % quantile of the training pixels, per band
    above_C: tuple[float, ...]  # share above the 99.9 % quantile
    outside: float  # share outside them in any band
    outside_class: float  # share outside those of the predicted class in any band
    far: float  # share beyond the home's 99 % feature distance
    unsure: float  # share less confident than 80 % of the home's pixels
    confidence: float  # mean
    class_shares_K: tuple[float, ...]  # predicted
    quantiles_CQ: Rows  # at `QUANTILES`, standardised


class Tally:
    """Counts of the pixels of an image. Thread-safe."""

    def __init__(self, limits: Limits, bands: int, classes: int) -> None:
        self.limits = limits
        self.pixels = self.outside = self.outside_class = self.far = self.unsure = 0
        self.band_CE = np.zeros((bands, BINS), np.int64)
        self.confidence_E = np.zeros(CONFIDENCE_BINS, np.int64)
        self.class_K = np.zeros(classes, np.int64)
        self.below_C, self.above_C = np.zeros(bands, np.int64), np.zeros(bands, np.int64)
        self.block_counts: dict[Block, Counts] = {}  # pixels, outside in any band, far
        self._lock = Lock()

    def add(self, pixels: Pixels, block_B: list[Block] | None = None) -> None:
        """Count a batch of pixels; `block_B` is the spatial block of each patch of the batch."""
        if not len(pixels.class_P):
            return
        limits, x_PC, class_P = self.limits, pixels.x_PC, pixels.class_P
        below_PC, above_PC = x_PC < limits.low_C, x_PC > limits.high_C
        outside_P = (below_PC | above_PC).any(axis=1)
        outside_class_P = ((x_PC < limits.low_KC[class_P]) | (x_PC > limits.high_KC[class_P])).any(axis=1)
        far_P = limits.distance(torch.from_numpy(pixels.feature_PD)).numpy() > limits.far
        bin_PC = np.clip(((x_PC + CLIP) * (BINS / (2 * CLIP))).astype(np.int64), 0, BINS - 1)
        counts_CE = np.stack([np.bincount(bin_P, minlength=BINS) for bin_P in bin_PC.T])
        confidence_E = _counted((pixels.confidence_P * CONFIDENCE_BINS).astype(np.int64), CONFIDENCE_BINS)
        unsure = int((pixels.confidence_P < limits.unsure).sum())
        with self._lock:
            self.pixels += len(class_P)
            self.outside += int(outside_P.sum())
            self.outside_class += int(outside_class_P.sum())
            self.far += int(far_P.sum())
            self.unsure += unsure
            self.below_C += below_PC.sum(axis=0)
            self.above_C += above_PC.sum(axis=0)
            self.band_CE += counts_CE
            self.confidence_E += confidence_E
            self.class_K += np.bincount(class_P, minlength=len(self.class_K))
            for patch, block in enumerate(block_B or []):
                here_P = pixels.patch_P == patch
                found = np.array([here_P.sum(), (outside_P & here_P).sum(), (far_P & here_P).sum()], np.int64)
                self.block_counts[block] = self.block_counts.get(block, np.zeros(3, np.int64)) + found

    def figures(self) -> Figures:
        """The shares and means of the counted pixels; at least one has to be counted."""
        middle_E = (np.arange(CONFIDENCE_BINS) + 0.5) / CONFIDENCE_BINS
        quantiles_CQ = [histogram_quantiles(counts_E) for counts_E in self.band_CE]
        return Figures(
            pixels=self.pixels,
            below_C=rounded(self.below_C / self.pixels),
            above_C=rounded(self.above_C / self.pixels),
            outside=self.outside / self.pixels,
            outside_class=self.outside_class / self.pixels,
            far=self.far / self.pixels,
            unsure=self.unsure / self.pixels,
            confidence=float(self.confidence_E @ middle_E) / self.pixels,
            class_shares_K=rounded(self.class_K / self.pixels),
            quantiles_CQ=tuple(map(rounded, quantiles_CQ)),
        )


def histogram_quantiles(counts_E: Counts) -> Floats:
    """The quantiles `QUANTILES` of standardised values in `BINS` bins from -6 to 6: the inverse of their distribution, linear within a bin."""
    until_E = np.cumsum(counts_E)
    rank_Q = np.array(QUANTILES) * until_E[-1]
    bin_Q = np.searchsorted(until_E, rank_Q)
    within_Q = 1 - (until_E[bin_Q] - rank_Q) / counts_E[bin_Q]
    quantiles_Q: Floats = (bin_Q + within_Q) * (2 * CLIP / BINS) - CLIP
    return quantiles_Q


def rounded(values: npt.ArrayLike) -> tuple[float, ...]:
    """Numbers with six digits, as they are written to files."""
    return tuple(float(f"{value:.6g}") for value in np.asarray(values, np.float64))


def _counted(index_P: Counts, bins: int) -> Counts:
    return np.bincount(np.clip(index_P, 0, bins - 1), minlength=bins)
