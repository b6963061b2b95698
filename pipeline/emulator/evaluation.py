"""One evaluation of an expression graph: decoding of nodes, functions and their scopes, memoization.

A node is evaluated once for each binding of the function arguments it depends on: a subtree inside a mapped function
that does not use the function's argument is worked out once, however many elements the function is mapped over.

Source: Earth Engine REST API, Expression, ValueNode, FunctionInvocation, FunctionDefinition.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cropcam.pipeline.emulator import budget
from cropcam.pipeline.emulator.archive import Archive
from cropcam.pipeline.emulator.elements import Callback
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.graph_checks import Graph, split
from cropcam.pipeline.emulator.profiling import Profiles
from cropcam.pipeline.emulator.registry import Context, find
from cropcam.pipeline.emulator.values import Value


@dataclass
class _Scope:
    """The arguments of one call, and the values evaluated with them."""

    arguments: Mapping[str, Any]
    parent: _Scope | None
    done: dict[int, Any] = field(default_factory=dict)
    kept: int = 0  # elements of the values in `done`

    def owner(self, names: frozenset[str]) -> _Scope:
        """The innermost scope that binds one of the names; without one the outermost."""
        scope = self
        while scope.parent is not None and names.isdisjoint(scope.arguments):
            scope = scope.parent
        return scope

    def lookup(self, name: str) -> Value:
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.arguments:
                return scope.arguments[name]
            scope = scope.parent
        raise EngineError(f"Invalid expression: argument reference '{name}' is bound by no function.")


class Evaluation(Context):
    """One expression over one archive, and the profiles of earlier requests."""

    def __init__(self, expression: Mapping[str, Any], archive: Archive, profiles: Profiles | None = None) -> None:
        self.archive, self.profiles = archive, profiles or Profiles()
        self._graph = Graph(expression)

    def result(self) -> Value:
        """The value of the whole expression.

        Raises:
            EngineError: it fails, or takes more time or memory than the budget has.
        """
        try:
            return self._value(self._graph.root, _Scope({}, None))
        except RecursionError:
            raise EngineError("Invalid expression: it is nested too deeply for the embedded engine.") from None

    def _value(self, node: Mapping[str, Any], scope: _Scope) -> Value:
        kind, content = split(node)
        if kind == "constantValue":
            return content
        if kind == "valueReference":
            return self._value(self._graph.node(content), scope)
        if kind == "argumentReference":
            return scope.lookup(content)
        owner = scope.owner(self._graph.free[id(node)])
        if id(node) not in owner.done:
            budget.check_time()
            value = _DECODERS[kind](self, content, owner)
            size = budget.weight(value)
            budget.keep(size)
            owner.kept += size
            owner.done[id(node)] = value
        return owner.done[id(node)]

    def _array(self, content: Mapping[str, Any], scope: _Scope) -> list[Any]:
        return [self._value(item, scope) for item in content.get("values", [])]

    def _dictionary(self, content: Mapping[str, Any], scope: _Scope) -> dict[str, Any]:
        return {key: self._value(item, scope) for key, item in content.get("values", {}).items()}

    def _definition(self, content: Mapping[str, Any], scope: _Scope) -> Callback:
        names, body = tuple(content.get("argumentNames", ())), self._graph.node(content["body"])

        def call(*arguments: Value) -> Value:
            inner = _Scope(dict(zip(names, arguments, strict=False)), scope)
            value = self._value(body, inner)
            budget.keep(-inner.kept)
            return value

        return Callback(names, call)

    def _invocation(self, content: Mapping[str, Any], scope: _Scope) -> Value:
        given = content.get("arguments", {})
        if "functionReference" in content:
            function = self._value(self._graph.node(content["functionReference"]), scope)
            arguments = {name: self._value(item, scope) for name, item in given.items()}
            if not isinstance(function, Callback):
                raise EngineError("Invalid expression: a function reference does not lead to a function.")
            return function.call(*(arguments.get(name) for name in function.names))
        algorithm = find(content.get("functionName", ""))
        return algorithm.call({name: self._value(item, scope) for name, item in given.items()}, self)


def _integer(_: Evaluation, content: Value, __: _Scope) -> int:
    try:
        return int(content)
    except (TypeError, ValueError):
        raise EngineError(f"Invalid expression: '{content}' is not an integer.") from None


def _bytes(_: Evaluation, content: Value, __: _Scope) -> bytes:
    try:
        return base64.b64decode(content)
    except (TypeError, ValueError):
        raise EngineError("Invalid expression: a bytesValue is not Base64.") from None


_DECODERS: Mapping[str, Callable[[Evaluation, Any, _Scope], Any]] = {
    "integerValue": _integer,
    "bytesValue": _bytes,
    "arrayValue": Evaluation._array,
    "dictionaryValue": Evaluation._dictionary,
    "functionDefinitionValue": Evaluation._definition,
    "functionInvocationValue": Evaluation._invocation,
}
