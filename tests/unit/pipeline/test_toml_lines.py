"""The lines of keys in TOML of any form."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.toml_lines import key_lines

TEXT = '''# a study
extends = "base"  # [no] = 1

[study]
name = "a = [b]"
'quoted key' = """
x = 1
[y]
"""
[ area . "in ner" ]
bounds = [
  1, # ]
  2,
  "]",
]
region = { type = "Polygon", at = [1, { x = 2 }] }
image.count = true
[[many]]
one = 1
[[many]]
two = \'\'\'
three = 3\'\'\'
after = 2016-01-01
'''


def test_each_key_has_its_line() -> None:
    assert tomllib.loads(TEXT)
    assert key_lines(TEXT) == {
        ("extends",): 2,
        ("study",): 4,
        ("study", "name"): 5,
        ("study", "quoted key"): 6,
        ("area", "in ner"): 10,
        ("area", "in ner", "bounds"): 11,
        ("area", "in ner", "region"): 16,
        ("area", "in ner", "image", "count"): 17,
        ("many",): 18,
        ("many", "one"): 19,
        ("many", "two"): 21,
        ("many", "after"): 23,
    }
    for ending in ("\r\n", "\r"):
        assert key_lines(TEXT.replace("\n", ending)) == key_lines(TEXT)


@pytest.mark.parametrize("text", ["", "= 3", "[", "a = [1", 'a = "', "\x00", "a.b"])
def test_what_is_no_toml_ends_without_an_error(text: str) -> None:
    assert set(key_lines(text)) <= {("a",)}


@given(
    st.lists(
        st.tuples(st.text(max_size=8), st.one_of(st.integers(), st.booleans(), st.text(max_size=12))),
        max_size=6,
        unique_by=lambda pair: pair[0],
    )
)
def test_the_line_of_a_key_is_where_it_was_written(pairs: list[tuple[str, object]]) -> None:
    import json

    lines = [f"{json.dumps(name)} = {json.dumps(value)}" for name, value in pairs]
    text = "[t]\n\n" + "\n# -\n".join(lines)
    try:
        assert tomllib.loads(text)["t"] == dict(pairs)
    except tomllib.TOMLDecodeError:  # JSON's \ud800 and \u007f are not TOML's
        return
    assert key_lines(text) == {("t",): 1, **{("t", name): 3 + 2 * place for place, (name, _) in enumerate(pairs)}}
