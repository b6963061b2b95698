"""Algorithms on masks and on values chosen by them.

A mask is valid or not here; the service's fractional masks count as valid above 0.

Source: Earth Engine API, ee.Image.updateMask, mask, unmask, selfMask, where, remap.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cropcam.pipeline.emulator.algorithms.arithmetic import paired
from cropcam.pipeline.emulator.constants import constant_image
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.images import BandType, LazyImage
from cropcam.pipeline.emulator.nodes import Filled, Masked, MaskOf, Remapped, Where
from cropcam.pipeline.emulator.operators import FLAG, union, whole
from cropcam.pipeline.emulator.registry import algorithm


@algorithm("Image.updateMask")
def update_mask(image: LazyImage, mask: LazyImage) -> LazyImage:
    """The image, valid where it was and the mask is valid and not 0."""
    if len(mask.bands) not in (1, len(image.bands)):
        raise EngineError(f"Image.updateMask: The mask has {len(mask.bands)} bands, the image {len(image.bands)}.")
    return image.with_bands([band.computed(Masked(band.node, other.node)) for band, other in paired(image, mask, "updateMask")])


@algorithm("Image.selfMask")
def self_mask(image: LazyImage) -> LazyImage:
    """The image, masked where it is 0."""
    return image.with_bands([band.computed(Masked(band.node, band.node)) for band in image.bands])


@algorithm("Image.mask")
def mask_of(image: LazyImage, mask: LazyImage | None = None) -> LazyImage:
    """The image's mask as 0 and 1; with a mask the image under that mask, pixels that become valid being 0."""
    if mask is None:
        return image.with_bands([band.computed(MaskOf(band.node), FLAG) for band in image.bands])
    return update_mask(unmask(image), mask)


@algorithm("Image.unmask")
def unmask(input: LazyImage, value: LazyImage | None = None, sameFootprint: bool = True) -> LazyImage:  # noqa: A002
    """The image with another's values (0 by default) where it is masked.

    With `sameFootprint` pixels outside the image's footprint stay masked: outside an asset's raster, outside a clip. A
    composite has none, so it is filled everywhere.
    """
    fill = value if value is not None else constant_image(0)
    bands = []
    for band, other in paired(input, fill, "unmask"):
        node = Filled(band.node, other.node, band.footprint if sameFootprint else None)
        bands.append(band.computed(node, union(band.type, other.type)))
    return input.with_bands(bands)


@algorithm("Image.where")
def where(input: LazyImage, test: LazyImage, value: LazyImage) -> LazyImage:  # noqa: A002
    """The image with the value where the test is valid and not 0; its mask stays."""
    tests, values = (paired(input, other, "where") for other in (test, value))
    bands = []
    for (band, condition), (_, other) in zip(tests, values, strict=True):
        bands.append(band.computed(Where(band.node, condition.node, other.node), union(band.type, other.type)))
    return input.with_bands(bands)


@algorithm("Image.blend")
def blend(bottom: LazyImage, top: LazyImage) -> LazyImage:
    """The top image where it is valid, else the bottom one."""
    bands = [
        band.computed(Filled(other.node, band.node, None), union(band.type, other.type)) for band, other in paired(bottom, top, "blend")
    ]
    return bottom.with_bands(bands)


@algorithm("Image.remap")
def remap(
    image: LazyImage, from_: list[Any], to: list[Any], defaultValue: int | float | None = None, bandName: str | None = None
) -> LazyImage:
    """One band ("remapped") with listed values replaced; others become the default, or are masked without one."""
    if len(from_) != len(to):
        raise EngineError(f"Image.remap: The 'from' and 'to' lists must be the same size. Got {len(from_)} and {len(to)}.")
    if not all(isinstance(v, int | float) for v in [*from_, *to]):
        raise EngineError("Image.remap: The 'from' and 'to' lists must hold numbers.")
    band = image.bands[0] if bandName is None else image.band(bandName)
    made = list(to) if defaultValue is None else [*to, defaultValue]
    kind = whole(min(made), max(made)) if made and all(float(v).is_integer() for v in made) else BandType("double")
    table = dict(zip(reversed(from_), reversed(to), strict=True))
    return image.with_bands([band.computed(Remapped(band.node, table, defaultValue, kind.dtype), kind).named("remapped")])


@algorithm("Image.first")
def first(image1: LazyImage, image2: LazyImage) -> LazyImage:
    """The first image's values."""
    return LazyImage([band.computed(band.node) for band, _ in paired(image1, image2, "first")])


@algorithm("Image.firstNonZero", "Image.first_nonzero")
def first_non_zero(image1: LazyImage, image2: LazyImage) -> LazyImage:
    """The first image's values where they are not 0, else the second's."""
    bands = []
    for band, other in paired(image1, image2, "firstNonZero"):
        node = Filled(Masked(band.node, band.node), other.node, None)
        bands.append(band.computed(node, union(band.type, other.type)))
    return LazyImage(bands)


@algorithm("Image.metadata")
def metadata(image: LazyImage, property: str, name: str | None = None) -> LazyImage:  # noqa: A002
    """A constant image of a numeric property, its band named after it."""
    value = image.properties.get(property)
    if not isinstance(value, int | float) or not np.isfinite(value):
        raise EngineError(f"Image.metadata: Property '{property}' is not a number.")
    return LazyImage([constant_image(value).bands[0].named(name or property)])
