"""A band of rasters cut into patches, measured and encoded. Pure functions of arrays; one pass over the pixels.

Axis suffixes: N kept patches, C bands, K classes, U units (pieces of blocks that share a split), Y and X pixels.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.legend import UNLABELLED
from pipeline.store import NODATA_DN, encoder

BINS, BIN_DN = 256, 256  # of the histograms: 256 bins of 256 DN (0.007 of reflectance)
HISTOGRAM_STEP = 10  # pixel rows 0, 10, 20, ... of a patch are counted: all of them would cost a tenth of the whole cutting

_TOGETHER = 4  # patches whose pixels are widened together: few enough for the processor's cache


@dataclass(frozen=True)
class Cut:
    """Patches cut from one band of rows and what became of the rest."""

    image: npt.NDArray[np.uint16]  # N, C, y, x
    label: npt.NDArray[np.uint8]  # N, y, x
    row: npt.NDArray[np.int32]  # N
    col: npt.NDArray[np.int32]  # N
    counts: npt.NDArray[np.uint32]  # N, K: labelled pixels
    valid: npt.NDArray[np.float32]  # N
    dropped: Counter[str]

    def __len__(self) -> int:
        return len(self.row)

    def moved(self, rows: int, cols: int) -> Cut:
        """The same, with rows and columns counted from farther up and left."""
        return replace(self, row=self.row + np.int32(rows), col=self.col + np.int32(cols))

    @property
    def share(self) -> npt.NDArray[np.float32]:
        """Share of the labelled pixels of each class (N, K)."""
        return shares(self.counts)


@dataclass(frozen=True)
class Encoded:
    """What one part of the work leaves: patches as bytes, and the small figures of each."""

    image: list[bytes]
    label: list[bytes]
    small: dict[str, npt.NDArray[Any]]  # row, col, counts, valid, moments (N, 3, C), units (U, 3), histogram (U, C, BINS)
    dropped: Counter[str]

    def __len__(self) -> int:
        return len(self.image)

    def __reduce__(self) -> tuple[Any, ...]:
        """Between processes all bytes travel as one array each, which dask sends without copying."""
        packed = [(np.frombuffer(b"".join(chunks), np.uint8), [len(chunk) for chunk in chunks]) for chunks in (self.image, self.label)]
        return _unpacked, (*packed, self.small, self.dropped)


def _unpacked(
    image: tuple[npt.NDArray[np.uint8], list[int]],
    label: tuple[npt.NDArray[np.uint8], list[int]],
    *rest: Any,  # noqa: ANN401 - the other fields
) -> Encoded:
    return Encoded(_chunks(*image), _chunks(*label), *rest)


def _chunks(data: npt.NDArray[np.uint8], sizes: list[int]) -> list[bytes]:
    stops = np.cumsum(sizes).tolist()
    return [data[stop - size : stop].tobytes() for stop, size in zip(stops, sizes, strict=True)]


def shares(counts_NK: npt.NDArray[np.uint32]) -> npt.NDArray[np.float32]:
    """Each row over its sum."""
    total = np.maximum(counts_NK.sum(axis=1, keepdims=True), 1)
    return np.asarray(counts_NK / total, np.float32)


def cut(
    dn_byx: npt.NDArray[np.uint16],
    codes_yx: npt.NDArray[np.uint8],
    size_px: int,
    lookup: npt.NDArray[np.uint8],
    classes: int,
    valid_min_share: float,
) -> Cut:
    """Cut a band of rows into patches; keep those whose valid share reaches the minimum.

    A pixel is valid where every band has a value and the label is one; rows and columns count from the band's upper
    left. Rows and columns beyond the last whole patch are left out.
    """
    bands, height, width = dn_byx.shape
    rows, cols = height // size_px, width // size_px
    inside = (slice(0, rows * size_px), slice(0, cols * size_px))
    dn, codes = dn_byx[:, *inside], codes_yx[inside]
    class_index = np.take(lookup, codes)
    seen, labelled = np.minimum.reduce(dn, axis=0) != NODATA_DN, class_index != UNLABELLED
    valid, seen_share, labelled_share = (_per_patch(mask, size_px) / size_px**2 for mask in (seen & labelled, seen, labelled))
    keep = valid >= valid_min_share - 1e-9
    counts = np.stack([_per_patch(class_index == index, size_px) for index in range(classes)], axis=1)
    image = dn.reshape(bands, rows, size_px, cols, size_px).transpose(1, 3, 0, 2, 4).reshape(-1, bands, size_px, size_px)
    label = codes.reshape(rows, size_px, cols, size_px).transpose(0, 2, 1, 3).reshape(-1, size_px, size_px)
    row, col = np.divmod(np.flatnonzero(keep), max(cols, 1))
    return Cut(
        np.ascontiguousarray(image if keep.all() else image[keep]),  # copied once, here: patches are then measured and encoded as they lie
        np.ascontiguousarray(label if keep.all() else label[keep]),
        row.astype(np.int32),
        col.astype(np.int32),
        counts[keep],
        valid[keep].astype(np.float32),
        _reasons(seen_share[~keep], labelled_share[~keep], valid_min_share),
    )


def measure(found: Cut, unit_N: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.uint32]]:
    """Moments of each patch and histograms of each unit, over the pixels that have a value.

    Args:
        found: the patches.
        unit_N: the unit each patch belongs to.

    Returns:
        (N, 3, C): valid pixels, sum and sum of squares of DN, exact integers; the units that occur, ascending (U,);
        histograms of DN over every tenth row of pixels (U, C, BINS), nodata left out.
    """
    count, bands = found.image.shape[:2]
    pixels = found.image.reshape(count, bands, found.image.shape[2] * found.image.shape[3])
    moments = np.empty((count, 3, bands), np.uint64)
    moments[:, 0] = pixels.shape[2]
    if (partly := found.valid < 1).any():
        moments[partly, 0] = np.count_nonzero(pixels[partly], axis=2)
    ones = np.ones(pixels.shape[2])
    for start in range(0, count, _TOGETHER):
        wide = pixels[start : start + _TOGETHER].astype(np.float64)  # sums below 2**53 stay exact
        moments[start : start + _TOGETHER, 1] = np.vecdot(wide, ones)
        moments[start : start + _TOGETHER, 2] = np.vecdot(wide, wide)
    units, slot_N = np.unique(unit_N, return_inverse=True)
    return moments, units, histograms(found.image, slot_N, len(units))


def by_unit(units_U: npt.NDArray[np.int64], counted_UCB: npt.NDArray[np.uint32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]:
    """Histograms of equal units added up; units ascending."""
    units, slot_U = np.unique(units_U, return_inverse=True)
    total = np.zeros((len(units), *counted_UCB.shape[1:]), np.uint32)
    for slot, counted in zip(slot_U, counted_UCB, strict=True):
        total[slot] += counted
    return units, total


def histograms(patches_NCYX: npt.NDArray[np.uint16], slot_N: npt.NDArray[np.intp], slots: int) -> npt.NDArray[np.uint32]:
    """Pixels per bin of DN (slots, C, BINS) over every tenth row of each patch, nodata left out; patch n counts in slot `slot_N[n]`."""
    bands = patches_NCYX.shape[1]
    sample = patches_NCYX[:, :, ::HISTOGRAM_STEP]
    place = (sample // BIN_DN).astype(np.intp)
    place += ((slot_N[:, None] * bands + np.arange(bands)) * BINS)[:, :, None, None]
    counted = np.bincount(place.ravel(), minlength=slots * bands * BINS).reshape(slots, bands, BINS)
    if counted[:, :, 0].any():
        np.subtract.at(counted[:, :, 0], slot_N, (sample == NODATA_DN).sum(axis=(2, 3)))
    return counted.astype(np.uint32)


def encode(found: Cut, unit_N: npt.NDArray[np.int64]) -> Encoded:
    """The patches as bytes of zarr chunks, and their figures; `unit_N` is the unit of each."""
    image, label = encoder("image"), encoder("label")
    moments, units, histogram = measure(found, unit_N)
    small: dict[str, npt.NDArray[Any]] = {
        "row": found.row,
        "col": found.col,
        "counts": found.counts,
        "valid": found.valid,
        "moments": moments,
        "units": units,
        "histogram": histogram,
    }
    return Encoded([image(patch) for patch in found.image], [label(patch) for patch in found.label], small, found.dropped)


def _per_patch(mask_yx: npt.NDArray[np.bool_], size_px: int) -> npt.NDArray[np.uint32]:
    """True pixels of each patch, patches in row-major order: first down, in the narrowest type, then across."""
    rows, cols = (length // size_px for length in mask_yx.shape)
    narrow = np.uint8 if size_px < 256 else np.uint16
    down = np.add.reduce(mask_yx.view(np.uint8).reshape(rows, size_px, cols * size_px), axis=1, dtype=narrow)
    return np.asarray(down.reshape(rows * cols, size_px).sum(axis=1, dtype=np.uint32))


def _reasons(seen: npt.NDArray[np.float64], labelled: npt.NDArray[np.float64], minimum: float) -> Counter[str]:
    enough = minimum - 1e-9
    found = Counter({"image_nodata": int((seen < enough).sum()), "unlabelled": int(((seen >= enough) & (labelled < enough)).sum())})
    found["both_together"] = len(seen) - found.total()
    return found
