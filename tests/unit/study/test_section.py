"""Sections are frozen and refuse unknown keys."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from cropcam.pipeline.study.section import Section


class Named(Section):
    name: str


def test_frozen_and_strict() -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Named.model_validate({"name": "a", "other": 1})
    with pytest.raises(ValidationError, match="frozen"):
        Named(name="a").name = "b"  # type: ignore[misc]
