"""Values as the JSON that `getInfo` returns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cropcam.pipeline.emulator import budget
from cropcam.pipeline.emulator.elements import Collection, Date, DateRange, Feature
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.geometry import Geometry
from cropcam.pipeline.emulator.images import BandType, LazyImage
from cropcam.pipeline.emulator.projections import Projection
from cropcam.pipeline.emulator.registry import type_name
from cropcam.pipeline.emulator.values import Value

ELEMENTS_MAX = 5000  # of a collection that is described


def describe(value: Value) -> Value:
    """A value as JSON.

    Raises:
        EngineError: a function, filter or reducer, or a collection of more than 5,000 elements.

    Source: Earth Engine REST API, projects.value/compute.
    """
    budget.keep(1)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    for kinds, encode in _ENCODERS:
        if isinstance(value, kinds):
            return encode(value)
    raise EngineError(f"Output of type {type_name(value)} cannot be encoded as a value.")


def _items(items: Mapping[str, Any]) -> dict[str, Any]:
    return {key: describe(item) for key, item in items.items()}


def _list(items: Sequence[Any]) -> list[Any]:
    return [describe(item) for item in items]


def _feature(feature: Feature) -> dict[str, Any]:
    description: dict[str, Any] = {"type": "Feature", "geometry": describe(feature.geometry)}
    if "system:index" in feature.properties:
        description["id"] = feature.properties["system:index"]
    return description | {"properties": {key: describe(value) for key, value in feature.properties.items() if key != "system:index"}}


def _collection(collection: Collection) -> dict[str, Any]:
    if len(collection.elements) > ELEMENTS_MAX:
        raise EngineError(f"Collection query aborted after accumulating over {ELEMENTS_MAX} elements.")
    description: dict[str, Any] = {"type": collection.kind}
    if collection.asset_id is not None:
        description["id"] = collection.asset_id
    if collection.kind == "ImageCollection":
        description["bands"] = []
    else:
        description["columns"] = {}
    if collection.properties:
        description["properties"] = describe(collection.properties)
    return description | {"features": [describe(element) for element in collection.elements]}


_ENCODERS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (Mapping, _items),
    ((list, tuple), _list),
    ((Geometry, Projection, BandType, Date, DateRange), lambda value: value.describe()),
    (LazyImage, lambda value: _items(value.describe())),
    (Feature, _feature),
    (Collection, _collection),
)
