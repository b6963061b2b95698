"""Algorithms on properties of images and features, through the real client's objects."""

from __future__ import annotations

from typing import Any

import ee
import pytest

from cropcam.pipeline.emulator.errors import EngineError
from support.scenes import Client
from support.small_images import ASSET, image


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: ee.Feature(None, {"a": 1}).set("b", 2).toDictionary(), {"a": 1, "b": 2}),
        (lambda: ee.Feature(None, {"a": 1}).getNumber("a"), 1),
        (lambda: ee.Feature(None, {"a": "x"}).getString("a"), "x"),
        (lambda: ee.Feature(None, {"a": 1, "b": 2}).copyProperties(ee.Feature(None, {"c": 3, "d": 4}), None, ["d"]).toDictionary(), {"a": 1, "b": 2, "c": 3}),
        (lambda: ee.Feature(ee.Geometry.Point([1, 2])).setGeometry(ee.Geometry.Point([3, 4])).geometry().coordinates(), [3, 4]),
    ],
)  # fmt: skip
def test_operations_on_features(client: Client, made: Any, expected: Any) -> None:
    assert client.value(made()) == expected


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: ee.Feature(None, {"a": 1}).getString("a"), "Property 'a' is not of type String"),
        (lambda: ee.Image(1).date(), "does not have a 'system:time_start' property"),
    ],
)  # fmt: skip
def test_missing_or_wrong_properties_are_refused(client: Client, made: Any, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        client.value(made())


def test_properties_of_images(client: Client) -> None:
    made = image().set("k", 4).set({"l": 5, "n": None})
    assert client.value(made.get("k")) == 4
    assert client.value(made.toDictionary(["k", "l"])) == {"k": 4, "l": 5}
    assert client.value(made.get("gone")) is None
    assert client.value(image().get("system:id")) == ASSET
    copied = ee.Image(1).copyProperties(image(), ["n", "system:time_start"])
    assert client.value(copied)["properties"] == {"n": 3, "system:time_start": 0}
    assert client.value(ee.Image(1).copyProperties(image()))["properties"] == {"n": 3, "name": "x"}
    assert client.value(image().date().format("YYYY-MM-dd")) == "1970-01-01"
    assert client.value(image().propertyNames()) == ["n", "name", "system:bands", "system:id", "system:index", "system:time_start"]
    assert "properties" not in client.value(image().add(1))
    with pytest.raises(EngineError, match="Property 'q' is missing"):
        client.value(image().toDictionary(["q"]))
