"""Stacks of layers of four pixels for tests of reducers, and their valid values as lists."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cropcam.pipeline.emulator.pixels import NOTHING, Pixels

PIXELS = 4


@st.composite
def stacks(draw: st.DrawFn, dtypes: tuple[str, ...] = ("uint8", "uint16", "int32", "float32", "float64")) -> list[Pixels]:
    """Up to nine layers of four pixels, some the same everywhere, some empty, some without a mask."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    elements = st.floats(-1e4, 1e4, width=32) if dtype.kind == "f" else None
    layers = []
    for _ in range(draw(st.integers(1, 9))):
        shape = draw(st.sampled_from([(), (PIXELS,)]))
        values = draw(arrays.arrays(dtype, shape, elements=elements))
        mask = draw(st.none() | st.just(NOTHING) | arrays.arrays(np.bool_, (PIXELS,)))
        layers.append(Pixels(values, mask))
    return layers


def columns(layers: list[Pixels]) -> list[list[Any]]:
    """The valid values of each pixel."""
    spread = [(np.broadcast_to(p.values, (PIXELS,)), np.broadcast_to(True if p.mask is None else p.mask, (PIXELS,))) for p in layers]
    return [[values[i] for values, mask in spread if mask[i]] for i in range(PIXELS)]


def result(pixels: Pixels) -> list[Any]:
    """The value of each pixel, None where it is masked."""
    values = np.broadcast_to(pixels.values, (PIXELS,))
    mask = np.broadcast_to(True if pixels.mask is None else pixels.mask, (PIXELS,))
    return [value if ok else None for value, ok in zip(values.tolist(), mask, strict=True)]
