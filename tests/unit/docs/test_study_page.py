"""The page of the study file names every key of the models that read it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from cropcam.pipeline.study.section import Section
from cropcam.pipeline.study.study import Study

PAGE = (Path(__file__).parents[3] / "docs/study.md").read_text("utf-8")
SECTIONS = {
    name: next((kind for kind in (get_args(item.annotation) or (item.annotation,)) if hasattr(kind, "model_fields")), None)
    for name, item in Study.model_fields.items()
}
KEYS = [f"{section}.{key}" for section, kind in SECTIONS.items() if kind and issubclass(kind, Section) for key in kind.model_fields]


def test_there_are_keys() -> None:
    assert len(KEYS) > 30


@pytest.mark.parametrize("key", KEYS)
def test_the_page_has_the_key(key: str) -> None:
    section, _, name = key.partition(".")
    tables = re.findall(rf"^\[{section}\].*?(?=^\[|^```)", PAGE, re.MULTILINE | re.DOTALL)
    assert re.search(rf"^(?:# )?{name} = ", "".join(tables), re.MULTILINE) or f"`{key}" in PAGE
