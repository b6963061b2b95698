"""Pixel by pixel functions of one and two images, with Earth Engine's promotion of types.

Whole numbers stay whole where the operation allows: the result's range follows from the inputs' ranges. Values and
masks of two images are combined band by band: by name where the names agree, else in order; a single band is paired with all.

Source: Earth Engine API, ee.Image.add and its kin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.emulator.casts import CASTS
from cropcam.pipeline.emulator.constants import constant_image
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.images import Band, BandType, LazyImage
from cropcam.pipeline.emulator.nodes import Masked
from cropcam.pipeline.emulator.operators import BINARY, UNARY, Binary
from cropcam.pipeline.emulator.pixels import Apply
from cropcam.pipeline.emulator.registry import algorithm
from cropcam.pipeline.emulator.values import Value

_ALIASES = {
    "bitwiseAnd": "bitwise_and", "bitwiseOr": "bitwise_or", "bitwiseXor": "bitwise_xor", "leftShift": "left_shift",
    "rightShift": "right_shift",
}  # fmt: skip


def paired(first: LazyImage, second: LazyImage, where: str) -> list[tuple[Band, Band]]:
    """The paired bands of two images.

    Raises:
        EngineError: neither has one band, and their numbers differ.
    """
    first_bands, second_bands = first.bands, second.bands
    if len(first_bands) == 1 or len(second_bands) == 1:
        longest = max(len(first_bands), len(second_bands)) if first_bands and second_bands else 0
        return list(
            zip(
                first_bands * (longest if len(first_bands) == 1 else 1),
                second_bands * (longest if len(second_bands) == 1 else 1),
                strict=True,
            )
        )
    if len(first_bands) != len(second_bands):
        raise EngineError(
            f"Image.{where}: If one image has no bands, the other must also have no bands. Got {len(first_bands)} and {len(second_bands)}."
            if not first_bands or not second_bands
            else f"Image.{where}: Images must have the same number of bands, or one of them a single band. Got {len(first_bands)} and {len(second_bands)}."
        )
    if set(first.names) == set(second.names):
        return [(band, second.band(band.name)) for band in first_bands]
    return list(zip(first_bands, second_bands, strict=True))


def combined(name: str, first: LazyImage, second: LazyImage) -> LazyImage:
    """The image a binary operation makes."""
    operation = BINARY[name]
    names = (first if len(first.bands) >= len(second.bands) else second).names
    bands = [_combine(operation, a, b).named(band_name) for (a, b), band_name in zip(paired(first, second, name), names, strict=True)]
    return LazyImage(bands)


def _combine(operation: Binary, first: Band, second: Band) -> Band:
    place = second if first.window is None and first.projection.is_default else first
    band_type = operation.type(first.type, second.type)
    function = operation.function(first.type, second.type, band_type.dtype)
    return place.computed(Apply(function, first.node, second.node), band_type)


def _binary(name: str) -> None:
    def operate(image1: LazyImage, image2: LazyImage) -> LazyImage:
        return combined(name, image1, image2)

    operate.__doc__ = f"Image.{name}."
    aliases = (f"Image.{_ALIASES[name]}",) if name in _ALIASES else ()
    algorithm(f"Image.{name}", *aliases)(operate)


def mapped(image: LazyImage, function: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], types: Sequence[BandType]) -> LazyImage:
    """Every band through a function; properties are kept."""
    bands = [band.computed(Apply(function, band.node), kind) for band, kind in zip(image.bands, types, strict=True)]
    return image.with_bands(bands)


def _unary(name: str) -> None:
    operation = UNARY[name]

    def operate(value: LazyImage) -> LazyImage:
        return LazyImage(mapped(value, operation.function, [operation.type(band.type) for band in value.bands]).bands)

    operate.__doc__ = f"Image.{name}."
    algorithm(f"Image.{name}")(operate)


def _cast(name: str) -> None:
    target, cast = CASTS[name]

    def operate(value: LazyImage) -> LazyImage:
        return LazyImage([band.computed(Apply(cast, band.node), target) for band in value.bands], value.properties)

    operate.__doc__ = f"Image.{name}."
    plain = name.removeprefix("to")
    algorithm(f"Image.{name}", f"Image.{plain[0].lower()}{plain[1:]}")(operate)


for _name in BINARY:
    _binary(_name)
for _name in UNARY:
    _unary(_name)
for _name in CASTS:
    _cast(_name)


@algorithm("Image.clamp")
def clamp(input: LazyImage, low: float, high: float) -> LazyImage:  # noqa: A002
    """Values brought into [low, high]."""
    return combined("max", combined("min", input, constant_image(high)), constant_image(low))


@algorithm("Image.unitScale")
def unit_scale(input: LazyImage, low: float, high: float) -> LazyImage:  # noqa: A002
    """(value - low) / (high - low)."""
    types = [BandType("float" if band.type.precision == "float" else "double") for band in input.bands]
    return mapped(input, lambda values: (values - np.float64(low)) / (high - low), types)


@algorithm("Image.normalizedDifference")
def normalized_difference(input: LazyImage, bandNames: list[str] | None = None) -> LazyImage:  # noqa: A002
    """(first - second) / (first + second) as band "nd"; masked where either is negative or the sum is 0."""
    names = bandNames or list(input.names[:2])
    if len(names) != 2:
        raise EngineError("Image.normalizedDifference: Exactly two bands are required.")
    first, second = (input.band(name) for name in names)
    return LazyImage([first.computed(_difference_node(first, second), BandType("float")).named("nd")])


def _difference_node(first: Band, second: Band) -> Value:
    def ratio(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[Any]:
        a, b = a.astype(np.float64), b.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((a - b) / (a + b), np.float32)

    def usable(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.asarray((a >= 0) & (b >= 0) & ((a != 0) | (b != 0)))

    return Masked(Apply(ratio, first.node, second.node), Apply(usable, first.node, second.node))
