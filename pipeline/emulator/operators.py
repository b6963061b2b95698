"""Operations on pixel values and the types they make.

Whole numbers: a sum's range is the sum of the ranges, and so on; beyond 64 bits the result is double. Division and
powers are double, of float32 float. Comparisons and logic give 0 or 1.

Source: Earth Engine API, ee.Image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.images import BandType, Number

Array = npt.NDArray[Any]
BinaryFunction = Callable[[Array, Array], Array]
_LIMIT = 2**63 - 1
FLAG = BandType("int", 0, 1)
DOUBLE = BandType("double")


@dataclass(frozen=True)
class Binary:
    """A function of two arrays: the result's type from the inputs', and the function for those types and that dtype."""

    type: Callable[[BandType, BandType], BandType]
    function: Callable[[BandType, BandType, np.dtype[Any]], BinaryFunction]


@dataclass(frozen=True)
class Unary:
    """A function of one array and the type it makes."""

    type: Callable[[BandType], BandType]
    function: Callable[[Array], Array]


def whole(low: Number, high: Number) -> BandType:
    """The integer type of a range; double where 64 bits do not hold it."""
    if low < -_LIMIT or high > _LIMIT:
        return DOUBLE
    return BandType("int", int(low), int(high))


def union(first: BandType, second: BandType) -> BandType:
    """The type that holds the values of both."""
    if first.is_int and second.is_int:
        return whole(min(first.bounds[0], second.bounds[0]), max(first.bounds[1], second.bounds[1]))
    return floating(first, second)


def floating(first: BandType, second: BandType) -> BandType:
    """The type "float" where one is float and the other not double, else "double"."""
    kinds = {first.precision, second.precision}
    return BandType("float") if "float" in kinds and "double" not in kinds else DOUBLE


def _ranged(combine: Callable[[Number, Number], Number]) -> Callable[[BandType, BandType], BandType]:
    def result(first: BandType, second: BandType) -> BandType:
        if not (first.is_int and second.is_int):
            return floating(first, second)
        corners = [combine(a, b) for a in first.bounds for b in second.bounds]
        return whole(min(corners), max(corners))

    return result


def _whole_only(first: BandType, second: BandType) -> None:
    if not (first.is_int and second.is_int):
        raise EngineError("Bitwise operands must be integer only.")


def _anded(first: BandType, second: BandType) -> BandType:
    _whole_only(first, second)
    if first.bounds[0] >= 0 or second.bounds[0] >= 0:
        return whole(0, min(high for low, high in (first.bounds, second.bounds) if low >= 0))
    return BandType.of(np.int64)


def _ored(first: BandType, second: BandType) -> BandType:
    _whole_only(first, second)
    if first.bounds[0] < 0 or second.bounds[0] < 0:
        return BandType.of(np.int64)
    return whole(0, (1 << int(max(first.bounds[1], second.bounds[1])).bit_length()) - 1)


def _shifted_left(first: BandType, second: BandType) -> BandType:
    _whole_only(first, second)
    steps = int(min(max(second.bounds[1], 0), 64))
    return whole(min(int(first.bounds[0]) << steps, 0), max(int(first.bounds[1]) << steps, 0))


def _shifted_right(first: BandType, second: BandType) -> BandType:
    _whole_only(first, second)
    return whole(min(first.bounds[0], 0), max(first.bounds[1], 0))


def _typed(ufunc: Callable[..., Any]) -> Callable[[BandType, BandType, np.dtype[Any]], BinaryFunction]:
    """The function computed in the result's type: correct for sums and products even where an input wraps around."""

    def make(_: BandType, __: BandType, dtype: np.dtype[Any]) -> BinaryFunction:
        return lambda a, b: np.asarray(ufunc(a.astype(dtype, copy=False), b.astype(dtype, copy=False)))

    return make


def _wide(ufunc: Callable[..., Any]) -> Callable[[BandType, BandType, np.dtype[Any]], BinaryFunction]:
    """The function computed in a type that holds both inputs and the result."""

    def make(first: BandType, second: BandType, dtype: np.dtype[Any]) -> BinaryFunction:
        work = np.result_type(first.dtype, second.dtype, dtype)
        return lambda a, b: np.asarray(ufunc(a.astype(work, copy=False), b.astype(work, copy=False))).astype(dtype, copy=False)

    return make


def _bitwise(ufunc: Callable[..., Any]) -> Callable[[BandType, BandType, np.dtype[Any]], BinaryFunction]:
    """The function computed in an integer type that holds both inputs and the result."""

    def make(first: BandType, second: BandType, dtype: np.dtype[Any]) -> BinaryFunction:
        work = np.result_type(first.dtype, second.dtype, dtype)
        work = work if work.kind in "iu" else np.dtype(np.int64)
        return lambda a, b: np.asarray(ufunc(a.astype(work, copy=False), b.astype(work, copy=False))).astype(dtype, copy=False)

    return make


