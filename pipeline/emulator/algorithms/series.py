"""Algorithms on collections.

Source: Earth Engine API, ee.Collection, ee.ImageCollection, ee.FeatureCollection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cropcam.pipeline.emulator import budget
from cropcam.pipeline.emulator.algorithms.bands import add_bands
from cropcam.pipeline.emulator.algorithms.elements import property_of
from cropcam.pipeline.emulator.elements import Callback, Collection, Date, Element, Filter, Images
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.geometry import Geometry
from cropcam.pipeline.emulator.images import LazyImage
from cropcam.pipeline.emulator.reducers import Reducer, reduce_numbers
from cropcam.pipeline.emulator.registry import NotPromotable, algorithm, promote
from cropcam.pipeline.emulator.values import Value


@algorithm("ImageCollection.fromImages")
def from_images(images: list[Any]) -> Collection:
    """A collection of images."""
    if not all(isinstance(image, LazyImage) for image in images):
        raise EngineError("ImageCollection.fromImages, argument 'images': Invalid type.\nExpected type: List<Image<unknown bands>>.")
    return Collection("ImageCollection", images)


@algorithm("Collection")
def collection_of(features: Collection) -> Collection:
    """A collection of features, or of geometries as features."""
    return features


@algorithm("Collection.filter")
def filter_(collection: Collection, filter: Filter) -> Collection:  # noqa: A002
    """The elements that a filter passes."""
    return collection.with_elements(lambda: [element for element in collection.elements if filter.passes(element)])


@algorithm("Collection.map")
def map_(collection: Collection, baseAlgorithm: Callback, dropNulls: bool = False) -> Collection:
    """The function's result for each element, each with its element's index."""

    def results() -> list[Element]:
        made = [_indexed(_element(baseAlgorithm.call(element), dropNulls), element) for element in collection.elements]
        return [element for element in made if element is not None]

    elements = list(results())
    kind = "ImageCollection" if elements and isinstance(elements[0], LazyImage) else "FeatureCollection" if elements else collection.kind
    return Collection(kind, elements, collection.properties, collection.asset_id)


@algorithm("Collection.iterate")
def iterate(collection: Collection, function: Callback, first: Value = None) -> Value:
    """The function over element and result so far, from first to last."""
    result = first
    for element in collection.elements:
        result = function.call(element, result)
    return result


@algorithm("Collection.size")
def size(collection: Collection) -> int:
    """The number of elements."""
    return len(collection.elements)


@algorithm("Collection.first")
def first(collection: Collection) -> Element | None:
    """The first element, null of none."""
    return collection.elements[0] if collection.elements else None


@algorithm("Collection.toList")
def to_list(collection: Collection, count: int, offset: int = 0) -> list[Any]:
    """Up to `count` elements from `offset` on."""
    return list(collection.elements[offset : offset + count])


@algorithm("Collection.limit")
def limit(collection: Collection, limit: int | None = None, key: str | None = None, ascending: bool = True) -> Collection:
    """The first elements, in the order of a property where one is given (those without it last)."""

    def chosen() -> Sequence[Any]:
        elements = list(collection.elements)
        if key is not None:
            present = [element for element in elements if property_of(element, key) is not None]
            absent = [element for element in elements if property_of(element, key) is None]
            elements = sorted(present, key=_sorting(key), reverse=not ascending) + absent
        return elements[:limit]

    return collection.with_elements(chosen)


@algorithm("ImageCollection.merge")
def merge_images(collection1: Images, collection2: Images) -> Collection:
    """The images of both, indices "1_..." and "2_..."."""
    return _merged(collection1, collection2)


@algorithm("Collection.merge")
def merge(collection1: Collection, collection2: Collection) -> Collection:
    """The elements of both, indices "1_..." and "2_..."."""
    return _merged(collection1, collection2)


@algorithm("Collection.flatten")
def flatten(collection: Collection) -> Collection:
    """The elements of a collection's collections."""
    return collection.with_elements(
        budget.gathered(inner for element in collection.elements for inner in promote(element, Collection).elements)
    )


@algorithm("Collection.distinct")
def distinct(collection: Collection, properties: Value) -> Collection:
    """The first element of each combination of the properties."""
    names = [properties] if isinstance(properties, str) else list(properties)
    firsts: dict[tuple[str, ...], Any] = {}
    for element in collection.elements:
        firsts.setdefault(tuple(repr(property_of(element, name)) for name in names), element)
    return collection.with_elements(list(firsts.values()))


@algorithm("Collection.reduceColumns", refused=("weightSelectors",))
def reduce_columns(collection: Collection, reducer: Reducer, selectors: list[str]) -> dict[str, Any]:
    """A reducer over properties; a repeated one gives lists, one entry per property. Nulls are left out, column by column."""
    table = [[_plain(property_of(element, name)) for element in collection.elements] for name in selectors]
    columns = [[value for value in column if value is not None] for column in table]
    name = "list" if reducer.kind == "toList" else reducer.kind
    if reducer.repeats == 1 and len(selectors) == 1:
        return {name: reduce_numbers(reducer, columns[0])}
    if reducer.repeats != len(selectors):
        raise EngineError(f"Collection.reduceColumns: The reducer takes {reducer.repeats} inputs, {len(selectors)} selectors are given.")
    return {name: [reduce_numbers(reducer, column) for column in columns]}


@algorithm("Collection.geometry", ignored=("maxError",))
def geometry(collection: Collection) -> Geometry:
    """The geometries of all elements, side by side."""
    outline: Geometry = promote(collection, Geometry)
    return outline


@algorithm("Collection.bounds", ignored=("maxError", "proj"))
def bounds(collection: Collection) -> Geometry:
    """The bounding rectangle of all elements in degrees."""
    return Geometry.rectangle(geometry(collection).bounds("EPSG:4326"))


@algorithm("ImageCollection.toBands")
def to_bands(collection: Images) -> LazyImage:
    """All images' bands in one image, named INDEX_BAND."""
    stacked = LazyImage([])
    for number, image in enumerate(collection.elements):
        index = image.properties.get("system:index", number)
        stacked = add_bands(stacked, image.with_bands([band.named(f"{index}_{band.name}") for band in image.bands]))
    return LazyImage(stacked.bands)


def _element(value: Value, drop_nulls: bool) -> Element | None:
    if value is None and drop_nulls:
        return None
    try:
        element: Element = promote(value, Element)
    except NotPromotable:
        raise EngineError("Collection.map: A mapped algorithm must return a Feature or Image.") from None
    return element


def _indexed(result: Element | None, element: Element) -> Element | None:
    index = element.properties.get("system:index")
    if result is None or index is None or result.properties.get("system:index") == index:
        return result
    return result.with_properties({**result.properties, "system:index": index})


def _merged(first: Collection, second: Collection) -> Collection:
    def elements() -> list[Any]:
        budget.check_items(len(first.elements) + len(second.elements))
        return [_prefixed(element, side) for side, part in (("1", first), ("2", second)) for element in part.elements]

    kind = first.kind if first.elements or not second.elements else second.kind
    return Collection(kind, elements)


def _prefixed(element: Value, side: str) -> Value:
    index = element.properties.get("system:index")
    return element if index is None else element.with_properties({**element.properties, "system:index": f"{side}_{index}"})


def _sorting(key: str) -> Callable[[Any], tuple[bool, Any]]:
    def value(element: Value) -> tuple[bool, Any]:
        sort_value = _plain(property_of(element, key))
        return isinstance(sort_value, str), sort_value

    return value


def _plain(value: Value) -> Value:
    return value.millis if isinstance(value, Date) else value
