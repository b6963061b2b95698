"""Whether stored values can be what a sensor measures: scaled otherwise, or fill that no tag names. Pure functions of arrays.

A band is refused where more than a hundredth of its values lies outside the sensor's range, or their middle where none can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.sensor import Range

_MOST_SHARE = 0.01  # of values outside
_LEAST_VALUES = 50  # of a band that is judged
_NARROW = 2e-3  # of the range: values of all bands that lie nearer together were scaled twice, or were per cent; open water spans more
_BRIGHT = 0.04  # of the usual range: the brightest values of some band reach it
_FILL_VALUES = 16  # equal values outside: a rectangle, not noise


@dataclass(frozen=True)
class Meaning:
    """What values are taken for: the encoding, and each band's range (None = not checked) and name; `own` is the sensor's scale and offset."""

    bands: tuple[str, ...]
    ranges: tuple[Range | None, ...]
    own: tuple[tuple[float, float], ...]
    title: str = ""
    baseline_offset: float = 0.0
    nodata: float = 0.0  # the sensor's own
    is_export: bool = False


@dataclass(frozen=True)
class Fault:
    """Why values are refused.

    Attributes:
        band: its place.
        share: of its values that lie outside the range.
        low, high: of its values, as stored.
        fill: the one stored value that is outside, if it is one.
        is_narrow: whether all bands are almost constant.
    """

    band: int
    share: float
    low: float
    high: float
    fill: float | None = None
    is_narrow: bool = False


def first_fault(values: Sequence[npt.NDArray[Any]], encoding: BandEncoding, ranges: Sequence[Range | None]) -> Fault | None:
    """The first band whose values cannot be what the range has; `values` are the valid stored values of each band, in any shape."""
    spans = []
    for band, (stored, limits) in enumerate(zip(values, ranges, strict=True)):
        if limits is None or stored.size < _LEAST_VALUES:
            continue
        physical = stored.astype(np.float64) * encoding.scale[band] + encoding.offset[band]
        is_outside = (physical < limits.low) | (physical > limits.high)
        if is_outside.mean() > _MOST_SHARE:
            return _outside(band, stored, is_outside)
        if not limits.usual_low <= np.median(physical) <= limits.usual_high:
            return Fault(band, float(is_outside.mean()), float(stored.min()), float(stored.max()))
        spans.append((band, float(np.ptp(physical)) / (limits.high - limits.low)))
    if spans and 0 < max(span for _, span in spans) < _NARROW:
        band = spans[0][0]
        return Fault(band, 0.0, float(values[band].min()), float(values[band].max()), is_narrow=True)
    return None


def _outside(band: int, stored: npt.NDArray[Any], is_outside: npt.NDArray[np.bool_]) -> Fault:
    found, counts = np.unique(stored[is_outside], return_counts=True)
    value, count = found[counts.argmax()], int(counts.max())
    others = stored[stored != value]
    is_fill = count > _MOST_SHARE * stored.size and others.size and (is_outside.sum() - count) <= _MOST_SHARE * others.size
    low, high = float(stored.min()), float(stored.max())
    if is_fill:
        return Fault(band, count / stored.size, low, high, float(value))
    return Fault(band, float(is_outside.mean()), low, high)


def block_fault(values_CYX: npt.NDArray[Any], encoding: BandEncoding, ranges: Sequence[Range | None]) -> Fault | None:
    """As `first_fault`, of a block's stored values with missing ones as nodata; every eighth row and column, so that it costs next to nothing.

    Here a single value outside that covers a rectangle is fill however small its share.
    """
    part_CYX = values_CYX[:, ::8, ::8] if values_CYX.shape[-1] > 8 * _FILL_VALUES else values_CYX[:, ::2, ::2]
    for band, limits in enumerate(ranges):
        if limits is None:
            continue
        low, high = stored_limits(limits, encoding.scale[band], encoding.offset[band])
        is_outside = (part_CYX[band] < low) | (part_CYX[band] > high)
        if (nodata := encoding.nodata[band]) is not None:
            is_outside &= part_CYX[band] != nodata
        if (count := int(is_outside.sum())) < _FILL_VALUES:
            continue
        valid = part_CYX[band][encoding.valid_of(band, part_CYX[band])]
        found, counts = np.unique(part_CYX[band][is_outside], return_counts=True)
        fault = Fault(band, count / valid.size, float(valid.min()), float(valid.max()))
        if counts.max() >= _FILL_VALUES and counts.max() > 0.9 * count:
            return Fault(band, count / valid.size, fault.low, fault.high, float(found[counts.argmax()]))
        if count > 2 * _MOST_SHARE * valid.size and count >= _LEAST_VALUES:
            return fault
    return None


def stored_limits(limits: Range, scale: float, offset: float) -> tuple[float, float]:
    """The range in stored values, lower first.

    >>> stored_limits(Range(-0.1, 1.6, 0, 1), 0.0001, 0.0)
    (-1000.0, 16000.0)
    """
    low, high = sorted(((limits.low - offset) / scale, (limits.high - offset) / scale))
    return low, high


def mends(values: Sequence[npt.NDArray[Any]], meaning: Meaning) -> list[tuple[float, float]] | None:
    """Scale and offset of each band with which stored values are what the sensor measures; None where no usual ones are.

    Tried in order, for all bands of one range together: as they are, the sensor's own, reflectance times 10,000, per cent; degrees Celsius.
    """
    found: list[tuple[float, float] | None] = [None] * len(values)
    for limits in dict.fromkeys(limits for limits in meaning.ranges if limits is not None):
        group = [band for band, other in enumerate(meaning.ranges) if other == limits]
        tried = [(1.0, 0.0), meaning.own[group[0]], (0.0001, 0.0), (0.01, 0.0), (1.0, 273.15)]
        held = [band for band in group if values[band].size >= _LEAST_VALUES]
        fits = [pair for pair in tried if held and _fits([values[band] for band in held], pair, limits)]
        if not fits:
            return None
        for band in group:
            found[band] = fits[0]
    return [pair or (1.0, 0.0) for pair in found]


def _fits(values: Sequence[npt.NDArray[Any]], pair: tuple[float, float], limits: Range) -> bool:
    scale, offset = pair
    brightest = limits.usual_low
    for stored in values:
        physical = stored.astype(np.float64) * scale + offset
        first, middle, last = np.quantile(physical, (_MOST_SHARE / 2, 0.5, 1 - _MOST_SHARE / 2))
        is_usual = limits.usual_low <= middle <= limits.usual_high
        if not (is_usual and first >= max(limits.low, limits.usual_low - 0.02) and last <= limits.high):
            return False
        brightest = max(brightest, float(last))
    return brightest >= max(limits.usual_low, 0.0) + _BRIGHT * (limits.usual_high - limits.usual_low)
