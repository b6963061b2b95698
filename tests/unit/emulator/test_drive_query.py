"""Queries of Drive."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.emulator.drive_query import QueryError, parse_query, quoted

FOLDER = "application/vnd.google-apps.folder"
FILE: dict[str, Any] = {
    "name": "demo-image_2016.tif",
    "mimeType": "image/tiff",
    "parents": ["F1"],
    "trashed": False,
    "createdTime": "2026-11-29T17:02:27.804Z",
    "modifiedTime": "2026-11-29T17:02:28.000Z",
}


@pytest.mark.parametrize(
    "text",
    [
        "name = 'demo-image_2016.tif'",
        "name='demo-image_2016.tif'and trashed=false",
        "name != 'other'",
        "name contains 'demo'",
        "name contains 'Image_20'",
        "name contains 'tif'",
        "mimeType = 'image/tiff'",
        f"mimeType != '{FOLDER}'",
        "mimeType contains 'image/'",
        "'F1' in parents",
        "'top' in parents",
        "trashed = false",
        "trashed != true",
        "not trashed = true",
        "not 'F2' in parents and not (name = 'x' or name = 'y')",
        "name = 'x' and trashed = true or 'F1' in parents",
        "'F1' in parents or name = 'x' and trashed = true",
        "createdTime > '2026-11-29T17:00:00'",
        "createdTime <= '2026-11-29T18:02:27.804+01:00'",
        "modifiedTime >= '2026-11-29T17:02:28Z' and modifiedTime < '2026-11-30'",
        "  ( ( name = 'demo-image_2016.tif' ) )  ",
    ],
)
def test_a_query_matches_by_its_terms(text: str) -> None:
    assert parse_query(text, {"top": "F1"})(FILE)
    assert not parse_query(f"not ({text})", {"top": "F1"})(FILE)


@pytest.mark.parametrize(
    "text",
    [
        "name contains 'mage'",
        "name contains '016'",
        "name = 'demo-image_2016'",
        "name = 'DEMO-IMAGE_2016.TIF'",
        "'F' in parents",
        "name = 'x' or trashed = true",
        "trashed = false and name = 'x'",
        "(trashed = false or name = 'x') and name = 'y'",
        "not trashed = false or name = 'x'",
        "createdTime < '2026-11-29T17:02:27.804Z'",
    ],
)
def test_a_query_leaves_out_the_rest(text: str) -> None:
    assert not parse_query(text)(FILE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name =",
        "name = x",
        'name = "x"',
        "name = 'x",
        "name = 'it's'",
        "name > 'x'",
        "name like 'x'",
        "title = 'x'",
        "fullText contains 'x'",
        "trashed = 'false'",
        "trashed = maybe",
        "trashed contains false",
        "'F1' in owners",
        "'F1' = parents",
        "parents in 'F1'",
        "name = 'x' and",
        "and name = 'x'",
        "name = 'x' name = 'y'",
        "(name = 'x'",
        "name = 'x')",
        "not",
        "createdTime > 'yesterday'",
        "createdTime contains '2026'",
        "name = 'x' AND trashed = false",
        "name = 'x' && trashed = false",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(QueryError, match=r"\S"):
        parse_query(text)


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_quoted_name_matches_itself_alone(name: str, other: str) -> None:
    test = parse_query(f"name = {quoted(name)} and trashed = false")
    assert test(FILE | {"name": name})
    assert test(FILE | {"name": other}) == (name == other)


@given(st.text("ab '\\()=!<>and not or in parents", max_size=40))
def test_no_text_ends_in_another_error(text: str) -> None:
    try:
        parse_query(text)
    except QueryError:
        return


EXPRESSIONS = st.recursive(
    st.booleans(),
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner), st.tuples(st.just("and"), inner, inner), st.tuples(st.just("or"), inner, inner)
    ),
    max_leaves=12,
)


@given(EXPRESSIONS)
def test_operators_bind_as_python_binds_them(expression: Any) -> None:
    """`not` before `and` before `or`, without brackets but where a tree needs them."""

    def write(part: Any, terms: dict[bool, str], level: int = 0) -> str:
        if isinstance(part, bool):
            return terms[part]
        own = {"or": 0, "and": 1, "not": 2}[part[0]]
        inner = [write(child, terms, own + (part[0] != "not" and place == 1)) for place, child in enumerate(part[1:])]
        text = f"not {inner[0]}" if part[0] == "not" else f" {part[0]} ".join(inner)
        return f"({text})" if own < level else text

    python = eval(write(expression, {True: "True", False: "False"}))  # noqa: S307 - of the three words and brackets
    assert parse_query(write(expression, {True: "trashed = false", False: "trashed = true"}))(FILE) is python
