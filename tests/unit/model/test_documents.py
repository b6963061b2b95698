"""The types of --json: every command that has the option has one, and the page follows from them."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from cropcam.cli import parsers
from cropcam.model.documents import DOCUMENTS, Report, check, schema
from support.json_page import PAGE, SCHEMA, page, schemas


def test_every_command_with_the_option_has_a_type() -> None:
    with_json = {name for name, parser in parsers().items() if any("--json" in action.option_strings for action in parser._actions)}
    assert with_json == set(DOCUMENTS)
    assert set(parsers()) - with_json == {"", "emulate", "view", "completion"}


def test_the_page_and_the_schema_are_those_of_the_types() -> None:
    step = "write them anew with: python tests/support/json_page.py"
    assert PAGE.read_text("utf-8") == page(), step
    assert SCHEMA.read_text("utf-8") == schemas(), step


def test_an_object_of_another_form_is_refused() -> None:
    assert check(Report, '{"run": "r", "report": "r/report.html"}') == {"run": "r", "report": "r/report.html"}
    for wrong in ('{"run": "r"}', '{"run": 1, "report": "x"}', '{"run": "r", "report": "x", "more": 1}'):
        with pytest.raises(ValidationError, match=r"report|run|more"):
            check(Report, wrong)
    assert schema(Report)["required"] == ["run", "report"]
    assert json.loads(schemas())["x-commands"]["evaluate"] == ["#/$defs/Evaluate", "#/$defs/EvaluateMap"]
