"""Sections are frozen and refuse unknown keys."""

from __future__ import annotations

import datetime
import tomllib

import pytest
from pydantic import ValidationError

from cropcam.pipeline.study.section import ProblemsError, Section, as_text, shown


class Named(Section):
    name: str


def test_frozen_and_strict() -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Named.model_validate({"name": "a", "other": 1})
    with pytest.raises(ValidationError, match="frozen"):
        Named(name="a").name = "b"  # type: ignore[misc]


def test_a_date_of_toml_is_the_text_of_its_day_and_a_time_is_none() -> None:
    found = tomllib.loads("a = 2016-05-01\nb = 2016-05-01T00:00:00\nc = 5")
    assert as_text(found["a"]) == "2016-05-01"
    assert as_text(found["b"]) == datetime.datetime(2016, 5, 1)
    assert as_text(found["c"]) == 5


def test_several_problems_are_one_error() -> None:
    with pytest.raises(ValueError, match=r"^a: one; two$") as caught:
        raise ProblemsError([("a", "one"), ("", "two")])
    assert isinstance(caught.value, ProblemsError)
    assert len(shown("x" * 100)) == 43
