"""The parser of formulas, with Python's numbers in place of images."""

from __future__ import annotations

import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.expression_parser import Language, evaluate

OPERATIONS: dict[str, Any] = {
    "or": lambda a, b: int(bool(a) or bool(b)), "and": lambda a, b: int(bool(a) and bool(b)), "bitwiseOr": operator.or_,
    "bitwiseXor": operator.xor, "bitwiseAnd": operator.and_, "eq": lambda a, b: int(a == b), "neq": lambda a, b: int(a != b),
    "lt": lambda a, b: int(a < b), "lte": lambda a, b: int(a <= b), "gt": lambda a, b: int(a > b), "gte": lambda a, b: int(a >= b),
    "leftShift": operator.lshift, "rightShift": operator.rshift, "add": operator.add, "subtract": operator.sub,
    "multiply": operator.mul, "divide": operator.truediv, "mod": operator.mod, "pow": operator.pow, "not": lambda a: int(not a),
    "where": lambda otherwise, test, value: value if test else otherwise,
}  # fmt: skip
NUMBERS = Language(
    apply=lambda name, *operands: OPERATIONS[name](*operands),
    call=lambda name, arguments: (name, *arguments),
    name=lambda word: {"X": 3, "Y": 0, "table": {"b": 7, 1: 8}}[word],
    band=lambda value, key: value[key],
)


@given(st.integers(0, 3), st.lists(st.tuples(st.sampled_from(["+", "*", "&", "^", "|", "<<"]), st.integers(0, 3)), max_size=5))
def test_order_of_operators_is_that_of_python_where_c_agrees(first: int, rest: list[tuple[str, int]]) -> None:
    text = f"{first}" + "".join(f" {sign} {number}" for sign, number in rest)
    assert evaluate(text, NUMBERS) == eval(text)  # noqa: S307 - digits and signs only


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10 - 3 - 2", 5),
        ("2 ** 3 ** 2", 512),
        ("-2 ** 2", -4),
        ("2 ** -1", 0.5),
        ("8 / 4 / 2", 1.0),
        ("7 % 4 * 2", 6),
        ("(1 + 2) * X", 9),
        ("1 + 1 == 2 && 3 >= 4", 0),
        ("6 & 2 == 2", 0),  # as in C: 6 & (2 == 2)
        ("1 != 2 || 5 < 4", 1),
        ("!X + 1", 1),
        ("+X > Y ? 10 : 20", 10),
        ("Y ? 1 : X <= 3 ? 2 : 4", 2),
        ("16 >> 1 << 2", 32),
        ("1.5e1 + .5", 15.5),
        ("'text'", "text"),
        ("table.b + table[1]", 15),
        ("table['b']", 7),
        ("f()", ("f",)),
        ("f(1 + 1, g('a'))", ("f", 2, ("g", "a"))),
    ],
)
def test_formulas_have_the_operators_of_c_and_powers(text: str, expected: Any) -> None:
    assert evaluate(text, NUMBERS) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 +", r"'1 \+' ends too early"),
        ("", "ends too early"),
        ("1 2", "Unexpected '2' in '1 2'"),
        ("(1", r"Unexpected '' in '\(1'"),
        ("f(1 2)", "Unexpected '2'"),
        ("X ? 1", "Unexpected ''"),
        ("table['b'", "Unexpected ''"),
        ("* 2", r"Unexpected '\*'"),
    ],
)
def test_bad_formulas_name_the_place(text: str, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        evaluate(text, NUMBERS)
