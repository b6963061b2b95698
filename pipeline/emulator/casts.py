"""Casts of pixel values: clamped to the type's range and cut towards zero.

Source: Earth Engine API, ee.Image.toUint16 and its kin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.emulator.images import BandType
from cropcam.pipeline.emulator.operators import Array


def caster(dtype: npt.DTypeLike) -> Callable[[Array], Array]:
    """The cast to a type: clamped to its range and cut towards zero; NaN becomes 0."""
    target = np.dtype(dtype)

    def cast(values: Array) -> Array:
        if target.kind == "f" or values.dtype == target:
            return values.astype(target, copy=False)
        about = np.iinfo(target)
        if values.dtype.kind == "f":
            clean = np.nan_to_num(values, nan=0.0, posinf=float(about.max), neginf=float(about.min))
            return _clamped_floats(clean, target)
        return np.asarray(np.clip(values, *_reachable(values.dtype, about))).astype(target)

    return cast


def _clamped_floats(values: Array, target: np.dtype[Any]) -> Array:
    about = np.iinfo(target)
    if about.bits < 64:
        return np.asarray(np.clip(values, about.min, about.max)).astype(target)
    inside = np.where((values >= about.max) | (values <= about.min), 0, values).astype(target)
    return np.where(values >= about.max, about.max, np.where(values <= about.min, about.min, inside))


def _reachable(source: np.dtype[Any], about: np.iinfo[Any]) -> tuple[int, int]:
    limits = np.iinfo(np.uint8 if source.kind == "b" else source)
    return max(int(limits.min), int(about.min)), min(int(limits.max), int(about.max))


CASTS: Mapping[str, tuple[BandType, Callable[[Array], Array]]] = {
    name: (BandType.of(dtype), caster(dtype))
    for name, dtype in {
        "toByte": "uint8", "toUint8": "uint8", "toInt8": "int8", "toUint16": "uint16", "toInt16": "int16", "toShort": "int16",
        "toUint32": "uint32", "toInt32": "int32", "toInt": "int32", "toInt64": "int64", "toLong": "int64", "toFloat": "float32",
        "toDouble": "float64",
    }.items()
}  # fmt: skip
