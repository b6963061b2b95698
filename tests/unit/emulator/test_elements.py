"""Features, collections and dates as values."""

from __future__ import annotations

from cropcam.pipeline.emulator.elements import Collection, Date, DateRange, Feature
from cropcam.pipeline.emulator.geometry import Geometry


def test_other_properties_leave_the_feature_as_it_is() -> None:
    point, properties = Geometry("Point", (1.0, 2.0)), {"a": 2}
    feature = Feature(point, {"a": 1})
    changed = feature.with_properties(properties)
    properties["a"] = 3
    assert (feature.properties, changed.properties) == ({"a": 1}, {"a": 2})
    assert changed.geometry is point


def test_the_elements_of_a_collection_are_made_once_and_only_when_needed() -> None:
    calls: list[int] = []

    def elements() -> list[Feature]:
        calls.append(1)
        return [Feature(None)]

    collection = Collection("FeatureCollection", elements, {"k": 1}, "A/B")
    renamed = collection.with_properties({"k": 2})
    assert calls == []
    assert renamed.elements is collection.elements
    assert len(calls) == 1
    assert (renamed.properties, renamed.asset_id, renamed.kind) == ({"k": 2}, "A/B", "FeatureCollection")


def test_other_elements_stay_in_the_same_collection() -> None:
    collection = Collection("ImageCollection", [1, 2], {"k": 1}, "A/B").with_elements([3])
    assert (collection.elements, collection.properties, collection.asset_id, collection.kind) == ((3,), {"k": 1}, "A/B", "ImageCollection")


def test_dates_are_described_in_milliseconds() -> None:
    assert Date(5).describe() == {"type": "Date", "value": 5}
    assert DateRange(5, 7).describe() == {"type": "DateRange", "dates": [5, 7]}
