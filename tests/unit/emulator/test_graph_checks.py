"""Graphs looked through before they are evaluated: form, size, depth, and names that nodes depend on."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.emulator import graph_checks
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.graph_checks import Graph
from support.expressions import invoke, reference


def graph(**values: Any) -> Graph:
    return Graph({"result": "root", "values": values})


def test_the_limits() -> None:
    assert (graph_checks.NODES, graph_checks.LEVELS, graph_checks.BOUND) == (500_000, 500, 2_000_000)


def test_names_that_are_free() -> None:
    body = invoke("Number.add", left={"argumentReference": "x"}, right={"argumentReference": "y"})
    root = invoke(
        "List.map", list={"constantValue": [1]}, baseAlgorithm={"functionDefinitionValue": {"argumentNames": ["x"], "body": "body"}}
    )
    found = graph(root=root, body=body)
    assert found.free[id(body)] == {"x", "y"}
    assert found.free[id(root)] == {"y"}


def chain(levels: int) -> dict[str, Any]:
    values = {str(i): invoke("Number.abs", input=reference(str(i + 1))) for i in range(levels)}
    return {**values, "root": reference("0"), str(levels): {"constantValue": 1}}


def test_depth_is_limited() -> None:
    graph(**chain(249))  # each name is a level of its own
    with pytest.raises(EngineError, match="nested too deeply for the embedded engine, over 500 levels"):
        graph(**chain(250))
    with pytest.raises(EngineError, match="nested too deeply"):
        graph(**chain(3_000))


def test_size_and_its_product_with_depth_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = {"arrayValue": {"values": [{"argumentReference": f"a{i}"} for i in range(100)]}}
    deep: dict[str, Any] = wide
    for _ in range(50):
        deep = {"arrayValue": {"values": [deep]}}
    monkeypatch.setattr(graph_checks, "BOUND", 51 * 100 + 100)
    graph(root=deep)
    monkeypatch.setattr(graph_checks, "BOUND", 51 * 100 + 99)
    with pytest.raises(EngineError, match="too large for the embedded engine"):
        graph(root=deep)
    monkeypatch.undo()
    monkeypatch.setattr(graph_checks, "NODES", 100)
    with pytest.raises(EngineError, match="too large for the embedded engine"):
        graph(root=wide)


@pytest.mark.parametrize(
    "root",
    [
        {"arrayValue": 3},
        {"arrayValue": {"values": {"a": 1}}},
        {"arrayValue": {"values": [1]}},
        {"dictionaryValue": {"values": []}},
        {"functionInvocationValue": "x"},
        {"functionInvocationValue": {"functionName": 7}},
        {"functionInvocationValue": {"functionName": "Number.abs", "arguments": [1]}},
        {"functionDefinitionValue": {"argumentNames": "x", "body": "root"}},
        {"functionDefinitionValue": {"argumentNames": [1], "body": "root"}},
        {"argumentReference": ["x"]},
    ],
)
def test_contents_of_a_wrong_type_are_refused(root: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match=r"^Invalid expression: the content of a \w+ has a wrong type\.$"):
        graph(root=root)


@pytest.mark.parametrize("root", [{"valueReference": 3}, {"valueReference": ["a"]}, {"functionDefinitionValue": {"body": None}}])
def test_names_of_a_wrong_type_are_undefined(root: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match="is undefined"):
        graph(root=root)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*graph_checks.KINDS, "values", "arguments", "functionName", "body", "argumentNames"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["root", "a", "b", ""]), JSON, max_size=3))
def test_any_json_is_a_graph_or_refused(values: dict[str, Any]) -> None:
    with suppress(EngineError):
        graph(**values)
