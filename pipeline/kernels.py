"""Compiled loops over the pixels of patches: one pass each, without Python's lock, so threads run in parallel.

numba compiles them at the first use on a machine, in about two seconds. The result is cached beside this file, else in
the user's cache folder, else in no place: then each process compiles. The tests compare them with plain numpy.

Axis suffixes: N patches, P places in a row of patches, C bands, K classes, U units, B bins, Y and X pixels.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, TypeVar

import llvmlite.binding
import llvmlite.ir
import numba
import numpy as np
import numpy.typing as npt
from numba.core.cgutils import raw_memcpy
from numba.extending import intrinsic
from numcodecs import blosc

from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.store.schema import NODATA_DN

Loop = TypeVar("Loop", bound=Callable[..., Any])
BINS, BIN_DN = 256, 256  # of the histograms: 256 bins of 256 DN (0.007 of reflectance)
HISTOGRAM_STEP = 10  # pixel rows 0, 10, 20, ... of a patch are counted: all of them would cost a tenth of the whole cutting
_SYMBOL = "cropcam_blosc_compress_ctx"


def _compiled(signature: str) -> Callable[[Loop], Loop]:
    """Compiled when the module is imported, not when first called: a run's clock has started by then."""

    def compile_loop(loop: Loop) -> Loop:
        try:
            compiled: Any = numba.njit(signature, nogil=True, cache=True)(loop)
        except RuntimeError:  # no writable cache folder: each process compiles
            compiled = numba.njit(signature, nogil=True)(loop)
        return compiled  # type: ignore[no-any-return]

    return compile_loop


def _emit_copy(typing: Any, target: Any, source: Any, nbytes: Any) -> Any:  # noqa: ANN401, ARG001 - numba's protocol
    """memcpy: for rows as short as a patch's, numba's loop takes twice as long."""

    def emit(context: Any, builder: Any, _signature: Any, args: Any) -> Any:  # noqa: ANN401
        byte = llvmlite.ir.IntType(8).as_pointer()
        to, at, count = args
        raw_memcpy(builder, builder.inttoptr(to, byte), builder.inttoptr(at, byte), count, 1)  # type: ignore[no-untyped-call]
        return context.get_dummy_value()

    return numba.types.void(numba.types.uintp, numba.types.uintp, numba.types.intp), emit


_copy: Any = intrinsic(_emit_copy)


@_compiled("b1(u1[:,:], b1[::1])")
def all_in(codes_YX: npt.NDArray[np.uint8], is_one: npt.NDArray[np.bool_]) -> bool:
    """Whether every code is a member by the table `is_one` (256)."""
    all_members = True
    for y in range(codes_YX.shape[0]):
        for x in range(codes_YX.shape[1]):
            all_members &= is_one[codes_YX[y, x]]
    return all_members


