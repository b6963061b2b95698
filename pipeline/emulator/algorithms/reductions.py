"""Reducers, and the algorithms that reduce collections, bands and regions.

Source: Earth Engine API, ee.Reducer, ee.ImageCollection.reduce and median, ee.Image.reduce and reduceRegion.
"""

from __future__ import annotations

from typing import Any

from cropcam.pipeline.emulator.algorithms.elements import property_of
from cropcam.pipeline.emulator.algorithms.grids import lattice_of
from cropcam.pipeline.emulator.elements import Collection, Date, Images
from cropcam.pipeline.emulator.errors import EngineError, unimplemented
from cropcam.pipeline.emulator.geometry import Geometry
from cropcam.pipeline.emulator.images import Band, BandType, LazyImage
from cropcam.pipeline.emulator.nodes import Stack
from cropcam.pipeline.emulator.operators import union
from cropcam.pipeline.emulator.projections import Projection
from cropcam.pipeline.emulator.reducers import STACKED, Reducer, reduce_numbers, stacking
from cropcam.pipeline.emulator.regions import reduce_region
from cropcam.pipeline.emulator.registry import algorithm
from cropcam.pipeline.emulator.values import Value

_PLAIN = ("mean", "sum", "count", "first", "last", "stdDev", "variance", "product", "frequencyHistogram")
_OF_COLLECTIONS = ("median", "mean", "mode", "min", "max", "sum", "count", "product", "and", "or")


def _plain(kind: str) -> None:
    def make() -> Reducer:
        return Reducer(kind)

    make.__doc__ = f"Reducer.{kind}."
    algorithm(f"Reducer.{kind}")(make)


for _kind in _PLAIN:
    _plain(_kind)


@algorithm("Reducer.median", ignored=("maxBuckets", "minBucketWidth"))
def median_reducer(maxRaw: int | None = None) -> Reducer:
    """The median, exact; more values than a named `maxRaw` are refused."""
    return Reducer("median", options=() if maxRaw is None else (("maxRaw", maxRaw),))


@algorithm("Reducer.firstNonNull")
def first_non_null_reducer() -> Reducer:
    """The first value that is there; its output is named "first"."""
    return Reducer("first")


@algorithm("Reducer.mode", ignored=("maxBuckets", "minBucketWidth"))
def mode_reducer(maxRaw: int | None = None) -> Reducer:
    """The commonest value, the smallest of equals, exact; more values than a named `maxRaw` are refused."""
    return Reducer("mode", options=() if maxRaw is None else (("maxRaw", maxRaw),))


@algorithm("Reducer.min")
def min_reducer(numInputs: int = 1) -> Reducer:
    """The least value."""
    return _single("min", numInputs)


@algorithm("Reducer.max")
def max_reducer(numInputs: int = 1) -> Reducer:
    """The greatest value."""
    return _single("max", numInputs)


@algorithm("Reducer.toList")
def to_list_reducer(tupleSize: int | None = None, numOptional: int = 0) -> Reducer:
    """All values as a list, null ones only where `numOptional` allows (reduceColumns leaves their rows out)."""
    if tupleSize not in (None, 0, 1):
        raise unimplemented("Reducer.toList of tuples")
    return Reducer("toList", options=(("optional", numOptional),))


@algorithm("Reducer.repeat")
def repeat(reducer: Reducer, count: int) -> Reducer:
    """The reducer over each of several inputs, its outputs as lists."""
    return reducer.repeated(count)


def _single(kind: str, inputs: int) -> Reducer:
    if inputs != 1:
        raise unimplemented(f"Reducer.{kind} of {inputs} inputs")
    return Reducer(kind)


