"""Reducers: of stacks of pixels, of lists of numbers, and their outputs' names and types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cropcam.pipeline.emulator.errors import unimplemented
from cropcam.pipeline.emulator.images import BandType
from cropcam.pipeline.emulator.pixels import Mask, Pixels, Values
from cropcam.pipeline.emulator.stack_reducers import Layers, accumulated, count, median, mode, product
from cropcam.pipeline.emulator.values import Value


@dataclass(frozen=True)
class Reducer:
    """A reducer: its kind (which names its output), inputs it takes, how often it is repeated, and its options."""

    kind: str
    repeats: int = 1
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def max_raw(self) -> int | None:
        """The number of values that may be named as the most a median or mode keeps as they are; None where it is not named."""
        most = dict(self.options).get("maxRaw")
        return None if most is None else int(most)

    def repeated(self, times: int) -> Reducer:
        """The same reducer over each of `times` inputs."""
        return replace(self, repeats=times)


@dataclass(frozen=True)
class Stacking:
    """How a kind of reducer treats a stack of layers: pixels, and the type it makes of an input's."""

    reduce: Callable[[Layers], Pixels]
    type: Callable[[BandType, int], BandType]


def _double(_: BandType, __: int) -> BandType:
    return BandType("double")


def _averaged(band_type: BandType, _: int) -> BandType:
    return BandType("double" if band_type.precision != "float" else "float")


def _same(band_type: BandType, _: int) -> BandType:
    return band_type


def _counted(_: BandType, layers: int) -> BandType:
    return BandType("int", 0, max(layers, 1))


def _flag(_: BandType, __: int) -> BandType:
    return BandType("int", 0, 1)


def _summed(band_type: BandType, layers: int) -> BandType:
    if not band_type.is_int:
        return BandType("double")
    low, high = band_type.bounds
    return BandType("int", min(low * layers, 0), max(high * layers, 0))


def _mean(layers: Layers) -> Pixels:
    total, number = accumulated(np.add, layers, np.float64), count(layers)
    valid = number.values > 0
    return Pixels(total.values / np.maximum(number.values, 1), np.asarray(valid))


def _variance(layers: Layers) -> Pixels:
    mean = _mean(layers)
    squares = [Pixels(np.square(layer.values - mean.values), layer.mask) for layer in layers]
    return _mean(squares)


def _std_dev(layers: Layers) -> Pixels:
    variance = _variance(layers)
    return Pixels(np.sqrt(variance.values), variance.mask)


def _nonzero(values: Values) -> Values:
    return np.not_equal(values, 0).view(np.uint8)


def _with_flags(combine: np.ufunc) -> Callable[[Layers], Pixels]:
    return lambda layers: accumulated(combine, [Pixels(_nonzero(p.values), p.mask) for p in layers], np.uint8)


def _choose(layers: Layers) -> Pixels:
    """The first valid layer of each pixel."""
    result: Pixels | None = None
    for layer in layers:
        if result is None or result.is_empty:
            result = layer
        elif result.mask is not None:
            result = filled(result, layer)
    return result if result is not None else Pixels(np.zeros((), np.uint8), np.zeros((), np.bool_))


def filled(under: Pixels, other: Pixels) -> Pixels:
    """`under` where it is valid, else `other`."""
    if under.mask is None or other.is_empty:
        return under
    if under.is_empty:
        return other
    mask: Mask | None = None if other.mask is None else np.logical_or(under.mask, other.mask)
    return Pixels(np.where(under.mask, under.values, other.values), mask)


STACKED: Mapping[str, Stacking] = {
    "median": Stacking(median, _averaged),
    "mean": Stacking(_mean, _averaged),
    "mode": Stacking(mode, _same),
    "min": Stacking(lambda layers: accumulated(np.minimum, layers), _same),
    "max": Stacking(lambda layers: accumulated(np.maximum, layers), _same),
    "sum": Stacking(lambda layers: accumulated(np.add, layers, np.float64), _summed),
    "product": Stacking(product, _double),
    "count": Stacking(count, _counted),
    "first": Stacking(_choose, _same),
    "last": Stacking(lambda layers: _choose(layers[::-1]), _same),
    "stdDev": Stacking(_std_dev, _double),
    "variance": Stacking(_variance, _double),
    "and": Stacking(_with_flags(np.minimum), _flag),
    "or": Stacking(_with_flags(np.maximum), _flag),
}


def stacking(reducer: Reducer) -> Stacking:
    """How the reducer treats a stack.

    Raises:
        EngineError: not implemented for stacks; at the reduction, more values than a named maxRaw.
    """
    if reducer.kind not in STACKED:
        raise unimplemented(f"Reducer.{reducer.kind} over images")
    found = STACKED[reducer.kind]
    if reducer.max_raw is None:
        return found

    def reduce(layers: Layers) -> Pixels:
        if len(layers) > (reducer.max_raw or 0):
            check_raw(reducer, int(count(layers).values.max()))
        return found.reduce(layers)

    return replace(found, reduce=reduce)


def check_raw(reducer: Reducer, number: int) -> None:
    """Refuse more values than a named maxRaw: above it the service takes the median or mode from a histogram.

    Raises:
        EngineError: UNIMPLEMENTED.

    Source: Earth Engine API, ee.Reducer.median, ee.Reducer.mode. How the histogram is made is not documented.
    """
    if reducer.max_raw is not None and number > reducer.max_raw:
        raise unimplemented(f"Reducer.{reducer.kind} of {number} values with maxRaw {reducer.max_raw} (a histogram on the service)")


def reduce_numbers(reducer: Reducer, values: Sequence[Any]) -> Value:
    """The reducer's output for a list; null is left out, except by toList.

    Raises:
        EngineError: not implemented for lists.
    """
    if reducer.kind == "toList":
        return list(values)
    present = [value for value in values if value is not None]
    if reducer.kind in _OF_ANYTHING:
        return _OF_ANYTHING[reducer.kind](present)
    check_raw(reducer, len(present))
    array = np.asarray(present, np.float64)
    layers = [Pixels(np.asarray(value)) for value in array]
    if not layers:
        return None
    result = stacking(reducer).reduce(layers).values.item()
    whole = all(isinstance(value, int) for value in present) and reducer.kind in ("min", "max", "sum", "mode")
    return int(result) if whole else float(result)


def histogram(values: Sequence[Any]) -> dict[str, int]:
    """Counts of each value, by its text, in the order of the values."""
    counts = Counter(values)
    return {_text(value): counts[value] for value in sorted(counts, key=lambda value: (isinstance(value, str), value))}


def _text(value: Value) -> str:
    return value if isinstance(value, str) else str(int(value)) if float(value).is_integer() else str(float(value))


_OF_ANYTHING: Mapping[str, Callable[[Sequence[Any]], Any]] = {
    "first": lambda values: values[0] if values else None,
    "last": lambda values: values[-1] if values else None,
    "count": len,
    "countDistinct": lambda values: len(set(values)),
    "frequencyHistogram": histogram,
}
