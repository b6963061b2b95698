"""A band of rasters cut into patches, measured and encoded. Pure functions of arrays; one pass over the pixels.

Axis suffixes: N kept patches, C bands, K classes, U units (pieces of blocks that share a split), Y and X pixels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline import kernels
from cropcam.pipeline.chunks import Chunks, Encoder
from cropcam.pipeline.kernels import BINS

_REASONS = ("image_nodata", "unlabelled", "both_together")


@dataclass(frozen=True)
class Rules:
    """What decides whether a patch is kept and what is counted in it.

    Attributes:
        size_px: side of a patch.
        lookup: class index of each code (256).
        classes: how many there are.
        valid_min_share: least share of valid pixels; a pixel is valid where every band has a value and the label is one.
    """

    size_px: int
    lookup: npt.NDArray[np.uint8]
    classes: int
    valid_min_share: float


@dataclass(frozen=True)
class Encoded:
    """What one part of the work leaves: patches as bytes, and the small figures of each."""

    image: list[Chunks]
    label: list[Chunks]
    small: dict[str, npt.NDArray[Any]]  # row, col, counts, valid, moments (N, 3, C), units (U), histogram (U, C, BINS)
    dropped: Counter[str]

    def __len__(self) -> int:
        return len(self.small["row"])


def shares(counts_NK: npt.NDArray[np.uint32]) -> npt.NDArray[np.float32]:
    """Each row over its sum."""
    total = np.maximum(counts_NK.sum(axis=1, keepdims=True), 1)
    return np.asarray(counts_NK / total, np.float32)


def cut(dn_byx: npt.NDArray[np.uint16], codes_yx: npt.NDArray[np.uint8], rules: Rules, unit_RC: npt.NDArray[np.int64]) -> Encoded:
    """Cut pixels into patches, keep those whose valid share reaches the minimum, measure and encode them.

    One row of patches at a time: they stay in the processor's cache from cutting to encoding. Rows and columns of patches
    count from the upper left; pixels beyond the last whole patch are left out.

    Args:
        dn_byx: image DN, 0 = nodata; C-contiguous.
        codes_yx: CDL codes of the same pixels; C-contiguous.
        rules: which to keep, what to count.
        unit_RC: the unit of each patch, by its row and column.

    Returns:
        The kept patches in row-major order; moments are valid pixels, sum and sum of squares of DN, exact integers;
        histograms of DN over every tenth row of pixels, nodata left out, of each unit there is, ascending.
    """
    bands, height, width = dn_byx.shape
    size, rows, cols = rules.size_px, height // rules.size_px, width // rules.size_px
    units, slot_RC = np.unique(unit_RC, return_inverse=True)
    slot_RC = slot_RC.reshape(unit_RC.shape)
    image, label = np.empty((cols, bands, size, size), np.uint16), np.empty((cols, size, size), np.uint8)
    small: dict[str, npt.NDArray[Any]] = {
        "row": np.empty(rows * cols, np.int32),
        "col": np.empty(rows * cols, np.int32),
        "counts": np.empty((rows * cols, rules.classes), np.uint32),
        "valid": np.empty(rows * cols, np.float32),
        "moments": np.empty((rows * cols, 3, bands), np.uint64),
    }
    histogram, dropped = np.zeros((len(units), bands, BINS), np.uint32), np.zeros(len(_REASONS), np.int64)
    encoders = (Encoder("image", rows * cols, image), Encoder("label", rows * cols, label))
    done = 0
    for row in range(rows):
        room = {name: values[done:] for name, values in small.items()}
        kept = kernels.cut_strip(
            dn_byx,
            codes_yx,
            row * size,
            rules.lookup,
            rules.valid_min_share,
            slot_RC[row],
            image,
            label,
            room["col"],
            room["counts"],
            room["valid"],
            room["moments"],
            histogram,
            dropped,
        )
        room["row"][:kept] = row
        for encoder in encoders:
            encoder.add(kept)
        done += kept
    small = {name: values[:done] for name, values in small.items()} | {"units": units, "histogram": histogram}
    return Encoded([encoders[0].chunks()], [encoders[1].chunks()], small, Counter(dict(zip(_REASONS, dropped.tolist(), strict=True))))


def join(found: Sequence[Encoded]) -> Encoded:
    """Several results as one, patches in row-major order. Each result has its own in that order; encoded bytes are not copied."""
    small = {name: np.concatenate([one.small[name] for one in found]) for name in found[0].small}
    order = np.lexsort([small["col"], small["row"]])
    small |= {name: small[name][order] for name in ("row", "col", "counts", "valid", "moments")}
    small["units"], small["histogram"] = by_unit(small["units"], small["histogram"])
    image, label = [], []
    eastward = sorted(found, key=lambda one: int(one.small["col"].min(initial=0)))
    for row in np.unique(small["row"]):
        for one in eastward:
            start, stop = np.searchsorted(one.small["row"], [row, row + 1]).tolist()
            if start < stop:
                image.append(one.image[0].part(start, stop))
                label.append(one.label[0].part(start, stop))
    dropped: Counter[str] = Counter()
    for one in found:
        dropped.update(one.dropped)
    return Encoded(image, label, small, dropped)


def by_unit(units_U: npt.NDArray[np.int64], counted_UCB: npt.NDArray[np.uint32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]:
    """Histograms of equal units added up; units ascending."""
    units, slot_U = np.unique(units_U, return_inverse=True)
    total = np.zeros((len(units), *counted_UCB.shape[1:]), np.uint32)
    for slot, counted in zip(slot_U, counted_UCB, strict=True):
        total[slot] += counted
    return units, total


def histogram(patch_CYX: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint32]:
    """Pixels per bin of DN (C, BINS) over every tenth row of a patch, nodata left out."""
    counted = np.zeros((len(patch_CYX), BINS), np.uint32)
    kernels.count_bins(np.array(patch_CYX), counted)
    return counted