def reduced(collection: Collection, reducer: Reducer, suffix: str = "") -> LazyImage:
    """The image that reduces each band of a collection of images, bands matched by name.

    Without bounds, in the default projection, without properties. An empty collection gives an image without bands.
    """
    images: list[LazyImage] = list(collection.elements)
    by_name: dict[str, list[Band]] = {}
    for image in images:
        for band in image.bands:
            by_name.setdefault(band.name, []).append(band)
    bands, stack = [], stacking(reducer)
    for name, layers in by_name.items():
        kind_type = stack.type(_common(layers), len(layers))
        bands.append(Band(name + suffix, kind_type, Stack(stack.reduce, [band.node for band in layers])))
    return LazyImage(bands)


def _common(bands: list[Band]) -> BandType:
    common = bands[0].type
    for band in bands[1:]:
        common = union(common, band.type)
    return common


def _of_collection(kind: str) -> None:
    def operate(collection: Images) -> LazyImage:
        return reduced(collection, Reducer(kind))

    operate.__doc__ = f"reduce.{kind}."
    algorithm(f"reduce.{kind}")(operate)


for _kind in _OF_COLLECTIONS:
    _of_collection(_kind)


@algorithm("ImageCollection.mosaic")
def mosaic(collection: Images) -> LazyImage:
    """The last image's pixels on top; where masked, those of the image before."""
    return reduced(collection, Reducer("last"))


@algorithm("ImageCollection.reduce", ignored=("parallelScale",))
def reduce_collection(collection: Images, reducer: Reducer) -> LazyImage:
    """As the collection method of the reducer, bands named BAND_REDUCER ("SR_B1_median")."""
    return reduced(collection, reducer, f"_{reducer.kind}")


@algorithm("Image.reduce")
def reduce_image(image: LazyImage, reducer: Reducer) -> LazyImage:
    """The reduction over an image's bands as one band named after the reducer."""
    if reducer.kind not in STACKED:
        raise unimplemented(f"Image.reduce with Reducer.{reducer.kind}")
    if not image.bands:
        raise EngineError("Image.reduce: The image has no bands.")
    stack = stacking(reducer)
    kind = stack.type(_common(list(image.bands)), len(image.bands))
    node = Stack(stack.reduce, [band.node for band in image.bands])
    return LazyImage([image.bands[0].computed(node, kind).named(reducer.kind)])


@algorithm("Image.reduceRegion", ignored=("tileScale",))
def reduce_over_region(
    image: LazyImage,
    reducer: Reducer,
    geometry: Geometry | None = None,
    scale: float | None = None,
    crs: Projection | None = None,
    crsTransform: list[Any] | None = None,
    bestEffort: bool = False,
    maxPixels: int = 10_000_000,
) -> dict[str, Any]:
    """The reducer over the pixels whose centres lie in a region (the image's footprint by default), by band.

    Every pixel weighs the same: the service weighs those on the region's edge by the share inside.
    """
    region = geometry if geometry is not None else image.footprint
    if region is None:
        raise EngineError("Image.reduceRegion: A region is required for an image without bounds.")
    lattice = lattice_of(crs or image.projection, crsTransform, scale, "Image.reduceRegion")
    return reduce_region(image, reducer, region, lattice, max_pixels=maxPixels, best_effort=bestEffort)


def _aggregate(name: str, kind: str) -> None:
    def operate(collection: Collection, property: str) -> Value:  # noqa: A002
        values = [property_of(element, property) for element in collection.elements]
        present = [value.millis if isinstance(value, Date) else value for value in values if value is not None]
        return reduce_numbers(Reducer(kind), present)

    operate.__doc__ = f"AggregateFeatureCollection.{name}."
    algorithm(f"AggregateFeatureCollection.{name}")(operate)


for _name, _kind in {
    "array": "toList", "first": "first", "count": "count", "min": "min", "max": "max", "mean": "mean", "sum": "sum",
    "product": "product", "histogram": "frequencyHistogram", "count_distinct": "countDistinct", "total_sd": "stdDev", "total_var": "variance",
}.items():  # fmt: skip
    _aggregate(_name, _kind)
