"""The language of Drive's `q` parameter: comparisons joined by and, or, not.

Source: Drive API guide "Search query terms and operators". Terms that a download does not need are refused as the service
refuses unknown ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

Item = Mapping[str, Any]
Test = Callable[[Item], bool]
_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<operator><=|>=|!=|[=<>()])|(?P<word>[A-Za-z]+))")
_OPERATORS = {
    "name": {"=", "!=", "contains"},
    "mimeType": {"=", "!=", "contains"},
    "trashed": {"=", "!="},
    "createdTime": {"=", "!=", "<", "<=", ">", ">="},
    "modifiedTime": {"=", "!=", "<", "<=", ">", ">="},
}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


class QueryError(ValueError):
    """A query that the language does not have."""


def parse_query(text: str, aliases: Mapping[str, str] | None = None) -> Test:
    """The test that a query asks for, over File resources with name, mimeType, parents, trashed and times.

    `and` binds closer than `or`, `not` closest.

    Args:
        text: the query.
        aliases: other names of folders' ids, such as "root".

    Raises:
        QueryError: the text is no query, or uses a term or operator that is not known.

    Example: `parse_query("name = 'image.tif' and 'ID' in parents and trashed = false")`
    """
    parser = _Parser(_tokens(text), aliases or {})
    test = parser.any_of()
    parser.end()
    return test


def quoted(text: str) -> str:
    r"""A text as the language writes it: in single quotes, with ' and \ escaped."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, place = [], 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise QueryError(text[place:])
        value = match[match.lastgroup]
        tokens.append((match.lastgroup, re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL) if match.lastgroup == "text" else value))
        place = match.end()
    return tokens


class _Parser:
    """Recursive descent over tokens."""

    def __init__(self, tokens: list[tuple[str, str]], aliases: Mapping[str, str]) -> None:
        self._tokens, self._aliases, self._place = tokens, aliases, 0

    def end(self) -> None:
        if self._place < len(self._tokens):
            raise QueryError(self._tokens[self._place][1])

    def any_of(self) -> Test:
        tests = [self._all_of()]
        while self._take("or"):
            tests.append(self._all_of())
        return lambda item: any(test(item) for test in tests)

    def _all_of(self) -> Test:
        tests = [self._one()]
        while self._take("and"):
            tests.append(self._one())
        return lambda item: all(test(item) for test in tests)

    def _one(self) -> Test:
        if self._take("not"):
            test = self._one()
            return lambda item: not test(item)
        if self._take("("):
            test = self.any_of()
            self._need("(", self._take(")"))
            return test
        kind, value = self._next()
        if kind == "text":
            self._need("in", self._take("in"))
            self._need("parents", self._take("parents"))
            folder = self._aliases.get(value, value)
            return lambda item: folder in item.get("parents", ())
        return self._comparison(value)

    def _comparison(self, term: str) -> Test:
        _, operator = self._next()
        if operator not in _OPERATORS.get(term, set()):
            raise QueryError(f"{term} {operator}")
        kind, text = self._next()
        if term == "trashed":
            if kind != "word" or text not in {"true", "false"}:
                raise QueryError(text)
            return lambda item: _COMPARE[operator](bool(item.get(term)), text == "true")
        if kind != "text":
            raise QueryError(text)
        if term.endswith("Time"):
            when = _time(text)
            return lambda item: _COMPARE[operator](_time(str(item[term])), when)
        if operator != "contains":
            return lambda item: _COMPARE[operator](item.get(term), text)
        if term == "name":
            return lambda item: _contains_words(str(item.get(term)), text)
        return lambda item: text in str(item.get(term))

    def _next(self) -> tuple[str, str]:
        if self._place >= len(self._tokens):
            raise QueryError("the query ends too early")
        self._place += 1
        return self._tokens[self._place - 1]

    def _take(self, value: str) -> bool:
        here = self._place < len(self._tokens) and self._tokens[self._place] in {("word", value), ("operator", value)}
        self._place += here
        return here

    @staticmethod
    def _need(value: str, is_there: bool) -> None:
        if not is_there:
            raise QueryError(f"{value} is missing")


def _contains_words(name: str, text: str) -> bool:
    """Whether the words of `text` begin a row of words of `name`: "contains" matches prefixes of a name's words only."""
    name, text = name.casefold(), text.casefold()
    starts = [0, *(match.end() for match in re.finditer(r"[\W_]+", name))]
    return any(name.startswith(text, start) for start in starts)


def _time(text: str) -> datetime:
    """A time in RFC 3339; UTC where no zone is named."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise QueryError(text) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
