"""Reductions over stacks of layers, pixel by pixel, masked pixels left out.

The median sorts with a network of compare-and-exchange steps between whole planes instead of many short sorts, in
pieces that stay in the processor's cache.

Source: K. E. Batcher, "Sorting networks and their applications", AFIPS 1968 (odd-even merge sort).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.emulator.pixels import NOTHING, Mask, Pixels, Values

Layers = Sequence[Pixels]
_PIECE_BYTES = 1 << 20
_EMPTY = Pixels(np.zeros((), np.uint8), NOTHING)


def median(layers: Layers) -> Pixels:
    """The median of the valid values, of an even count the mean of the middle two.

    Returns:
        float64, of float32 layers float32; masked where no layer is valid.

    Source: Earth Engine API, ee.ImageCollection.median.
    """
    present = [_without_nan(layer) for layer in layers if not layer.is_empty]
    if not present:
        return _EMPTY
    dtype = np.result_type(*(layer.values.dtype for layer in present))
    shape = np.broadcast_shapes(
        *(layer.values.shape for layer in present), *(() if layer.mask is None else layer.mask.shape for layer in present)
    )
    last = np.inf if dtype.kind == "f" else np.iinfo(dtype).max
    stack = np.empty((len(present), *shape), dtype)
    for index, layer in enumerate(present):
        stack[index] = layer.values if layer.mask is None else np.where(layer.mask, layer.values, dtype.type(last))
    number = np.broadcast_to(count(present).values, shape)
    result = np.empty(shape, np.float32 if dtype == np.float32 else np.float64)
    flat, counts, out = stack.reshape(len(present), -1), np.ascontiguousarray(number).reshape(-1), result.reshape(-1)
    step = max(_PIECE_BYTES // (len(present) * dtype.itemsize), 1024)
    for start in range(0, out.size, step):
        piece = slice(start, start + step)
        _middle(np.ascontiguousarray(flat[:, piece]), counts[piece], out[piece])
    return Pixels(result, np.asarray(number > 0))


def count(layers: Layers) -> Pixels:
    """How many layers are valid, everywhere valid itself (0 where none is)."""
    dtype = np.uint8 if len(layers) < 256 else np.uint16 if len(layers) < 65536 else np.uint32
    number: npt.NDArray[Any] = np.zeros((), dtype)
    for layer in layers:
        valid = np.ones((), dtype) if layer.mask is None else layer.mask.view(np.uint8)
        if number.ndim and not layer.is_empty:
            np.add(number, valid, out=number, casting="unsafe")
        elif not layer.is_empty:
            number = np.asarray(np.add(number, valid, dtype=dtype))
    return Pixels(number)


def accumulated(combine: np.ufunc, layers: Layers, dtype: npt.DTypeLike | None = None) -> Pixels:
    """The valid values of each pixel folded by a function such as np.minimum."""
    values: Values | None = None
    mask: Mask | None = None
    for layer in layers:
        if layer.is_empty:
            continue
        layer_values = layer.values if dtype is None else layer.values.astype(dtype)
        if values is None:
            values, mask = layer_values, layer.mask
            continue
        folded = combine(values, layer_values)
        folded = folded if layer.mask is None else np.where(layer.mask, folded, values)
        values = folded if mask is None else np.where(mask, folded, layer_values)
        mask = None if mask is None or layer.mask is None else np.logical_or(mask, layer.mask)
    return _EMPTY if values is None else Pixels(values, mask)


def product(layers: Layers) -> Pixels:
    """The product of the valid values as float64."""
    return accumulated(np.multiply, layers, np.float64)


def mode(layers: Layers) -> Pixels:
    """The commonest valid value, the smallest of equals; masked where no layer is valid.

    Source: Earth Engine API, ee.ImageCollection.mode. Which of equals the service takes is not documented.
    """
    present = [_without_nan(layer) for layer in layers if not layer.is_empty]
    if not present:
        return _EMPTY
    shape = np.broadcast_shapes(
        *(layer.values.shape for layer in present), *(() if layer.mask is None else layer.mask.shape for layer in present)
    )
    values = np.stack([np.broadcast_to(layer.values, shape) for layer in present])
    valid = np.stack([np.broadcast_to(True if layer.mask is None else layer.mask, shape) for layer in present])
    order = np.argsort(values, axis=0, kind="stable")
    values, valid = np.take_along_axis(values, order, 0), np.take_along_axis(valid, order, 0)
    best, most, run = values[0], np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    for index, layer in enumerate(values):
        run = np.where(layer == values[max(index - 1, 0)], run, 0) + valid[index]
        best, most = np.where(run > most, layer, best), np.maximum(most, run)
    return Pixels(best, np.asarray(most > 0))


@lru_cache(maxsize=128)
def network(size: int) -> tuple[tuple[int, int], ...]:
    """Compare-and-exchange steps (low, high) that sort `size` items ascending."""
    steps = []
    power = 1 << max(size - 1, 0).bit_length()
    p = 1
    while p < power:
        k = p
        while k >= 1:
            for j in range(k % p, power - k, 2 * k):
                for i in range(min(k, power - j - k)):
                    low, high = i + j, i + j + k
                    if low // (2 * p) == high // (2 * p) and high < size:
                        steps.append((low, high))
            k //= 2
        p *= 2
    return tuple(steps)


def _middle(planes: Values, counts: Values, out: Values) -> None:
    """Sorts the planes (layer, pixel) in place and writes the mean of each pixel's middle two valid values."""
    rows, spare = list(planes), np.empty(planes.shape[1], planes.dtype)
    for low, high in network(len(rows)):
        np.minimum(rows[low], rows[high], out=spare)
        np.maximum(rows[low], rows[high], out=rows[high])
        rows[low], spare = spare, rows[low]
    pixels, ordered = np.arange(planes.shape[1]), np.concatenate(rows)
    whole = counts.astype(np.int64)
    first, second = np.maximum(whole - 1, 0) // 2, np.minimum(whole // 2, len(rows) - 1)
    size = planes.shape[1]
    np.add(ordered.take(first * size + pixels), ordered.take(second * size + pixels), out=out, dtype=out.dtype)
    out *= 0.5
    out[whole == 0] = 0


def _without_nan(layer: Pixels) -> Pixels:
    if layer.values.dtype.kind != "f":
        return layer
    missing = np.isnan(layer.values)
    if not missing.any():
        return layer
    return Pixels(layer.values, ~missing if layer.mask is None else layer.mask & ~missing)
