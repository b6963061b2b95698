"""A table of codes: its type, its code for "no label", its names; and itself as JSON values."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.code_table import Code, CodeTable, to_rows
from cropcam.pipeline.legend_sources import packaged, packaged_names

COLORS = st.none() | st.tuples(*[st.integers(0, 255)] * 3)
NAMES = st.text(min_size=1, max_size=8).filter(str.strip)


@st.composite
def tables(draw: st.DrawFn) -> CodeTable:
    """Any table with a label."""
    codes = sorted(draw(st.sets(st.integers(0, 300) | st.integers(0, 65_535), min_size=1, max_size=20)))
    rows = [Code(code, draw(NAMES), draw(COLORS), draw(st.booleans())) for code in codes]
    return CodeTable("", (rows[0]._replace(is_label=True), *rows[1:]))


@given(tables())
def test_every_code_fits_and_no_label_is_the_fill(table: CodeTable) -> None:
    highest = max(table.fill, *(item.code for item in table.codes), 0)
    assert table.dtype == (np.uint8 if highest < 256 else np.uint16)
    assert len(table.known) == len(table.labels) == table.limit == np.iinfo(table.dtype).max + 1
    labels = {item.code for item in table.codes if item.is_label}
    assert set(np.flatnonzero(table.labels)) == labels
    assert set(np.flatnonzero(table.known)) == {item.code for item in table.codes} | {table.fill}
    assert table.fill not in labels
    assert table.fill == 0 or 0 in labels
    assert set(table.unlabelled) == set(np.flatnonzero(table.known)) - labels
    assert CodeTable.from_attrs(json.loads(json.dumps(table.attrs()))) == table
    for item in table.codes:
        assert item.code in table.named(item.name)


@given(tables(), st.lists(st.integers(-5, 300), max_size=4))
def test_codes_that_are_missing_are_no_labels(table: CodeTable, missing: list[int]) -> None:
    found = table.without(missing)
    assert [item._replace(is_label=True) for item in found.codes] == [item._replace(is_label=True) for item in table.codes]
    assert {item.code for item in found.codes if item.is_label} == set(np.flatnonzero(table.labels)) - set(missing)
    assert found.missing == tuple(missing)


@pytest.mark.parametrize(
    ("codes", "fill", "dtype"),
    [
        ([Code(1, "a")], 0, "uint8"),
        ([Code(0, "a"), Code(7, "cloud", None, False)], 7, "uint8"),
        ([Code(0, "a"), Code(100, "b")], 255, "uint8"),
        ([Code(0, "a"), Code(255, "b")], 65_535, "uint16"),
        ([Code(0, "a"), Code(255, "b"), Code(65_535, "c")], 65_534, "uint16"),
        ([Code(1, "a"), Code(256, "b")], 0, "uint16"),
    ],
)
def test_the_code_for_no_label_and_the_type(codes: list[Code], fill: int, dtype: str) -> None:
    table = CodeTable("", tuple(codes))
    assert (table.fill, table.dtype) == (fill, np.dtype(dtype))


def test_names_are_found_without_case_spaces_and_punctuation() -> None:
    table = packaged("cdl")
    assert table.named("SWEET  corn") == (12,)
    assert table.named("Grassland/Pasture") == (176,)
    assert table.named("barren") == (65, 131)  # a name of two codes
    assert table.named("wheatt") == ()
    assert table.nearest_name("wintr wheat") == "Winter wheat"
    assert CodeTable("", (Code(1, "--"),)).named("--") == (1,)
    assert CodeTable("", (Code(1, "Maïs ensilage"),)).nearest_name("zzz") == "Maïs ensilage"


def test_a_message_names_the_legend() -> None:
    assert packaged("nlcd").title == "the legend 'nlcd'"
    assert CodeTable("", (Code(1, "a"),)).title == "the study's legend"
    assert [name for name in packaged_names() if not packaged(name).is_closed] == ["cdl"]


def test_rows_say_which_codes_are_no_labels() -> None:
    assert to_rows([Code(1, "a", (255, 0, 16)), Code(2, "b", None, False)]) == [[1, "a", "#ff0010"], [2, "b", "", False]]
