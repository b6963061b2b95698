"""An expression graph looked through before any of it is evaluated: its form, its size, its depth, and the product of both.

Source: Earth Engine REST API, Expression and ValueNode. The limits are not the service's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.values import Value

KINDS = (
    "constantValue", "integerValue", "bytesValue", "arrayValue", "dictionaryValue", "functionDefinitionValue",
    "functionInvocationValue", "argumentReference", "valueReference",
)  # fmt: skip
NODES = 500_000
LEVELS = 500
BOUND = 2_000_000  # names of arguments that nodes depend on, over all nodes
Node = Mapping[str, Any]
_NO_NAMES: frozenset[str] = frozenset()


def split(node: Node) -> tuple[str, Any]:
    """Kind and content of a node.

    Raises:
        EngineError: it has neither.
    """
    for kind, content in node.items():
        if kind in KINDS:
            return kind, content
    raise EngineError(f"Invalid expression: a value node holds none of {', '.join(KINDS)}.")


class Graph:
    """The nodes of an expression that its result depends on.

    Attributes:
        root: the node of the result.
        free: by identity of a node the names of arguments that its value depends on and that it does not bind itself.

    Raises:
        EngineError: it is malformed, refers to itself, or is too large.
    """

    def __init__(self, expression: Mapping[str, Any]) -> None:
        values, result = expression.get("values"), expression.get("result")
        if not isinstance(values, Mapping) or not isinstance(result, str):
            raise EngineError("Invalid expression: 'values' and 'result' are required.")
        self._values = values
        self.root = self.node(result)
        self.free: dict[int, frozenset[str]] = {}
        self._look_through()

    def node(self, key: Value) -> Node:
        """A node by its name.

        Raises:
            EngineError: there is none.
        """
        node = self._values.get(key) if isinstance(key, str) else None
        if not isinstance(node, Mapping):
            raise EngineError(f"Invalid expression: value reference '{str(key)[:100]}' is undefined.")
        return node

    def _look_through(self) -> None:
        """Every node once, the innermost first, without recursion."""
        levels: dict[int, int] = {}
        path: list[tuple[Node, list[Node], Iterator[Node]]] = []
        is_open: set[int] = set()
        waiting, bound = [self.root], 0
        while waiting or path:
            if waiting:
                node = waiting.pop()
                if id(node) in levels:
                    continue
                if id(node) in is_open:
                    raise EngineError("Invalid expression: it refers to itself.")
                is_open.add(id(node))
                parts = self._parts(*split(node))
                path.append((node, parts, iter(parts)))
            node, parts, left = path[-1]
            if (inner := next(left, None)) is not None:
                waiting.append(inner)
                continue
            path.pop()
            is_open.discard(id(node))
            level = levels[id(node)] = 1 + max((levels[id(part)] for part in parts), default=0)
            self.free[id(node)] = names = self._names(*split(node), parts)
            bound += len(names)
            if level > LEVELS:
                raise EngineError(f"Invalid expression: it is nested too deeply for the embedded engine, over {LEVELS} levels.")
            if len(levels) > NODES or bound > BOUND:
                raise EngineError("Invalid expression: it is too large for the embedded engine.")

    def _parts(self, kind: str, content: Value) -> list[Node]:
        """The nodes that a node is made of."""
        if kind == "valueReference":
            return [self.node(content)]
        if kind == "argumentReference":
            if not isinstance(content, str):
                raise _malformed(kind)
            return []
        if kind in ("constantValue", "integerValue", "bytesValue"):
            return []
        if not isinstance(content, Mapping):
            raise _malformed(kind)
        if kind == "functionDefinitionValue":
            names = content.get("argumentNames", [])
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise _malformed(kind)
            return [self.node(content.get("body"))]
        if kind == "arrayValue":
            parts = content.get("values", [])
            if not isinstance(parts, list):
                raise _malformed(kind)
            return _nodes(kind, parts)
        given = content.get("arguments" if kind == "functionInvocationValue" else "values", {})
        if not isinstance(given, Mapping) or not isinstance(content.get("functionName", ""), str):
            raise _malformed(kind)
        called = [self.node(content["functionReference"])] if "functionReference" in content else []
        return _nodes(kind, list(given.values())) + called

    def _names(self, kind: str, content: Value, parts: list[Node]) -> frozenset[str]:
        if kind == "argumentReference":
            return frozenset((content,))
        names = _NO_NAMES.union(*(self.free[id(part)] for part in parts))
        return names - frozenset(content.get("argumentNames", ())) if kind == "functionDefinitionValue" else names


def _nodes(kind: str, parts: list[Any]) -> list[Node]:
    if not all(isinstance(part, Mapping) for part in parts):
        raise _malformed(kind)
    return parts


def _malformed(kind: str) -> EngineError:
    return EngineError(f"Invalid expression: the content of a {kind} has a wrong type.")
