"""Decoding of expression graphs: node kinds, scopes, sharing, what is malformed."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.emulator.archive import Archive
from cropcam.pipeline.emulator.engine import Engine
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.evaluation import Evaluation
from cropcam.pipeline.emulator.images import Band, BandType, LazyImage
from cropcam.pipeline.emulator.pixels import Node, Pixels, Reading
from cropcam.pipeline.emulator.registry import ALGORITHMS, algorithm
from cropcam.pipeline.grid import PixelGrid

GRID = PixelGrid("EPSG:4326", (1.0, 0.0, 0.0, 0.0, -1.0, 4.0), 4, 4)


def compute(**values: Any) -> Any:
    return Engine(Path()).compute({"result": "root", "values": values})


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"functionInvocationValue": {"functionName": name, "arguments": arguments}}


def ref(key: str) -> dict[str, Any]:
    return {"valueReference": key}


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5), st.lists, max_leaves=6))
def test_constants_come_back(value: Any) -> None:
    assert compute(root={"constantValue": value}) == value


def test_every_node_kind() -> None:
    assert compute(root={"integerValue": "9007199254740993"}) == 9007199254740993
    array = {"arrayValue": {"values": [{"constantValue": 1}, ref("a")]}}
    assert compute(root={"dictionaryValue": {"values": {"k": array}}}, a={"constantValue": "x"}) == {"k": [1, "x"]}
    assert compute(root={"arrayValue": {}}) == []
    data = base64.b64encode(b"ab").decode()
    assert Evaluation({"result": "0", "values": {"0": {"bytesValue": data}}}, Archive(Path())).result() == b"ab"


def test_functions_nest_and_see_outer_arguments() -> None:
    # list.map(x -> list.map(y -> x + y)): the inner function uses the argument of the outer one
    inner = {"functionDefinitionValue": {"argumentNames": ["y"], "body": "sum"}}
    outer = {"functionDefinitionValue": {"argumentNames": ["x"], "body": "row"}}
    added = call("Number.add", left={"argumentReference": "x"}, right={"argumentReference": "y"})
    numbers = {"constantValue": [1, 2, 3]}
    result = compute(
        root=call("List.map", list=ref("n"), baseAlgorithm=outer), row=call("List.map", list=ref("n"), baseAlgorithm=inner),
        sum=added, n=numbers,
    )  # fmt: skip
    assert result == [[2, 3, 4], [3, 4, 5], [4, 5, 6]]


def test_a_function_can_be_called_by_reference() -> None:
    function = {"functionDefinitionValue": {"argumentNames": ["x"], "body": "body"}}
    invocation = {"functionInvocationValue": {"functionReference": "f", "arguments": {"x": {"constantValue": 4}}}}
    assert compute(root=invocation, f=function, body=call("Number.sqrt", input={"argumentReference": "x"})) == 2.0
    with pytest.raises(EngineError, match="does not lead to a function"):
        compute(root=invocation, f={"constantValue": 1})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"root": {"valueReference": "gone"}}, "value reference 'gone' is undefined"),
        ({"root": {"argumentReference": "x"}}, "argument reference 'x' is bound by no function"),
        ({"root": {"strangeValue": 1}}, "a value node holds none of constantValue"),
        ({"root": {"integerValue": "many"}}, "'many' is not an integer"),
        ({"root": call("List.size", list=ref("root"))}, "it refers to itself"),
        ({}, "value reference 'root' is undefined"),
    ],
)
def test_malformed_expressions_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        compute(**values)


def test_an_expression_needs_values_and_a_result() -> None:
    with pytest.raises(EngineError, match="'values' and 'result' are required"):
        Engine(Path()).compute({"values": {}})


def test_bottomless_nesting_is_refused_in_words() -> None:
    values: dict[str, Any] = {str(i): call("Number.abs", input=ref(str(i + 1))) for i in range(2000)}
    with pytest.raises(EngineError, match="nested too deeply"):
        Engine(Path()).compute({"result": "0", "values": {**values, "2000": {"constantValue": 1}}})


def test_functions_filters_and_reducers_are_no_values() -> None:
    with pytest.raises(EngineError, match="cannot be encoded as a value"):
        compute(root=call("Filter.always"))


class Counted(Node):
    """Ones, counting how often they are worked out."""

    def __init__(self) -> None:
        self.reads = 0

    def evaluate(self, grid: PixelGrid, reading: Reading) -> Pixels:  # noqa: ARG002 - the same on every grid
        self.reads += 1
        return Pixels(np.ones(grid.shape_yx, np.uint8))


def counting(monkeypatch: pytest.MonkeyPatch, result: Any) -> list[Any]:
    """Puts an algorithm in place that counts its calls."""
    calls: list[Any] = []

    def counted(value: Any) -> Any:
        calls.append(value)
        return result

    monkeypatch.setitem(ALGORITHMS, "Image.entropy", None)
    algorithm("Image.entropy")(counted)
    return calls


def test_shared_subtrees_are_evaluated_once_and_so_are_their_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Counted()
    calls = counting(monkeypatch, LazyImage([Band("b", BandType.of("uint8"), node)]))
    one = call("Image.entropy", value={"constantValue": 7})
    many = call("Image.add", image1=ref("one"), image2=call("Image.multiply", image1=ref("one"), image2=ref("one")))
    values, mask = Engine(Path()).image({"result": "0", "values": {"0": many, "one": one}}).read(GRID)
    assert calls == [7]
    assert node.reads == 1
    assert (values == 2).all()
    assert mask.all()


def test_a_subtree_without_the_argument_is_evaluated_once_for_a_whole_map(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counting(monkeypatch, 10)
    body = call("Number.add", left={"argumentReference": "x"}, right=call("Image.entropy", value={"constantValue": 0}))
    function = {"functionDefinitionValue": {"argumentNames": ["x"], "body": "body"}}
    root = call("List.map", list={"constantValue": [1, 2, 3]}, baseAlgorithm=function)
    assert compute(root=root, body=body) == [11, 12, 13]
    assert calls == [0]


def test_pixels_are_forgotten_when_the_last_consumer_had_them() -> None:
    node = Counted()
    reading = Reading([(node, GRID), (node, GRID)])
    first, second = reading.pull(node, GRID), reading.pull(node, GRID)
    assert first is second
    assert node.reads == 1
    assert reading._done == {}


def test_images_are_remembered_between_requests(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    expressions = [{"result": "0", "values": {"0": call("Image.constant", value={"constantValue": i})}} for i in range(20)]
    first = engine.image(expressions[0])
    assert engine.image(expressions[0]) is first
    for expression in expressions:
        engine.image(expression)
    assert engine.image(expressions[0]) is not first
    with pytest.raises(EngineError, match="does not evaluate to an Image: it is of type Integer"):
        engine.image({"result": "0", "values": {"0": {"constantValue": 1}}})
    empty = call("ImageCollection.fromImages", images={"constantValue": []})
    with pytest.raises(EngineError, match="it is of type ImageCollection"):
        engine.image({"result": "0", "values": {"0": empty}})
