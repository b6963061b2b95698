"""Algorithms on dictionaries.

Source: Earth Engine API, ee.Dictionary.
"""

from __future__ import annotations

from typing import Any

from cropcam.pipeline.emulator.constants import constant_image
from cropcam.pipeline.emulator.elements import Callback
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.images import LazyImage
from cropcam.pipeline.emulator.registry import algorithm
from cropcam.pipeline.emulator.values import Value


@algorithm("Dictionary")
def dictionary(input: Value = None) -> dict[str, Any]:  # noqa: A002
    """A dictionary, from a list of keys and values in turn too."""
    if isinstance(input, list):
        return dict(zip(input[::2], input[1::2], strict=True))
    if input is None or isinstance(input, dict):
        return dict(input or {})
    raise EngineError("Dictionary: A dictionary or a list of keys and values is required.")


@algorithm("Dictionary.fromLists")
def from_lists(keys: list[str], values: list[Any]) -> dict[str, Any]:
    """A dictionary of keys and values."""
    if len(keys) != len(values):
        raise EngineError(f"Dictionary.fromLists: {len(keys)} keys and {len(values)} values.")
    return dict(zip(keys, values, strict=True))


@algorithm("Dictionary.get")
def get(dictionary: dict[str, Any], key: str, defaultValue: Value = None) -> Value:
    """The value of a key; without a default the key must be there."""
    if key not in dictionary and defaultValue is None:
        raise EngineError(f"Dictionary.get: Dictionary does not contain key: '{key}'.")
    return dictionary.get(key, defaultValue)


@algorithm("Dictionary.getNumber", "Dictionary.getString", "Dictionary.getGeometry")
def get_typed(dictionary: dict[str, Any], key: str) -> Value:
    """The value of a key that must be there."""
    return get(dictionary, key)


@algorithm("Dictionary.set")
def set_(dictionary: dict[str, Any], key: str, value: Value) -> dict[str, Any]:
    """The dictionary with a key added or changed."""
    return {**dictionary, key: value}


@algorithm("Dictionary.contains")
def contains(dictionary: dict[str, Any], key: str) -> bool:
    """Whether it has a key."""
    return key in dictionary


@algorithm("Dictionary.size")
def size(dictionary: dict[str, Any]) -> int:
    """The number of keys."""
    return len(dictionary)


@algorithm("Dictionary.keys")
def keys(dictionary: dict[str, Any]) -> list[str]:
    """The keys, sorted."""
    return sorted(dictionary)


@algorithm("Dictionary.values")
def values(dictionary: dict[str, Any], keys: list[str] | None = None) -> list[Any]:
    """The values in the order of the keys given, or of all keys sorted."""
    return [get(dictionary, key) for key in (keys if keys is not None else sorted(dictionary))]


@algorithm("Dictionary.combine")
def combine(first: dict[str, Any], second: dict[str, Any], overwrite: bool = True) -> dict[str, Any]:
    """Both dictionaries; the second's values win with `overwrite`."""
    return {**first, **second} if overwrite else {**second, **first}


@algorithm("Dictionary.select")
def select(dictionary: dict[str, Any], selectors: list[str], ignoreMissing: bool = False) -> dict[str, Any]:
    """Only the keys given."""
    return {key: get(dictionary, key) for key in selectors if key in dictionary or not ignoreMissing}


@algorithm("Dictionary.remove")
def remove(dictionary: dict[str, Any], selectors: list[str], ignoreMissing: bool = False) -> dict[str, Any]:
    """All but the keys given."""
    for key in selectors:
        if not ignoreMissing:
            get(dictionary, key)
    return {key: value for key, value in dictionary.items() if key not in selectors}


@algorithm("Dictionary.rename")
def rename(dictionary: dict[str, Any], from_: list[str], to: list[str], overwrite: bool = False) -> dict[str, Any]:
    """The dictionary with keys renamed."""
    names = from_lists(from_, to)
    if not overwrite and any(new in dictionary and new not in names for new in to):
        raise EngineError("Dictionary.rename: A new key is there already; set 'overwrite'.")
    return {names.get(key, key): value for key, value in dictionary.items()}


@algorithm("Dictionary.map")
def map_(dictionary: dict[str, Any], baseAlgorithm: Callback) -> dict[str, Any]:
    """The function's result of each key and value."""
    return {key: baseAlgorithm.call(key, value) for key, value in dictionary.items()}


@algorithm("Dictionary.toImage")
def to_image(dictionary: dict[str, Any], names: list[str] | None = None) -> LazyImage:
    """A constant image, one band per key."""
    chosen = names if names is not None else sorted(dictionary)
    return LazyImage([constant_image(get(dictionary, name)).bands[0].named(name) for name in chosen])
