"""Constant images."""

from __future__ import annotations

from collections.abc import Sequence

from cropcam.pipeline.emulator.images import Band, BandType, LazyImage, Number, check_bands
from cropcam.pipeline.emulator.pixels import Constant


def constant_image(value: Number | Sequence[Number]) -> LazyImage:
    """An image of one band "constant", or of "constant_0", "constant_1" ... for several numbers; valid everywhere.

    A whole number is an int: JSON has no other distinction.
    """
    if isinstance(value, int | float):
        return LazyImage([_band("constant", value)])
    check_bands(len(value))
    return LazyImage([_band(f"constant_{number}", item) for number, item in enumerate(value)])


def _band(name: str, value: Number) -> Band:
    whole = isinstance(value, int) or (value.is_integer() and abs(value) < 2**63)
    band_type = BandType("int", int(value), int(value)) if whole else BandType("double", value, value)
    return Band(name, band_type, Constant(value, band_type.dtype))