def _compared(ufunc: Callable[..., Any]) -> Callable[[BandType, BandType, np.dtype[Any]], BinaryFunction]:
    return lambda _, __, ___: lambda a, b: np.asarray(ufunc(a, b)).view(np.uint8)


def _float64(function: BinaryFunction) -> Callable[[BandType, BandType, np.dtype[Any]], BinaryFunction]:
    def make(_: BandType, __: BandType, dtype: np.dtype[Any]) -> BinaryFunction:
        return lambda a, b: np.asarray(function(a.astype(np.float64), b.astype(np.float64))).astype(dtype, copy=False)

    return make


def _remaining(first: BandType, second: BandType) -> BandType:
    if not (first.is_int and second.is_int):
        return floating(first, second)
    return whole(min(first.bounds[0], 0), max(first.bounds[1], 0))


def _divide(a: Array, b: Array) -> Array:
    shape = np.broadcast_shapes(a.shape, b.shape)
    return np.asarray(np.divide(a, b, out=np.zeros(shape), where=np.broadcast_to(b != 0, shape)))


def _remainder(a: Array, b: Array) -> Array:
    shape = np.broadcast_shapes(a.shape, b.shape)
    return np.asarray(np.fmod(a, b, out=np.zeros(shape), where=np.broadcast_to(b != 0, shape)))


def _power(a: Array, b: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(np.power(a, b))


def _flags(_: BandType, __: BandType) -> BandType:
    return FLAG


BINARY: Mapping[str, Binary] = {
    "add": Binary(_ranged(lambda a, b: a + b), _typed(np.add)),
    "subtract": Binary(_ranged(lambda a, b: a - b), _typed(np.subtract)),
    "multiply": Binary(_ranged(lambda a, b: a * b), _typed(np.multiply)),
    "divide": Binary(floating, _float64(_divide)),
    "mod": Binary(_remaining, _float64(_remainder)),
    "pow": Binary(floating, _float64(_power)),
    "min": Binary(_ranged(min), _wide(np.minimum)),
    "max": Binary(_ranged(max), _wide(np.maximum)),
    "hypot": Binary(floating, _float64(np.hypot)),
    "atan2": Binary(floating, _float64(np.arctan2)),
    "bitwiseAnd": Binary(_anded, _bitwise(np.bitwise_and)),
    "bitwiseOr": Binary(_ored, _bitwise(np.bitwise_or)),
    "bitwiseXor": Binary(_ored, _bitwise(np.bitwise_xor)),
    "leftShift": Binary(_shifted_left, _bitwise(np.left_shift)),
    "rightShift": Binary(_shifted_right, _bitwise(np.right_shift)),
    "eq": Binary(_flags, _compared(np.equal)),
    "neq": Binary(_flags, _compared(np.not_equal)),
    "lt": Binary(_flags, _compared(np.less)),
    "lte": Binary(_flags, _compared(np.less_equal)),
    "gt": Binary(_flags, _compared(np.greater)),
    "gte": Binary(_flags, _compared(np.greater_equal)),
    "and": Binary(_flags, _compared(np.logical_and)),
    "or": Binary(_flags, _compared(np.logical_or)),
}


def _as_double(kind: BandType) -> BandType:
    return BandType("float") if kind.precision == "float" else DOUBLE


def _absolute(kind: BandType) -> BandType:
    low, high = kind.bounds
    return whole(0 if low <= 0 <= high else min(abs(low), abs(high)), max(abs(low), abs(high))) if kind.is_int else kind


def _quiet(ufunc: Callable[[Array], Any]) -> Callable[[Array], Array]:
    def function(values: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(ufunc(values if values.dtype.kind == "f" else values.astype(np.float64)))

    return function


def _kept_whole(ufunc: Callable[[Array], Any]) -> Callable[[Array], Array]:
    return lambda values: np.asarray(ufunc(values)) if values.dtype.kind == "f" else values


def _abs(values: Array) -> Array:
    return np.asarray(np.abs(values.astype(np.int64) if values.dtype.kind == "i" else values))


def half_up(values: Array) -> Array:
    """The nearest whole number, halves upwards: floor(x + 0.5)."""
    return np.asarray(np.floor(values + values.dtype.type(0.5)))


UNARY: Mapping[str, Unary] = {
    "abs": Unary(_absolute, _abs),
    "not": Unary(lambda _: FLAG, lambda values: np.equal(values, 0).view(np.uint8)),
    "floor": Unary(lambda kind: kind, _kept_whole(np.floor)),
    "ceil": Unary(lambda kind: kind, _kept_whole(np.ceil)),
    "round": Unary(lambda kind: kind, _kept_whole(half_up)),
    "signum": Unary(lambda kind: BandType("int", -1, 1) if kind.is_int else kind, lambda values: np.asarray(np.sign(values))),
} | {
    name: Unary(_as_double, _quiet(ufunc))
    for name, ufunc in {
        "sqrt": np.sqrt, "exp": np.exp, "log": np.log, "log10": np.log10, "sin": np.sin, "cos": np.cos, "tan": np.tan,
        "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "cbrt": np.cbrt,
    }.items()
}  # fmt: skip
