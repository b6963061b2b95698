"""The patches of a block, measured in one pass over its pixels. Pure functions of arrays.

Axis suffixes: R and Q rows and columns of patches, C bands, K classes, B bins, Y and X pixels, J every tenth row of pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.runtime.compiled import compiled
from cropcam.pipeline.store.schema import IMAGE, KEPT, LABEL

Figures = dict[str, npt.NDArray[Any]]
HISTOGRAM_STEP = 10  # pixel rows 0, 10, 20, ... of a patch are counted: all of them would cost a tenth of the whole build
_BINS_OF_INTEGERS = 256
# floats: 8 bins per factor of two between 2^-14 and 2^14, for either sign, and one bin for all that is nearer to 0
_LOW, _HIGH, _PER_OCTAVE = -14, 14, 8
_SIDE = (_HIGH - _LOW) * _PER_OCTAVE


def measure(
    image_CYX: npt.NDArray[Any],
    label_YX: npt.NDArray[Any] | None,
    size_px: int,
    encoding: BandEncoding,
    lookup: npt.NDArray[np.uint8],
    classes: int,
    valid_min_share: float,
) -> Figures:
    """The figures of each whole patch, from the upper left; pixels beyond the last whole patch do not count.

    Args:
        image_CYX: stored values of all bands.
        label_YX: label codes of the same pixels; None where there are no labels.
        size_px: side of a patch.
        encoding: of the image.
        lookup: class index of each code, `UNLABELLED` without a class.
        classes: how many there are.
        valid_min_share: least share of valid pixels of a patch that is kept. A pixel is valid where every band has a
            value and, if there are labels, the code has a class.

    Returns:
        By name, patches on axes R, Q:
            valid     float32           share of valid pixels
            reason    uint8             KEPT, IMAGE or LABEL: why it is not kept
            moments   float64 (.., 3, C)  valid pixels of each band, sum and sum of squares of stored values
            histogram (.., C, B)          of `counted_type`; stored values of every tenth row of pixels by the bins of `bin_edges`, nodata left out
        and with labels:
            share     float32 (.., K)   of labelled pixels; NaN without one
            counts    uint32 (.., K)    labelled pixels
    """
    bands, height, width = image_CYX.shape
    rows, cols = height // size_px, width // size_px
    whole = size_px * size_px
    codes_YX = np.empty((0, 0), np.uint8) if label_YX is None else label_YX
    if lookup.size > 256:  # classes as codes: tables of 65,536 counts would cost more than the pixels of a patch
        codes_YX, lookup = lookup[codes_YX], np.arange(256, dtype=np.uint8)
    is_float = image_CYX.dtype.kind == "f" or image_CYX.dtype.itemsize > 2
    figures: Figures = {
        "moments": np.zeros((rows, cols, 3, bands)),
        "histogram": np.zeros((rows, cols, bands, len(bin_edges(image_CYX.dtype)) - 1), counted_type(size_px)),
        "counts": np.zeros((rows, cols, classes), np.uint32),
    }
    seen_RQ, valid_RQ = np.zeros((rows, cols), np.int64), np.zeros((rows, cols), np.int64)
    _measure(
        image_CYX, encoding.nodata_C, encoding.has_nodata_C, codes_YX, lookup, size_px, np.float64(0) if is_float else np.int64(0),
        _every_tenth_row(image_CYX, size_px, rows, encoding), seen_RQ, valid_RQ, *figures.values(),
    )  # fmt: skip
    least = valid_min_share - 1e-9
    bare_RQ, poor_RQ = (~((pixels > 0) & (pixels / whole >= least)) for pixels in (seen_RQ, valid_RQ))
    figures["reason"] = np.where(bare_RQ, IMAGE, np.where(poor_RQ, LABEL, KEPT)).astype(np.uint8)
    figures["valid"] = (valid_RQ / whole).astype(np.float32)
    if label_YX is None:
        del figures["counts"]
    else:
        total = figures["counts"].sum(axis=-1, keepdims=True)
        with np.errstate(invalid="ignore"):
            figures["share"] = (figures["counts"] / total).astype(np.float32)
    return figures


def counted_type(size_px: int) -> type[np.unsignedinteger[Any]]:
    """The type of a histogram's counts: a bin may hold every counted pixel of a patch."""
    return np.uint16 if -(-size_px // HISTOGRAM_STEP) * size_px < 2**16 else np.uint32


def bin_edges(dtype: npt.DTypeLike) -> npt.NDArray[np.float64]:
    """Edges of the histogram's bins in stored values, ascending (bins + 1); values beyond the ends count in the outer bins.

    A bin holds its lower edge, a bin of negative floats its upper one.
    """
    kind = np.dtype(dtype)
    if kind.kind in "iu" and kind.itemsize <= 2:
        limits = np.iinfo(kind)
        return np.linspace(float(limits.min), float(limits.max) + 1, _BINS_OF_INTEGERS + 1)
    octave, part = np.divmod(np.arange(_SIDE + 1), _PER_OCTAVE)
    side = 2.0 ** (octave + _LOW) * (1 + part / _PER_OCTAVE)
    return np.concatenate([-side[::-1], side])


def _every_tenth_row(image_CYX: npt.NDArray[Any], size_px: int, rows: int, encoding: BandEncoding) -> npt.NDArray[np.int16]:
    """The bin of each value (C, J, X) of the rows that are counted, -1 = missing."""
    at = np.arange(rows * size_px)
    values = image_CYX[:, at[at % size_px % HISTOGRAM_STEP == 0]]
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
        shift = 8 * values.dtype.itemsize - 8
        bins = (values.astype(np.int32) - np.iinfo(values.dtype).min) >> shift
    else:
        mantissa, exponent = np.frexp(np.abs(values.astype(np.float64)))  # |value| = mantissa x 2^exponent, 0.5 <= mantissa < 1
        step = (exponent - 1 - _LOW) * _PER_OCTAVE + np.floor((2 * mantissa - 1) * _PER_OCTAVE)
        step = np.where(mantissa > 0, np.clip(step, -1, _SIDE - 1), -1)
        bins = np.where(step < 0, _SIDE, np.where(values < 0, _SIDE - 1 - step, _SIDE + 1 + step))
    return np.where(encoding.valid(values), bins, -1).astype(np.int16)


@compiled
def _measure(  # noqa: PLR0912 - one pass: a patch is read while it lies in the processor's cache
    image_CYX: npt.NDArray[Any],
    nodata_C: npt.NDArray[Any],
    has_nodata_C: npt.NDArray[np.bool_],
    codes_YX: npt.NDArray[Any],
    lookup: npt.NDArray[np.uint8],
    size: int,
    zero: np.int64 | np.float64,
    bins_CJX: npt.NDArray[np.int16],
    seen_RQ: npt.NDArray[np.int64],
    valid_RQ: npt.NDArray[np.int64],
    moments_RQ3C: npt.NDArray[np.float64],
    histogram_RQCB: npt.NDArray[Any],
    counts_RQK: npt.NDArray[np.uint32],
) -> None:
    rows, cols, has_labels = seen_RQ.shape[0], seen_RQ.shape[1], codes_YX.size > 0
    counted_rows = bins_CJX.shape[1] // max(rows, 1)
    of_code = np.zeros((4, lookup.size), np.uint32)  # four tables: neighbours are mostly equal, and repeated additions to one cell stall
    there = np.empty((size, size), np.bool_)
    for row in range(rows):
        for col in range(cols):
            top, left = row * size, col * size
            there[:] = True
            is_whole = True
            for band in range(image_CYX.shape[0]):
                nodata, has_nodata = nodata_C[band], has_nodata_C[band]
                valid, total, squares = 0, zero, zero
                for y in range(size):
                    line = image_CYX[band, top + y, left : left + size]
                    for x in range(size):
                        stored = line[x]
                        is_value = (stored == stored) & ((stored != nodata) | (not has_nodata))  # noqa: PLR0124
                        value = stored + zero if is_value else zero
                        valid += is_value
                        total += value
                        squares += value * value
                moments_RQ3C[row, col, 0, band], moments_RQ3C[row, col, 1, band], moments_RQ3C[row, col, 2, band] = valid, total, squares
                if valid != size * size:
                    is_whole = False
                    for y in range(size):
                        for x in range(size):
                            stored = image_CYX[band, top + y, left + x]
                            there[y, x] &= (stored == stored) & ((stored != nodata) | (not has_nodata))  # noqa: PLR0124
                for j in range(row * counted_rows, (row + 1) * counted_rows):
                    for x in range(left, left + size):
                        if bins_CJX[band, j, x] >= 0:
                            histogram_RQCB[row, col, band, bins_CJX[band, j, x]] += 1
            seen = size * size if is_whole else there.sum()
            labelled = 0
            if has_labels:
                of_code[:] = 0
                for y in range(size):
                    line = codes_YX[top + y, left : left + size]
                    for x in range(size):
                        of_code[x & 3, line[x]] += 1
                for code in range(lookup.size):
                    pixels = of_code[0, code] + of_code[1, code] + of_code[2, code] + of_code[3, code]
                    if pixels and lookup[code] != UNLABELLED:
                        counts_RQK[row, col, lookup[code]] += pixels
                        labelled += pixels
            seen_RQ[row, col] = seen
            if not has_labels:
                valid_RQ[row, col] = seen
            elif is_whole:
                valid_RQ[row, col] = labelled
            else:
                for y in range(size):
                    for x in range(size):
                        valid_RQ[row, col] += there[y, x] and lookup[codes_YX[top + y, left + x]] != UNLABELLED
