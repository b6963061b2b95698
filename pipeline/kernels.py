"""Loops over the pixels of patches, compiled: one pass each, and Python's lock is free meanwhile, so threads do not wait for each other.

Compiled by numba at the first use on a machine, about two seconds, and kept beside this file or, where that cannot be
written, in the user's cache folder; where neither can, anew by each process. The tests hold them against plain numpy.

Axis suffixes: N patches, C bands, K classes, B bins, Y and X pixels.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, TypeVar

import llvmlite.binding
import numba
import numpy as np
import numpy.typing as npt
from numcodecs import blosc

from pipeline.legend import UNLABELLED
from pipeline.store import NODATA_DN

Loop = TypeVar("Loop", bound=Callable[..., Any])
_SYMBOL = "cropcam_blosc_compress_ctx"


def _compiled(signature: str) -> Callable[[Loop], Loop]:
    """Compiled when the module is imported, not when first called: a run's clock has started by then."""

    def compile_loop(loop: Loop) -> Loop:
        try:
            compiled: Any = numba.njit(signature, nogil=True, cache=True)(loop)
        except RuntimeError:  # no folder to keep it in can be written: compiled by each process
            compiled = numba.njit(signature, nogil=True)(loop)
        return compiled  # type: ignore[no-any-return]

    return compile_loop