@_compiled("void(u2[:,:,:], u4[:,::1])")
def count_bins(patch_CYX: npt.NDArray[np.uint16], counted_CB: npt.NDArray[np.uint32]) -> None:
    """Add the DN of every HISTOGRAM_STEP-th row of a patch to the bins of its bands, nodata left out."""
    bands, height, width = patch_CYX.shape
    for band in range(bands):
        bins = counted_CB[band]
        for y in range(0, height, HISTOGRAM_STEP):
            line = patch_CYX[band, y]
            for x in range(width):
                if line[x] != NODATA_DN:
                    bins[line[x] // BIN_DN] += 1


@_compiled(
    "i8(u2[:,:,::1], u1[:,::1], i8, u1[::1], f8, i8[::1], u2[:,:,:,::1], u1[:,:,::1], i4[::1], u4[:,::1], f4[::1], u8[:,:,::1], u4[:,:,::1], i8[::1])"
)
def cut_strip(  # noqa: PLR0912, PLR0915 - one pass, each patch is read while it lies in the processor's cache
    dn_CYX: npt.NDArray[np.uint16],
    codes_YX: npt.NDArray[np.uint8],
    top: int,
    lookup: npt.NDArray[np.uint8],
    least_share: float,
    slot_P: npt.NDArray[np.int64],
    image_NCYX: npt.NDArray[np.uint16],
    label_NYX: npt.NDArray[np.uint8],
    col_N: npt.NDArray[np.int32],
    counts_NK: npt.NDArray[np.uint32],
    valid_N: npt.NDArray[np.float32],
    moments_N3C: npt.NDArray[np.uint64],
    counted_UCB: npt.NDArray[np.uint32],
    dropped: npt.NDArray[np.int64],
) -> int:
    """Cut one row of patches and measure them; patches with too few valid pixels are left out.

    Args:
        dn_CYX: image; columns beyond the last whole patch do not count.
        codes_YX: labels of the same pixels.
        top: the first of the rows of pixels to cut.
        lookup: class index of each code (256).
        least_share: of valid pixels; a pixel is valid where every band has a value and the label is a class.
        slot_P: the histogram that each patch of the row adds to.
        image_NCYX: room for all patches; filled from the front.
        label_NYX: likewise.
        col_N: takes the patch column of each.
        counts_NK: takes the pixels of each class.
        valid_N: takes the valid share.
        moments_N3C: takes valid pixels, sum and sum of squares of DN of each band, exact.
        counted_UCB: histograms.
        dropped: counts those left out: too little image, too few labels, too little of both together.

    Returns:
        How many were kept.
    """
    bands, width, size = dn_CYX.shape[0], dn_CYX.shape[2], label_NYX.shape[1]
    whole = size * size
    of_code = np.zeros((4, 256), np.uint32)  # four tables: neighbours are mostly equal, and repeated additions to one cell stall
    kept = 0
    for col in range(width // size):
        left = col * size
        for y in range(size):
            _copy(label_NYX[kept, y].ctypes.data, codes_YX[top + y, left:].ctypes.data, size)
        for band in range(bands):
            for y in range(size):
                _copy(image_NCYX[kept, band, y].ctypes.data, dn_CYX[band, top + y, left:].ctypes.data, 2 * size)
        of_code[:] = 0
        codes = label_NYX[kept].reshape(whole)
        for n in range(whole // 4):
            of_code[0, codes[4 * n]] += 1
            of_code[1, codes[4 * n + 1]] += 1
            of_code[2, codes[4 * n + 2]] += 1
            of_code[3, codes[4 * n + 3]] += 1
        for n in range(whole // 4 * 4, whole):
            of_code[0, codes[n]] += 1
        counts = counts_NK[kept]
        counts[:] = 0
        labelled = 0
        for code in range(256):
            pixels = of_code[0, code] + of_code[1, code] + of_code[2, code] + of_code[3, code]
            if pixels and lookup[code] != UNLABELLED:
                counts[lookup[code]] += pixels
                labelled += pixels
        has_nodata = False
        for band in range(bands):
            valid_pixels, total, squares = np.uint64(0), np.uint64(0), np.uint64(0)
            for y in range(size):
                line = image_NCYX[kept, band, y]
                row_total, row_valid = np.uint32(0), np.uint32(0)  # narrow sums of one row vectorise better
                for x in range(size):
                    value = np.uint32(line[x])
                    row_valid = np.uint32(row_valid + np.uint32(value != NODATA_DN))
                    row_total = np.uint32(row_total + value)
                    squares += np.uint64(np.uint32(value * value))
                valid_pixels += np.uint64(row_valid)
                total += np.uint64(row_total)
            moments_N3C[kept, 0, band], moments_N3C[kept, 1, band], moments_N3C[kept, 2, band] = valid_pixels, total, squares
            has_nodata |= valid_pixels != whole
        seen, valid = whole, labelled
        if has_nodata:
            seen = valid = 0
            for y in range(size):
                for x in range(size):
                    there_all = True
                    for band in range(bands):
                        there_all &= image_NCYX[kept, band, y, x] != NODATA_DN
                    seen += there_all
                    valid += there_all and lookup[label_NYX[kept, y, x]] != UNLABELLED
        if valid and valid / whole >= least_share - 1e-9:
            col_N[kept] = col
            valid_N[kept] = valid / whole
            count_bins(image_NCYX[kept], counted_UCB[slot_P[col]])
            kept += 1
        elif not seen or seen / whole < least_share - 1e-9:
            dropped[0] += 1
        elif not labelled or labelled / whole < least_share - 1e-9:
            dropped[1] += 1
        else:
            dropped[2] += 1
    return kept


def _find_blosc() -> bool:
    """Make the Blosc of numcodecs callable from compiled code, where its library exports it."""
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
