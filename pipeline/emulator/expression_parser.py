"""Formulas over images as text: "(b('B5') - RED) / (b('B5') + RED)". A tokenizer and a precedence climber.

Source: Earth Engine API, ee.Image.expression; its operators and their order are those of C, with ** for powers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.values import Value

_TOKEN = re.compile(r"\s*(?:(\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)|('[^']*'|\"[^\"]*\")|([A-Za-z_]\w*)|(\*\*|<<|>>|<=|>=|==|!=|&&|\|\||.))")
_LEVELS: tuple[Mapping[str, str], ...] = (
    {"||": "or"}, {"&&": "and"}, {"|": "bitwiseOr"}, {"^": "bitwiseXor"}, {"&": "bitwiseAnd"}, {"==": "eq", "!=": "neq"},
    {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}, {"<<": "leftShift", ">>": "rightShift"}, {"+": "add", "-": "subtract"},
    {"*": "multiply", "/": "divide", "%": "mod"},
)  # fmt: skip


@dataclass(frozen=True)
class Language:
    """The semantics of a formula: operations, calls, names, and bands of a value."""

    apply: Callable[..., Any]
    call: Callable[[str, list[Any]], Any]
    name: Callable[[str], Any]
    band: Callable[[Any, Any], Any]


def evaluate(text: str, language: Language) -> Value:
    """The value of a formula.

    Raises:
        EngineError: not a formula.
    """
    reader = _Reader(text, language)
    value = reader.ternary()
    reader.expect("")
    return value


class _Reader:
    def __init__(self, text: str, language: Language) -> None:
        self._text, self._language = text, language
        self._tokens = [match.group().strip() for match in _TOKEN.finditer(text.strip())] + [""]
        self._next = 0

    def expect(self, token: str) -> None:
        if not self._take(token):
            raise EngineError(f"Image.parseExpression: Unexpected '{self._tokens[self._next]}' in '{self._text}'.")

    def ternary(self) -> Value:
        condition = self._binary(0)
        if not self._take("?"):
            return condition
        true = self.ternary()
        self.expect(":")
        return self._language.apply("where", self.ternary(), condition, true)

    def _take(self, token: str) -> bool:
        matches = self._tokens[self._next] == token
        self._next += matches and bool(token)
        return matches

    def _binary(self, level: int) -> Value:
        if level == len(_LEVELS):
            return self._unary()
        value = self._binary(level + 1)
        while (token := self._tokens[self._next]) in _LEVELS[level]:
            self._next += 1
            value = self._language.apply(_LEVELS[level][token], value, self._binary(level + 1))
        return value

    def _unary(self) -> Value:
        if self._take("-"):
            return self._language.apply("multiply", self._unary(), -1)
        if self._take("!"):
            return self._language.apply("not", self._unary())
        if self._take("+"):
            return self._unary()
        base = self._postfix()
        return self._language.apply("pow", base, self._unary()) if self._take("**") else base

    def _postfix(self) -> Value:
        value = self._primary()
        while self._tokens[self._next] in (".", "["):
            if self._take("."):
                value = self._language.band(value, self._word())
            else:
                self._next += 1
                value = self._language.band(value, self._literal(self._word()))
                self.expect("]")
        return value

    def _word(self) -> str:
        token = self._tokens[self._next]
        if not token:
            raise EngineError(f"Image.parseExpression: '{self._text}' ends too early.")
        self._next += 1
        return token

    def _literal(self, token: str) -> str | int | float:
        if token[0] in "'\"":
            return token[1:-1]
        return int(token) if token.isdigit() else float(token)

    def _primary(self) -> Value:
        token = self._word()
        if token == "(":  # noqa: S105 - a parenthesis
            value = self.ternary()
            self.expect(")")
            return value
        if token[0].isdigit() or token[0] in "'\"" or (token[0] == "." and len(token) > 1):
            return self._literal(token)
        if not (token[0].isalpha() or token[0] == "_"):
            raise EngineError(f"Image.parseExpression: Unexpected '{token}' in '{self._text}'.")
        if not self._take("("):
            return self._language.name(token)
        arguments: list[Any] = []
        while not self._take(")"):
            arguments.append(self.ternary())
            if self._tokens[self._next] != ")":
                self.expect(",")
        return self._language.call(token, arguments)