@_compiled("void(u2[:,:,:], i8, i8, u4[:,::1])")
def count_bins(patch_CYX: npt.NDArray[np.uint16], every_row: int, bin_dn: int, counted_CB: npt.NDArray[np.uint32]) -> None:
    """Add the DN of every so many rows of a patch to the bins of its bands, nodata left out."""
    bands, height, width = patch_CYX.shape
    for band in range(bands):
        bins = counted_CB[band]
        for y in range(0, height, every_row):
            line = patch_CYX[band, y]
            for x in range(width):
                if line[x] != NODATA_DN:
                    bins[line[x] // bin_dn] += 1


@_compiled("i8(u2[:,:,::1], u1[:,::1], i8, u1[::1], f8, u2[:,:,:,::1], u1[:,:,::1], i4[::1], u4[:,::1], f4[::1], i8[::1])")
def cut_strip(  # noqa: PLR0912 - one pass, each pixel looked at once
    dn_CYX: npt.NDArray[np.uint16],
    codes_YX: npt.NDArray[np.uint8],
    top: int,
    lookup: npt.NDArray[np.uint8],
    least_share: float,
    image_NCYX: npt.NDArray[np.uint16],
    label_NYX: npt.NDArray[np.uint8],
    col_N: npt.NDArray[np.int32],
    counts_NK: npt.NDArray[np.uint32],
    valid_N: npt.NDArray[np.float32],
    dropped: npt.NDArray[np.int64],
) -> int:
    """Cut one row of patches; those with too few valid pixels are left out.

    Args:
        dn_CYX: image; columns beyond the last whole patch do not count.
        codes_YX: labels of the same pixels.
        top: the first of the rows of pixels to cut.
        lookup: class index of each code (256).
        least_share: of valid pixels; a pixel is valid where every band has a value and the label is one.
        image_NCYX: room for all patches; filled from the front.
        label_NYX: likewise.
        col_N: takes the patch column of each.
        counts_NK: takes the pixels of each class.
        valid_N: takes the valid share.
        dropped: counts those left out: too little image, too few labels, too little of both together.

    Returns:
        How many were kept.
    """
    bands, width, size = dn_CYX.shape[0], dn_CYX.shape[2], label_NYX.shape[1]
    whole = size * size
    of_code = np.zeros(256, np.uint32)
    kept = 0
    for col in range(width // size):
        left, right = col * size, (col + 1) * size
        of_code[:] = 0
        for y in range(size):
            codes, to = codes_YX[top + y, left:right], label_NYX[kept, y]
            for x in range(size):
                to[x] = codes[x]
                of_code[codes[x]] += 1
        counts = counts_NK[kept]
        counts[:] = 0
        labelled = 0
        for code in range(256):
            if of_code[code] and lookup[code] != UNLABELLED:
                counts[lookup[code]] += of_code[code]
                labelled += of_code[code]
        lowest = np.uint16(65535)
        for band in range(bands):
            for y in range(size):
                values, into = dn_CYX[band, top + y, left:right], image_NCYX[kept, band, y]
                for x in range(size):
                    into[x] = values[x]
                    lowest = min(lowest, values[x])
        seen, valid = whole, labelled
        if lowest == NODATA_DN:
            seen = valid = 0
            for y in range(size):
                for x in range(size):
                    there = True
                    for band in range(bands):
                        there &= image_NCYX[kept, band, y, x] != NODATA_DN
                    seen += there
                    valid += there and lookup[label_NYX[kept, y, x]] != UNLABELLED
        if valid / whole >= least_share - 1e-9:
            col_N[kept] = col
            valid_N[kept] = valid / whole
            kept += 1
        elif seen / whole < least_share - 1e-9:
            dropped[0] += 1
        elif labelled / whole < least_share - 1e-9:
            dropped[1] += 1
        else:
            dropped[2] += 1
    return kept


@_compiled("void(u2[:,:,:,::1], i8[:], i8, i8, u8[:,:,::1], u4[:,:,::1])")
def measure(
    image_NCYX: npt.NDArray[np.uint16],
    slot_N: npt.NDArray[np.int64],
    every_row: int,
    bin_dn: int,
    moments_N3C: npt.NDArray[np.uint64],
    counted_UCB: npt.NDArray[np.uint32],
) -> None:
    """Valid pixels, sum and sum of squares of DN of each patch and band, exact; patch n adds its rows to histogram `slot_N[n]`."""
    count, bands, height, width = image_NCYX.shape
    for n in range(count):
        for band in range(bands):
            there, total, squares = np.uint64(0), np.uint64(0), np.uint64(0)
            for y in range(height):
                line = image_NCYX[n, band, y]
                some, few = np.uint32(0), np.uint32(0)  # narrow sums of one row: more of them at once
                for x in range(width):
                    value = np.uint32(line[x])
                    few = np.uint32(few + np.uint32(value != NODATA_DN))
                    some = np.uint32(some + value)
                    squares += np.uint64(np.uint32(value * value))
                there += np.uint64(few)
                total += np.uint64(some)
            moments_N3C[n, 0, band], moments_N3C[n, 1, band], moments_N3C[n, 2, band] = there, total, squares
        count_bins(image_NCYX[n], every_row, bin_dn, counted_UCB[slot_N[n]])


def _find_blosc() -> bool:
    """Make numcodecs' own Blosc known to compiled code, where its library shows it."""
    try:
        function = ctypes.CDLL(blosc.__file__).blosc_compress_ctx
    except (OSError, AttributeError):
        return False
    llvmlite.binding.add_symbol(_SYMBOL, ctypes.cast(function, ctypes.c_void_p).value)
    return True


ROOM = int(blosc.MAX_OVERHEAD)  # bytes that a frame takes at most beyond what it holds
CALLS_BLOSC = _find_blosc()
_word, _int = numba.types.uintp, numba.types.int32
_blosc_compress: Any = numba.types.ExternalFunction(_SYMBOL, _int(_int, _int, _word, _word, _word, _word, _word, _word, _word, _int))


@_compiled("i8(u1[:,::1], u1[::1], i8, i8, i8, u1[::1], i8, i8[::1])")
def _blosc_all(
    values_NX: npt.NDArray[np.uint8],
    name: npt.NDArray[np.uint8],
    level: int,
    shuffle: int,
    itemsize: int,
    out: npt.NDArray[np.uint8],
    at: int,
    size_N: npt.NDArray[np.int64],
) -> int:
    count, nbytes = values_NX.shape
    if out.size - at < count * (nbytes + ROOM):
        return -1
    for n in range(count):
        # the room decides when Blosc gives up and copies: as numcodecs gives it, whatever is left in `out`
        source, target = values_NX[n:].ctypes.data, out[at:].ctypes.data
        size = _blosc_compress(level, shuffle, itemsize, nbytes, source, target, nbytes + ROOM, name.ctypes.data, 0, 1)
        if size <= 0:
            return -1
        size_N[n] = size
        at += size
    return at


def compress(
    values_NX: npt.NDArray[np.uint8],
    codec: tuple[str, int, int, int],
    out: npt.NDArray[np.uint8],
    at: int,
    size_N: npt.NDArray[np.int64],
) -> int:
    """Write the Blosc frame of each row of bytes to `out`, one behind the other from `at` on, and their sizes to `size_N`.

    Args:
        values_NX: rows of bytes, C-contiguous.
        codec: Blosc's compressor, level, shuffle (0 none, 1 bytes, 2 bits) and item size.
        out: with `ROOM` bytes more left for each row than it has.
        at: where the first begins.
        size_N: takes the sizes.

    Returns:
        Where the last one ends.

    Raises:
        RuntimeError: Blosc failed.
    """
    name, level, shuffle, itemsize = codec
    if CALLS_BLOSC:
        end = int(_blosc_all(values_NX, np.array([*name.encode(), 0], np.uint8), level, shuffle, itemsize, out, at, size_N))
        if end < 0:
            raise RuntimeError("Blosc could not compress a patch")
        return end
    for n, values in enumerate(values_NX):
        frame = np.frombuffer(blosc.compress(values, name.encode(), level, shuffle, 0, itemsize), np.uint8)
        size_N[n] = frame.size
        out[at : at + frame.size] = frame
        at += frame.size
    return at
