"""The registry against the signatures of the client's wheel, and the calls it refuses."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import pytest

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.registry import ALGORITHMS
from support.engines import signatures
from support.expressions import call

SIGNATURES = signatures()
# earth-engine.md's list for composite and labels, what exports add, what xee 0.1.2 asks for
NEEDED = [
    "ImageCollection.load",
    "Image.load",
    "Collection.filter",
    "Collection.map",
    "Filter.intersects",
    "Filter.dateRangeContains",
    "DateRange",
    "Feature",
    "GeometryConstructors.Rectangle",
    "Projection",
    "Image.select",
    "Image.rename",
    "Image.constant",
    "Image.bitwiseAnd",
    "Image.eq",
    "Image.multiply",
    "Image.add",
    "Image.updateMask",
    "Image.copyProperties",
    "Image.remap",
    "Image.toFloat",
    "Image.toUint8",
    "Image.clip",
    "Image.addBands",
    "reduce.median",
    "Image.reproject",
    "Image.setDefaultProjection",
    "Image.clipToBoundsAndScale",
    "Image.round",
    "Image.floor",
    "Image.unmask",
    "Image.toUint16",
    "ImageCollection.merge",
    "Collection.merge",
    "Collection.size",
    "Collection.first",
    "Collection.reduceColumns",
    "Reducer.toList",
    "Reducer.repeat",
    "Dictionary.get",
    "Element.toDictionary",
    "ImageCollection.fromImages",
    "Collection.iterate",
    "Collection.toList",
    "Image.bandNames",
    "Image.mask",
    "List.slice",
]


def test_every_algorithm_of_the_clients_is_there() -> None:
    assert [name for name in NEEDED if name not in ALGORITHMS] == []


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_arguments_are_those_of_the_wheel(name: str) -> None:
    own, expected = ALGORITHMS[name], SIGNATURES[name]
    parameters = {key: parameter for key, parameter in own.parameters.items() if not parameter.injected}
    assert {*parameters, *own.ignored, *own.refused} == set(expected)
    optional = {key for key, parameter in parameters.items() if parameter.optional}
    assert optional == {key for key in parameters if expected[key].get("optional")}


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_defaults_are_those_of_the_wheel(name: str) -> None:
    own = ALGORITHMS[name]
    for key, parameter in inspect.signature(own.function).parameters.items():
        default = SIGNATURES[name].get(key.removesuffix("_"), {}).get("defaultValue")
        if parameter.default is not inspect.Parameter.empty and isinstance(default, str | bool | int | float):
            assert parameter.default == default, key


def test_every_algorithm_is_documented() -> None:
    assert [name for name, own in ALGORITHMS.items() if not own.function.__doc__] == []


@pytest.mark.parametrize(
    ("name", "arguments", "status", "message"),
    [
        ("Image.nonsense", {}, "UNIMPLEMENTED", r"Algorithm 'Image\.nonsense' is not implemented by the embedded engine"),
        ("Terrain.slope", {"input": 1}, "UNIMPLEMENTED", r"Algorithm 'Terrain\.slope' is not implemented"),
        ("Image.add", {"image1": 1}, "INVALID_ARGUMENT", r"Image\.add: Parameter 'image2' is required and may not be null"),
        ("Image.add", {"image1": 1, "image2": None}, "INVALID_ARGUMENT", "Parameter 'image2' is required"),
        ("Image.add", {"image1": 1, "image2": 2, "image3": 3}, "INVALID_ARGUMENT", r"Image\.add: Unrecognized argument 'image3'"),
        (
            "Image.add",
            {"image1": 1, "image2": "a"},
            "INVALID_ARGUMENT",
            r"Image\.add, argument 'image2': Invalid type\.\nExpected type: Image<unknown bands>\.\nActual type: String\.",
        ),
        ("List.get", {"list": [1], "index": 0.5}, "INVALID_ARGUMENT", "Expected type: Integer"),
        ("Date.advance", {"date": 0, "delta": 1, "unit": "day", "timeZone": "UTC"}, "UNIMPLEMENTED", "argument 'timeZone'"),
        ("Collection.size", {"collection": 3}, "INVALID_ARGUMENT", "Expected type: FeatureCollection"),
        ("Projection", {"crs": "EPSG:99999999"}, "INVALID_ARGUMENT", "could not be parsed: 'EPSG:99999999'"),
    ],
)
def test_bad_calls_are_refused(name: str, arguments: Mapping[str, Any], status: str, message: str) -> None:
    with pytest.raises(EngineError, match=message) as refused:
        call(name, **arguments)
    assert refused.value.status == status
    assert refused.value.code == {"UNIMPLEMENTED": 501, "INVALID_ARGUMENT": 400}[status]
