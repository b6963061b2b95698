"""Algorithms that bring images of two collections, or of two resolutions, together.

Source: Earth Engine API, ee.ImageCollection.linkCollection, ee.Image.reduceResolution.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cropcam.pipeline.emulator.algorithms.bands import add_bands, select
from cropcam.pipeline.emulator.algorithms.elements import property_of
from cropcam.pipeline.emulator.elements import Images
from cropcam.pipeline.emulator.errors import EngineError, unimplemented
from cropcam.pipeline.emulator.images import Band, BandType, LazyImage
from cropcam.pipeline.emulator.pixels import Constant
from cropcam.pipeline.emulator.reducers import Reducer
from cropcam.pipeline.emulator.registry import algorithm
from cropcam.pipeline.emulator.resolution import Reduced

_LARGEST = 65_536  # input pixels of an output pixel that the service allows at most


@algorithm("Image.linkCollection")
def link_collection(
    input: LazyImage,  # noqa: A002
    imageCollection: Images,
    linkedBands: Any = None,  # noqa: ANN401 - one name or several
    linkedProperties: Any = None,  # noqa: ANN401
    matchPropertyName: str = "system:index",
) -> LazyImage:
    """The image with bands and properties of the collection's image that has the same value of a property; bands are masked without one."""
    own = property_of(input, matchPropertyName)
    others = imageCollection.elements
    match = next((other for other in others if own is not None and property_of(other, matchPropertyName) == own), None)
    bands, properties = _names(linkedBands), _names(linkedProperties)
    linked = input
    if bands:
        added = LazyImage([_masked(name, input) for name in bands]) if match is None else select(match, bands)
        outline = input.bands[0].footprint if input.bands else None  # the footprint stays the input's
        linked = add_bands(linked, LazyImage([replace(band, footprint=outline) for band in added.bands]), overwrite=True)
    found = {**linked.properties, **{name: None if match is None else property_of(match, name) for name in properties}}
    return linked.with_properties({name: value for name, value in found.items() if value is not None})


@algorithm("Image.reduceResolution")
def reduce_resolution(image: LazyImage, reducer: Reducer, bestEffort: bool = False, maxPixels: int = 64) -> LazyImage:
    """The image whose pixels, on a coarser grid, are the reduction of its own pixels inside, weighted by area.

    Its own pixels are those at the scale of its default projection. The service starts `bestEffort` from a level of the
    pyramid where these are too many; here all pixels inside are reduced, up to 65,536.
    """
    if reducer.kind not in ("mean", "mode"):
        raise unimplemented(f"Image.reduceResolution with Reducer.{reducer.kind}")
    if not 1 <= maxPixels <= _LARGEST:
        raise EngineError(f"Image.reduceResolution: maxPixels must be between 1 and {_LARGEST}. Got {maxPixels}.")
    if any(band.projection.is_default for band in image.bands):
        raise EngineError(
            "Image.reduceResolution: The input to reduceResolution does not have a valid default projection. Use setDefaultProjection() first."
        )
    most = _LARGEST if bestEffort else maxPixels
    return image.with_bands([_reduced(band, reducer.kind, most) for band in image.bands])


def _reduced(band: Band, kind: str, most: int) -> Band:
    node = Reduced(band.node, band.projection, band.window, kind, most)
    kept = band.type if kind == "mode" or band.type.precision == "float" else BandType("double")
    return band.computed(node, kept)


def _masked(name: str, image: LazyImage) -> Band:
    """A band without a valid pixel, where the image lies."""
    nothing, kind = Constant(0, "uint8", valid=False), BandType("int", 0, 0)
    return image.bands[0].computed(nothing, kind).named(name) if image.bands else Band(name, kind, nothing)


def _names(value: Any) -> list[str]:  # noqa: ANN401
    return [] if value is None else [value] if isinstance(value, str) else [str(name) for name in value]
