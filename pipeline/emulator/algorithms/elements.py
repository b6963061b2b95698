"""Algorithms on properties of images and features.

Source: Earth Engine API, ee.Element, ee.Feature.
"""

from __future__ import annotations

from typing import Any

from cropcam.pipeline.emulator import patterns
from cropcam.pipeline.emulator.elements import Collection, Date, Element, Feature
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.geometry import Geometry
from cropcam.pipeline.emulator.images import LazyImage
from cropcam.pipeline.emulator.registry import algorithm
from cropcam.pipeline.emulator.values import Value


def property_of(element: Element, name: str) -> Value:
    """A property's value, None where there is none; "system:id" and "system:bands" are worked out."""
    if name in element.properties:
        return element.properties[name]
    if name == "system:id" and isinstance(element, LazyImage | Collection):
        return element.asset_id
    return None


@algorithm("Feature", refused=("geometryKey",))
def feature(geometry: Geometry | None = None, metadata: dict[str, Any] | None = None) -> Feature:
    """A geometry with properties."""
    return Feature(geometry, metadata or {})


@algorithm("Feature.setGeometry")
def set_geometry(feature: Element, geometry: Geometry | None = None) -> Feature:
    """The feature with another geometry."""
    return Feature(geometry, feature.properties)


@algorithm("Feature.id", "Image.id")
def element_id(element: Element) -> str | None:
    """The element's index within its collection."""
    index = element.properties.get("system:index")
    return None if index is None else str(index)


@algorithm("Element.get")
def get(object: Element, property: str) -> Value:  # noqa: A002
    """A property's value, null where there is none."""
    return property_of(object, property)


@algorithm("Element.getNumber")
def get_number(object: Element, property: str) -> Value:  # noqa: A002
    """A property's value, which must be a number."""
    return _typed(object, property, (int, float), "Number")


@algorithm("Element.getString")
def get_string(object: Element, property: str) -> Value:  # noqa: A002
    """A property's value, which must be text."""
    return _typed(object, property, str, "String")


@algorithm("Element.set")
def set_(object: Element, key: str, value: Value = None) -> Element:  # noqa: A002
    """The element with a property added or changed; null removes it."""
    return _with(object, object.properties | {key: value})


@algorithm("Element.setMulti")
def set_multi(object: Element, properties: dict[str, Any]) -> Element:  # noqa: A002
    """The element with more properties."""
    return _with(object, object.properties | properties)


@algorithm("Element.replaceProperties")
def replace_properties(destination: Element, source: Element | None = None) -> Element:
    """The element with the properties of another element."""
    return _with(destination, source.properties if source is not None else {})


@algorithm("Element.copyProperties", "Image.copyProperties")
def copy_properties(
    destination: Element | None = None,
    source: Element | None = None,
    properties: list[str] | None = None,
    exclude: list[str] | None = None,
) -> Element:
    """The element with another's properties: all but "system:" ones, or those that names or patterns select."""
    if destination is None:
        raise EngineError("Element.copyProperties: Parameter 'destination' is required and may not be null.")
    copied = {} if source is None else _selected(source.properties, properties)
    kept = {name: value for name, value in copied.items() if not any(patterns.matches(p, name) for p in exclude or ())}
    return _with(destination, destination.properties | kept)


@algorithm("Element.propertyNames")
def property_names(element: Element) -> list[str]:
    """Names of all properties, sorted, and of what an image has besides."""
    built_in = ["system:bands", "system:id"] if isinstance(element, LazyImage) else []
    return sorted({*element.properties, *built_in})


@algorithm("Element.toDictionary")
def to_dictionary(element: Element, properties: list[str] | None = None) -> dict[str, Any]:
    """Properties as a dictionary: all but "system:" ones, or those named.

    Raises:
        EngineError: a named property is absent.
    """
    selected = _selected(element.properties, properties)
    missing = [name for name in properties or () if name not in selected and not any(patterns.matches(name, key) for key in selected)]
    if missing:
        raise EngineError(f"Element.toDictionary: Property '{missing[0]}' is missing.")
    return selected


@algorithm("Image.date")
def image_date(image: LazyImage) -> Date:
    """The image's "system:time_start"."""
    start = image.properties.get("system:time_start")
    if start is None:
        raise EngineError("Image.date: Image does not have a 'system:time_start' property.")
    return Date(int(start))


def _selected(properties: dict[str, Any], names: list[str] | None) -> dict[str, Any]:
    if names is None:
        return {name: value for name, value in properties.items() if not name.startswith("system:")}
    return {
        name: value for name, value in properties.items() if any(name == pattern or patterns.matches(pattern, name) for pattern in names)
    }


def _with(element: Element, properties: dict[str, Any]) -> Element:
    return element.with_properties({name: value for name, value in properties.items() if value is not None})


def _typed(element: Element, name: str, kind: Value, kind_name: str) -> Value:
    value = property_of(element, name)
    if value is not None and not isinstance(value, kind):
        raise EngineError(f"Element.get{kind_name}: Property '{name}' is not of type {kind_name}.")
    return value
