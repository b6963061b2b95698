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

from cropcam.pipeline.emulator.archive import Archive
from cropcam.pipeline.emulator.elements import Callback
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.profiling import Profiles
from cropcam.pipeline.emulator.registry import Context, find
from cropcam.pipeline.emulator.values import Value

_KINDS = (
    "constantValue", "integerValue", "bytesValue", "arrayValue", "dictionaryValue", "functionDefinitionValue",
    "functionInvocationValue", "argumentReference", "valueReference",
)  # fmt: skip
_NO_NAMES: frozenset[str] = frozenset()


@dataclass
class _Scope:
    """The arguments of one call, and the values evaluated with them."""

    arguments: Mapping[str, Any]
    parent: _Scope | None
    done: dict[int, Any] = field(default_factory=dict)

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
        values, result = expression.get("values"), expression.get("result")
        if not isinstance(values, Mapping) or not isinstance(result, str):
            raise EngineError("Invalid expression: 'values' and 'result' are required.")
        self.archive, self.profiles = archive, profiles or Profiles()
        self._values, self._result = values, result
        self._free: dict[int, frozenset[str]] = {}
        self._open: set[int] = set()

    def result(self) -> Value:
        """The value of the whole expression."""
        try:
            return self._value(self._node(self._result), _Scope({}, None))
        except RecursionError:
            raise EngineError("Invalid expression: it is nested too deeply for the embedded engine.") from None

    def _node(self, key: str) -> Mapping[str, Any]:
        node = self._values.get(key)
        if not isinstance(node, Mapping):
            raise EngineError(f"Invalid expression: value reference '{key}' is undefined.")
        return node

    def _value(self, node: Mapping[str, Any], scope: _Scope) -> Value:
        kind, content = _split(node)
        if kind == "constantValue":
            return content
        if kind == "valueReference":
            return self._value(self._node(content), scope)
        if kind == "argumentReference":
            return scope.lookup(content)
        owner = scope.owner(self._free_names(node))
        if id(node) not in owner.done:
            owner.done[id(node)] = _DECODERS[kind](self, content, owner)
        return owner.done[id(node)]

    def _array(self, content: Mapping[str, Any], scope: _Scope) -> list[Any]:
        return [self._value(item, scope) for item in content.get("values", [])]

    def _dictionary(self, content: Mapping[str, Any], scope: _Scope) -> dict[str, Any]:
        return {key: self._value(item, scope) for key, item in content.get("values", {}).items()}

    def _definition(self, content: Mapping[str, Any], scope: _Scope) -> Callback:
        names, body = tuple(content.get("argumentNames", ())), self._node(content["body"])

        def call(*arguments: Value) -> Value:
            return self._value(body, _Scope(dict(zip(names, arguments, strict=False)), scope))

        return Callback(names, call)

    def _invocation(self, content: Mapping[str, Any], scope: _Scope) -> Value:
        given = content.get("arguments", {})
        if "functionReference" in content:
            function = self._value(self._node(content["functionReference"]), scope)
            arguments = {name: self._value(item, scope) for name, item in given.items()}
            if not isinstance(function, Callback):
                raise EngineError("Invalid expression: a function reference does not lead to a function.")
            return function.call(*(arguments.get(name) for name in function.names))
        algorithm = find(content.get("functionName", ""))
        return algorithm.call({name: self._value(item, scope) for name, item in given.items()}, self)

    def _free_names(self, node: Mapping[str, Any]) -> frozenset[str]:
        """Names of arguments the node's value depends on that it does not bind itself."""
        names = self._free.get(id(node))
        if names is None:
            if id(node) in self._open:
                raise EngineError("Invalid expression: it refers to itself.")
            self._open.add(id(node))
            names = self._free[id(node)] = self._collect(*_split(node))
            self._open.discard(id(node))
        return names

    def _collect(self, kind: str, content: Value) -> frozenset[str]:
        if kind == "argumentReference":
            return frozenset((content,))
        if kind == "valueReference":
            return self._free_names(self._node(content))
        if kind == "functionDefinitionValue":
            return self._free_names(self._node(content["body"])) - frozenset(content.get("argumentNames", ()))
        parts: list[Mapping[str, Any]] = []
        if kind == "arrayValue":
            parts = list(content.get("values", []))
        elif kind == "dictionaryValue":
            parts = list(content.get("values", {}).values())
        elif kind == "functionInvocationValue":
            parts = list(content.get("arguments", {}).values())
            if "functionReference" in content:
                parts.append(self._node(content["functionReference"]))
        return _NO_NAMES.union(*map(self._free_names, parts))


def _split(node: Mapping[str, Any]) -> tuple[str, Any]:
    for kind, content in node.items():
        if kind in _KINDS:
            return kind, content
    raise EngineError(f"Invalid expression: a value node holds none of {', '.join(_KINDS)}.")


def _integer(_: Evaluation, content: Value, __: _Scope) -> int:
    try:
        return int(content)
    except (TypeError, ValueError):
        raise EngineError(f"Invalid expression: '{content}' is not an integer.") from None


def _bytes(_: Evaluation, content: Value, __: _Scope) -> bytes:
    return base64.b64decode(content)


_DECODERS: Mapping[str, Callable[[Evaluation, Any, _Scope], Any]] = {
    "integerValue": _integer,
    "bytesValue": _bytes,
    "arrayValue": Evaluation._array,
    "dictionaryValue": Evaluation._dictionary,
    "functionDefinitionValue": Evaluation._definition,
    "functionInvocationValue": Evaluation._invocation,
}
