"""Algorithms on numbers: the image operations on single values.

Source: Earth Engine API, ee.Number.
"""

from __future__ import annotations

import math
import re

import numpy as np

from cropcam.pipeline.emulator import budget
from cropcam.pipeline.emulator.casts import CASTS
from cropcam.pipeline.emulator.errors import EngineError, unimplemented
from cropcam.pipeline.emulator.images import BandType, Number
from cropcam.pipeline.emulator.operators import BINARY, UNARY
from cropcam.pipeline.emulator.registry import algorithm
from cropcam.pipeline.emulator.values import Value

_ALIASES = {
    "bitwiseAnd": "bitwise_and",
    "bitwiseOr": "bitwise_or",
    "bitwiseXor": "bitwise_xor",
    "leftShift": "left_shift",
    "rightShift": "right_shift",
}


def _type(value: Number) -> BandType:
    return BandType("int", int(value), int(value)) if isinstance(value, int) else BandType("double", value, value)


def _plain(value: Value, kind: BandType) -> Number:
    return int(value) if kind.is_int else float(value)


def _binary(name: str) -> None:
    operation = BINARY[name]

    def operate(left: int | float, right: int | float) -> Number:
        first, second = _type(left), _type(right)
        kind = operation.type(first, second)
        function = operation.function(first, second, kind.dtype)
        result = function(np.asarray(left, first.dtype), np.asarray(right, second.dtype))
        return _plain(result.item(), kind)

    operate.__doc__ = f"Number.{name}."
    algorithm(f"Number.{name}", *([f"Number.{_ALIASES[name]}"] if name in _ALIASES else []))(operate)


def _unary(name: str) -> None:
    operation = UNARY[name]

    def operate(input: int | float) -> Number:  # noqa: A002
        result = operation.function(np.asarray(input, _type(input).dtype)).item()
        rounded = name in ("floor", "ceil", "round") and math.isfinite(result)
        return _plain(result, BandType("int") if rounded else operation.type(_type(input)))

    operate.__doc__ = f"Number.{name}."
    algorithm(f"Number.{name}")(operate)


def _cast(name: str) -> None:
    target, cast = CASTS[name]

    def operate(input: int | float) -> Number:  # noqa: A002
        return _plain(cast(np.asarray(input, _type(input).dtype)).item(), target)

    operate.__doc__ = f"Number.{name}."
    plain = name.removeprefix("to")
    algorithm(f"Number.{name}", f"Number.{plain[0].lower()}{plain[1:]}")(operate)


for _name in BINARY:
    _binary(_name)
for _name in UNARY:
    _unary(_name)
for _name in CASTS:
    _cast(_name)


@algorithm("Number.parse")
def parse(input: str, radix: int = 10) -> Number:  # noqa: A002
    """The number that text writes."""
    try:
        return int(input, radix) if radix != 10 or re.fullmatch(r"[+-]?\d+", input) else float(input)
    except ValueError:
        raise EngineError(f"Number.parse: Cannot parse '{input}' as a number.") from None


@algorithm("Number.format")
def format_(number: int | float, pattern: str = "%s") -> str:
    """The number as text by a printf pattern."""
    whole = isinstance(number, int) or float(number).is_integer()
    budget.check_text(len(pattern))
    if re.search(r"\d{4}|\*", pattern):  # a width or a precision that fills the memory
        raise unimplemented(f"Number.format: pattern '{pattern[:100]}'")
    try:
        return pattern % (int(number) if whole and re.search(r"%[-+ 0#]*\d*[dsxXo]", pattern) else number)
    except (TypeError, ValueError, OverflowError):
        raise unimplemented(f"Number.format: pattern '{pattern}'") from None


@algorithm("Number.clamp")
def clamp(number: int | float, min: float, max: float) -> Number:  # noqa: A002
    """The number brought into [min, max]."""
    return min if number < min else max if number > max else number
