"""Features, collections and the other values that are neither images nor plain JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from cropcam.pipeline.emulator.geometry import Geometry
from cropcam.pipeline.emulator.images import LazyImage


@dataclass(frozen=True, eq=False)
class Feature:
    """A geometry with properties."""

    geometry: Geometry | None
    properties: dict[str, Any] = field(default_factory=dict)

    def with_properties(self, properties: Mapping[str, Any]) -> Feature:
        """The same geometry with other properties."""
        return Feature(self.geometry, dict(properties))


class Collection:
    """A collection of images or features; its elements are evaluated at the first use."""

    def __init__(
        self,
        kind: Literal["ImageCollection", "FeatureCollection"],
        elements: Sequence[Any] | Callable[[], Sequence[Any]],
        properties: Mapping[str, Any] | None = None,
        asset_id: str | None = None,
    ) -> None:
        self.kind: Literal["ImageCollection", "FeatureCollection"] = kind
        self._elements = elements
        self.properties = dict(properties or {})
        self.asset_id = asset_id

    @cached_property
    def elements(self) -> tuple[Any, ...]:
        """The elements in order."""
        return tuple(self._elements() if callable(self._elements) else self._elements)

    def with_properties(self, properties: Mapping[str, Any]) -> Collection:
        """The same elements with other properties."""
        return Collection(self.kind, lambda: self.elements, properties, self.asset_id)

    def with_elements(self, elements: Sequence[Any] | Callable[[], Sequence[Any]]) -> Collection:
        """Other elements in the same collection."""
        return Collection(self.kind, elements, self.properties, self.asset_id)


Element = LazyImage | Feature | Collection


class Images(Collection):
    """Stands in annotations for a collection that must hold images."""


@dataclass(frozen=True)
class Date:
    """An instant: milliseconds since 1970 UTC."""

    millis: int

    def describe(self) -> dict[str, Any]:
        """The date as `getInfo` returns it."""
        return {"type": "Date", "value": self.millis}


@dataclass(frozen=True)
class DateRange:
    """The half-open range of instants [start, end)."""

    start: int
    end: int

    def describe(self) -> dict[str, Any]:
        """The range as `getInfo` returns it."""
        return {"type": "DateRange", "dates": [self.start, self.end]}


@dataclass(frozen=True, eq=False)
class Filter:
    """A test of an element."""

    passes: Callable[[Any], bool]
    name: str = "Filter"


@dataclass(frozen=True, eq=False)
class Callback:
    """A function value: a user's function or an algorithm by name."""

    names: tuple[str, ...]
    call: Callable[..., Any]
