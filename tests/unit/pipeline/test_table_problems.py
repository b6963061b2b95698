"""Errors of pydantic in words of our own: all of them, each with its key and what is allowed."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cropcam.pipeline.table_problems import explain


class Part(BaseModel):
    """A table in a table."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    bit: int = Field(0, ge=0, le=31)
    size: float = Field(1.0, gt=0)


class Table(BaseModel):
    """A table."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    title: str = ""
    kind: Literal["a", "b"] = "a"
    flags: dict[str, Part] = {}
    names: tuple[str, ...] = ()
    day: str = Field("", pattern="^[0-9]*$")


def known(above: Any) -> list[str]:
    return list((Part if above else Table).model_fields)


def told(values: dict[str, Any]) -> str:
    with pytest.raises(ValidationError, match="Table") as caught:
        Table.model_validate(values)
    return explain(caught.value.errors(), known)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"title": 5}, "title: 5 does not fit; it takes a text"),
        ({"kind": "c"}, 'kind: \'c\' does not fit; it takes "a" or "b"'),
        ({"flags": {"x": {"bit": 32}}}, "flags.x.bit: 32 does not fit; it takes a number up to 31"),
        ({"flags": {"x": {"bit": -1}}}, "flags.x.bit: -1 does not fit; it takes a number from 0"),
        ({"flags": {"x": {"bit": "q"}}}, "flags.x.bit: 'q' does not fit; it takes a whole number"),
        ({"flags": {"x": {"size": float("nan")}}}, "flags.x.size: nan does not fit; it takes a number"),
        ({"flags": {"x": {"bits": 1}}}, "flags.x.bits: unknown key; did you mean bit?"),
        ({"flags": {"x": 3}}, "flags.x: 3 does not fit; it takes a table"),
        ({"flags": 3}, "flags: 3 does not fit; it takes a table"),
        ({"names": "abc"}, "names: 'abc' does not fit; it takes a list"),
        ({"zzz": 1}, "zzz: unknown key; known here: title, kind, flags, names, day"),
        ({"day": "x" * 100}, f"day: 'xxx{'x' * 36}... does not fit; it takes a text of the form ^[0-9]*$"),
    ],
)
def test_a_problem_has_its_key_and_what_is_allowed(values: dict[str, Any], text: str) -> None:
    assert told(values) == text


def test_all_problems_are_told_up_to_five() -> None:
    assert told({"title": 1, "kind": 2}) == 'title: 1 does not fit; it takes a text; kind: 2 does not fit; it takes "a" or "b"'
    many = told({f"z{number}": 1 for number in range(9)})
    assert many.count("unknown key") == 5
    assert many.endswith("; and 4 more")
