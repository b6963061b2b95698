"""What is wrong with a table that a user writes, from the errors of its pydantic model, in words of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pydantic_core import ErrorDetails

from cropcam.pipeline.suggestions import nearest

_MOST, _LETTERS = 5, 40  # problems that are named, letters of a value
_TAKES = {
    "int": "a whole number",
    "float": "a number",
    "string": "a text",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "a table",
    "model": "a table",
    "too": "another number of values",
    "finite": "a number",
}


def explain(details: Iterable[ErrorDetails], known: Callable[[Sequence[str]], Sequence[str]]) -> str:
    """All problems in one line: the key of each, what is wrong, and what is allowed; after five the rest is counted.

    Args:
        details: of the ValidationError.
        known: the keys that a table may have, by its own key.
    """
    texts = list(dict.fromkeys(_text(detail, known) for detail in details))
    more = f"; and {len(texts) - _MOST} more" if len(texts) > _MOST else ""
    return "; ".join(texts[:_MOST]) + more


def _text(detail: ErrorDetails, known: Callable[[Sequence[str]], Sequence[str]]) -> str:
    where = [str(part) for part in detail["loc"]]
    kind, key = detail["type"], ".".join(where)
    if kind == "extra_forbidden":
        allowed = known(where[:-1])
        near = nearest(where[-1], allowed)
        text = "unknown key" + (f"; did you mean {near}?" if near else f"; known here: {', '.join(allowed)}" if allowed else "")
    elif kind == "missing":
        text = "is missing"
    elif kind == "value_error":
        text = str(detail["ctx"]["error"])
    else:
        value = repr(detail["input"])
        text = f"{value if len(value) <= _LETTERS else f'{value[:_LETTERS]}...'} does not fit; it takes {_taken(detail)}"
    return f"{key}: {text}" if key else text


def _taken(detail: ErrorDetails) -> str:
    """What a key takes instead."""
    limits = detail.get("ctx", {})
    if "expected" in limits:
        return str(limits["expected"]).replace("'", '"')
    for name, words in (("gt", "a number above"), ("ge", "a number from"), ("lt", "a number below"), ("le", "a number up to")):
        if name in limits:
            return f"{words} {limits[name]:g}"
    if "pattern" in limits:
        return f"a text of the form {limits['pattern']}"
    return _TAKES.get(detail["type"].split("_")[0], "another value")
