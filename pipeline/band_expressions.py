"""Derived bands: arithmetic of bands, such as `(nir - red) / (nir + red)`, as a tree of values.

Names, numbers, + - * / and parentheses; nothing else. The text is parsed, never run.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.errors import ConfigError

Value = TypeVar("Value")
Arrays = npt.NDArray[np.float64]
_OPERATORS: Mapping[type, str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_LENGTH, _DEPTH, _LARGEST = 500, 60, 1e30
_KNOWN = "names of bands, numbers, + - * / and parentheses are allowed"


@dataclass(frozen=True)
class Band:
    """A band by its name."""

    name: str


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True)
class Operation:
    """`first` + - * or / `second`."""

    operator: str
    first: Term
    second: Term


Term = Band | Number | Operation


def parse(text: str, bands: Collection[str]) -> Term:
    """The expression of a derived band.

    Raises:
        ConfigError: not arithmetic, an unknown band (the nearest is named), or no band at all.
    """
    if len(text) > _LENGTH:
        raise ConfigError(f"{text[:40]!r}... has {len(text)} characters; at most {_LENGTH} are allowed")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ConfigError(f"{text!r} is no arithmetic of bands; {_KNOWN}") from None
    term = _term(tree, text, bands, 0)
    if not names(term):
        raise ConfigError(f"{text!r} names no band; there are {', '.join(bands)}")
    return term


def names(term: Term) -> set[str]:
    """The bands of an expression."""
    if isinstance(term, Operation):
        return names(term.first) | names(term.second)
    return {term.name} if isinstance(term, Band) else set()


def reduce(
    term: Term, band: Callable[[str], Value], number: Callable[[float], Value], operation: Callable[[str, Value, Value], Value]
) -> Value:
    """The expression in another form: `band`, `number` and `operation` make its parts, innermost first."""
    if isinstance(term, Operation):
        return operation(term.operator, reduce(term.first, band, number, operation), reduce(term.second, band, number, operation))
    return band(term.name) if isinstance(term, Band) else number(term.value)


def evaluate(term: Term, values: Mapping[str, Arrays]) -> Arrays:
    """The expression of float64 arrays by band; NaN where a band is NaN, where a divisor is 0, and where the result is not finite."""
    with np.errstate(all="ignore"):
        result = reduce(term, values.__getitem__, np.float64, _apply)
    return np.where(np.isfinite(result), result, np.nan)


def _apply(operator: str, first: Any, second: Any) -> Any:  # noqa: ANN401 - arrays or float64
    if operator == "/":
        return np.where(second == 0, np.nan, np.divide(first, second))
    return {"+": np.add, "-": np.subtract, "*": np.multiply}[operator](first, second)


def _term(node: ast.expr, text: str, bands: Collection[str], depth: int) -> Term:
    if depth > _DEPTH:
        raise ConfigError(f"{text[:40]!r}... is nested more than {_DEPTH} deep; write it shorter")
    match node:
        case ast.BinOp() if type(node.op) in _OPERATORS:
            return Operation(_OPERATORS[type(node.op)], *(_term(part, text, bands, depth + 1) for part in (node.left, node.right)))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _term(operand, text, bands, depth + 1)
            return Number(-inner.value) if isinstance(inner, Number) else Operation("*", Number(-1.0), inner)
        case ast.Name(id=name):
            if name not in bands:
                near = difflib.get_close_matches(name, bands, 1)
                raise ConfigError(
                    f"{text!r} names {name}, which is no band here ({', '.join(bands)})" + (f"; did you mean {near[0]}?" if near else "")
                )
            return Band(name)
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool) and abs(value) <= _LARGEST:
            return Number(float(value))
    raise ConfigError(f"{text!r}: {(ast.get_source_segment(text.strip(), node) or text)[:40]!r} is not allowed; {_KNOWN}")
