"""Evaluation of expression graphs: kinds of nodes, scopes, sharing, malformed graphs."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.emulator.archive import Archive
from cropcam.pipeline.emulator.engine import Engine
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.evaluation import Evaluation
from cropcam.pipeline.emulator.images import Band, BandType, LazyImage
from cropcam.pipeline.emulator.registry import ALGORITHMS, algorithm
from support.expressions import CountedOnes, compute, invoke, reference
from support.small_images import GRID


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5), st.lists, max_leaves=6))
def test_constants_are_returned_unchanged(value: Any) -> None:
    assert compute(root={"constantValue": value}) == value


def test_every_kind_of_node() -> None:
    assert compute(root={"integerValue": "9007199254740993"}) == 9007199254740993
    array = {"arrayValue": {"values": [{"constantValue": 1}, reference("a")]}}
    assert compute(root={"dictionaryValue": {"values": {"k": array}}}, a={"constantValue": "x"}) == {"k": [1, "x"]}
    assert compute(root={"arrayValue": {}}) == []
    data = base64.b64encode(b"ab").decode()
    assert Evaluation({"result": "0", "values": {"0": {"bytesValue": data}}}, Archive(Path())).result() == b"ab"


def test_functions_nest_and_see_outer_arguments() -> None:
    # list.map(x -> list.map(y -> x + y)): the inner function uses the argument of the outer one
    inner = {"functionDefinitionValue": {"argumentNames": ["y"], "body": "sum"}}
    outer = {"functionDefinitionValue": {"argumentNames": ["x"], "body": "row"}}
    added = invoke("Number.add", left={"argumentReference": "x"}, right={"argumentReference": "y"})
    numbers = {"constantValue": [1, 2, 3]}
    result = compute(
        root=invoke("List.map", list=reference("n"), baseAlgorithm=outer), row=invoke("List.map", list=reference("n"), baseAlgorithm=inner),
        sum=added, n=numbers,
    )  # fmt: skip
    assert result == [[2, 3, 4], [3, 4, 5], [4, 5, 6]]


def test_a_function_can_be_called_by_reference() -> None:
    function = {"functionDefinitionValue": {"argumentNames": ["x"], "body": "body"}}
    invocation = {"functionInvocationValue": {"functionReference": "f", "arguments": {"x": {"constantValue": 4}}}}
    assert compute(root=invocation, f=function, body=invoke("Number.sqrt", input={"argumentReference": "x"})) == 2.0
    with pytest.raises(EngineError, match="does not lead to a function"):
        compute(root=invocation, f={"constantValue": 1})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"root": {"valueReference": "gone"}}, "value reference 'gone' is undefined"),
        ({"root": {"argumentReference": "x"}}, "argument reference 'x' is bound by no function"),
        ({"root": {"strangeValue": 1}}, "a value node holds none of constantValue"),
        ({"root": {"integerValue": "many"}}, "'many' is not an integer"),
        ({"root": invoke("List.size", list=reference("root"))}, "it refers to itself"),
        ({}, "value reference 'root' is undefined"),
    ],
)
def test_malformed_expressions_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        compute(**values)


def test_an_expression_needs_values_and_a_result() -> None:
    with pytest.raises(EngineError, match="'values' and 'result' are required"):
        Engine(Path()).compute({"values": {}})


def test_nesting_beyond_the_stack_is_refused() -> None:
    values: dict[str, Any] = {str(i): invoke("Number.abs", input=reference(str(i + 1))) for i in range(2000)}
    with pytest.raises(EngineError, match="nested too deeply"):
        Engine(Path()).compute({"result": "0", "values": {**values, "2000": {"constantValue": 1}}})


def counting(monkeypatch: pytest.MonkeyPatch, result: Any) -> list[Any]:
    """Puts an algorithm in place that counts its calls."""
    calls: list[Any] = []

    def counted(value: Any) -> Any:
        calls.append(value)
        return result

    monkeypatch.setitem(ALGORITHMS, "Image.entropy", None)
    algorithm("Image.entropy")(counted)
    return calls


def test_shared_subtrees_and_their_pixels_are_evaluated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    node = CountedOnes()
    calls = counting(monkeypatch, LazyImage([Band("b", BandType.of("uint8"), node)]))
    one = invoke("Image.entropy", value={"constantValue": 7})
    many = invoke("Image.add", image1=reference("one"), image2=invoke("Image.multiply", image1=reference("one"), image2=reference("one")))
    values, mask = Engine(Path()).image({"result": "0", "values": {"0": many, "one": one}}).read(GRID)
    assert calls == [7]
    assert node.reads == 1
    assert (values == 2).all()
    assert mask.all()


def test_a_subtree_without_the_argument_is_evaluated_once_for_a_whole_map(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counting(monkeypatch, 10)
    body = invoke("Number.add", left={"argumentReference": "x"}, right=invoke("Image.entropy", value={"constantValue": 0}))
    function = {"functionDefinitionValue": {"argumentNames": ["x"], "body": "body"}}
    root = invoke("List.map", list={"constantValue": [1, 2, 3]}, baseAlgorithm=function)
    assert compute(root=root, body=body) == [11, 12, 13]
    assert calls == [0]
