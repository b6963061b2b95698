"""Algorithms on text.

Source: Earth Engine API, ee.String.
"""

from __future__ import annotations

import json

from cropcam.pipeline.emulator import budget, patterns
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.registry import algorithm
from cropcam.pipeline.emulator.serialization import describe
from cropcam.pipeline.emulator.values import Value


@algorithm("String")
def string(input: Value) -> str:  # noqa: A002
    """Text, or another value as JSON."""
    return input if isinstance(input, str) else encode_json(input)


@algorithm("String.cat")
def cat(string1: str, string2: str) -> str:
    """Both texts in a row."""
    budget.check_text(len(string1) + len(string2))
    return string1 + string2


@algorithm("String.length")
def length(string: str) -> int:
    """The number of characters."""
    return len(string)


@algorithm("String.slice")
def slice_(string: str, start: int, end: int | None = None) -> str:
    """The characters [start, end); negative numbers count from the end."""
    return string[start:end]


@algorithm("String.equals")
def equals(reference: str, target: Value) -> bool:
    """Whether both are the same."""
    return bool(reference == target)


@algorithm("String.compareTo")
def compare_to(string1: str, string2: str) -> int:
    """-1, 0 or 1: before, equal, behind."""
    return (string1 > string2) - (string1 < string2)


@algorithm("String.index")
def index(target: str, pattern: str) -> int:
    """Index of the first occurrence, -1 where absent."""
    return target.find(pattern)


@algorithm("String.rindex")
def rindex(target: str, pattern: str) -> int:
    """Index of the last occurrence, -1 where absent."""
    return target.rfind(pattern)


@algorithm("String.match")
def match(input: str, regex: str, flags: str = "") -> list[str | None]:  # noqa: A002
    """The first match of an expression and its groups, empty without a match."""
    matched = patterns.apply("search", regex, input, flags=flags)
    return [] if matched is None else [matched.group(), *matched.groups()]


@algorithm("String.replace")
def replace(input: str, regex: str, replacement: str, flags: str = "") -> str:  # noqa: A002
    """The text with the first match of an expression replaced, all with flag "g"."""
    return patterns.replaced(regex, replacement, input, flags=flags, every="g" in flags)


@algorithm("String.split")
def split(string: str, regex: str, flags: str = "") -> list[str]:
    """The text split at an expression; into characters without one."""
    budget.check_items(len(string))
    return list(string) if not regex else list(patterns.apply("split", regex, string, flags=flags))


@algorithm("String.toLowerCase")
def to_lower_case(string: str) -> str:
    """The text in small letters."""
    return string.lower()


@algorithm("String.toUpperCase")
def to_upper_case(string: str) -> str:
    """The text in capitals."""
    return string.upper()


@algorithm("String.trim")
def trim(string: str) -> str:
    """The text without space around it."""
    return string.strip()


@algorithm("String.encodeJSON")
def encode_json(object: Value) -> str:  # noqa: A002
    """A value as JSON text."""
    return json.dumps(describe(object), separators=(",", ":"))


@algorithm("String.decodeJSON")
def decode_json(string: str) -> Value:
    """The value of JSON text."""
    try:
        return json.loads(string)
    except (ValueError, RecursionError):
        raise EngineError("String.decodeJSON: The text is not JSON.") from None
