"""Codes to classes: every code has one answer, unlabelled codes never are background."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.legend import UNLABELLED, Legend, parse_codes
from cropcam.pipeline.study.study import load_study


def test_the_five_classes_of_the_study() -> None:
    legend = load_study("corn-belt-2016").legend
    assert legend.names == ("background", "corn", "soybean", "forest", "grassland")
    codes = np.array([0, 81, 1, 5, 63, 141, 142, 143, 190, 37, 176, 24, 111, 255], np.uint8)
    assert legend.index(codes).tolist() == [UNLABELLED, UNLABELLED, 1, 2, 3, 3, 3, 3, 3, 4, 4, 0, 0, 0]
    assert len({land_class.color for land_class in legend.classes}) == len(legend)
    assert legend.classes[1].color_hex == "#ffd300"


def test_the_papers_crop_rule() -> None:
    legend = load_study("corn-belt-2017").legend
    crop = np.flatnonzero(legend.lookup() == 1)
    expected = [code for code in range(1, 256) if code <= 60 or 66 <= code <= 77 or code >= 196]
    assert crop.tolist() == expected


@given(
    st.dictionaries(
        st.text("abcdef", min_size=1),
        st.sets(st.integers(1, 255).filter(lambda code: code != 81), min_size=1, max_size=9),
        min_size=1,
        max_size=12,
    )
)
def test_the_lookup_agrees_with_the_definition(classes: dict[str, set[int]]) -> None:
    taken: set[int] = set()
    disjoint = {name: tuple(sorted(codes - taken | (taken.update(codes) or set()))) for name, codes in classes.items()}  # type: ignore[func-returns-value]
    legend = Legend.from_codes(
        {
            name: tuple(code for code in codes if not any(code in other for key, other in disjoint.items() if key < name))
            for name, codes in disjoint.items()
        }
    )
    table = legend.lookup()
    for code in range(256):
        owners = [index for index, land_class in enumerate(legend.classes) if code in land_class.codes]
        assert table[code] == (UNLABELLED if code in (0, 81) else owners[0] if owners else 0)
    assert Legend.from_attrs(legend.attrs()) == legend
    assert len({land_class.color for land_class in legend.classes}) == len(legend)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ({"a": [1], "b": [1]}, "classes.b: CDL code 1 already belongs to 'a'"),
        ({"a": [0]}, "classes.a: CDL code 0 means 'no label'"),
        ({"a": [80, 81]}, "classes.a: CDL code 81 means 'no label'"),
    ],
)
def test_impossible_legends(codes: dict[str, list[int]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Legend.from_codes(codes)


def test_codes_and_ranges() -> None:
    assert parse_codes([5, "1-3", "2-4", "9"]) == (5, 1, 2, 3, 4, 9)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("corn", "is not a CDL code or range"),
        ("9-1", "runs backwards"),
        (256, r"outside the CDL codes 0\.\.255"),
        (-1, "is not a CDL code"),
    ],
)
def test_codes_that_are_none(item: int | str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_codes([item])
