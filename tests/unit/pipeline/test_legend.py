"""Codes to classes: every code has one answer, unlabelled codes never are background."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.code_table import Code, CodeTable
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.legend import UNLABELLED, Legend, class_colors, parse_codes
from cropcam.pipeline.legend_sources import packaged
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
        ({"a": [1], "b": [1]}, "classes.b: code 1 already belongs to 'a'"),
        ({"a": [0]}, "classes.a: code 0 means 'no label'"),
        ({"a": [80, 81]}, "classes.a: code 81 means 'no label' in the legend 'cdl'"),
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
        ("cron", "'cron' is no code, range or name of the legend 'cdl'; did you mean 'Corn'"),
        ("9-1", "runs backwards"),
        (256, r"outside the codes 0\.\.255 of the legend 'cdl'"),
        (-1, "is no code, range or name"),
    ],
)
def test_codes_that_are_none(item: int | str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_codes([item])


def test_classes_by_name_and_range_hold_the_codes_of_their_legend() -> None:
    table = packaged("worldcover")
    assert parse_codes(["Cropland", "20-35", "tree  COVER", 95], table) == (40, 20, 30, 10, 95)
    assert parse_codes(["Corn", "Sweet Corn"]) == (1, 12)
    for item, message in ((15, r"^15 is not in the legend 'worldcover', whose codes are 10, 20, 30"), ("41-49", "^'41-49' is not in")):
        with pytest.raises(ConfigError, match=message):
            parse_codes([item], table)
    with pytest.raises(ConfigError, match=r"^70000 is outside the codes 0\.\.65535 of the legend 'worldcover'"):
        parse_codes([70_000], table)
    with pytest.raises(ConfigError, match=r"^classes\.a: code 0 means 'no label' in the legend 'worldcover'"):
        Legend.from_codes({"a": parse_codes(["0-40"], table)}, table)


def test_codes_that_a_legend_lacks_are_no_background_and_0_may_be_a_class() -> None:
    cover, cereal = packaged("worldcover"), packaged("worldcereal")
    legend = Legend.from_codes({"crop": (40,)}, cover)
    assert legend.index(np.array([0, 10, 40, 41, 255], np.uint8)).tolist() == [UNLABELLED, 0, 1, UNLABELLED, UNLABELLED]
    assert [legend.index_of(code) for code in (-1, 0, 10, 40, 41, 300)] == [None, None, 0, 1, None, None]
    legend = Legend.from_codes({"crop": (100,)}, cereal)
    assert legend.index(np.array([0, 100, 255], np.uint8)).tolist() == [0, 1, UNLABELLED]


def test_codes_above_255_have_a_table_of_65_536() -> None:
    table = CodeTable("", (Code(7, "a"), Code(40_000, "b", (1, 2, 3)), Code(65_535, "cloud", None, False)))
    legend = Legend.from_codes({"b": (40_000,)}, table)
    assert legend.lookup().shape == (65_536,)
    assert legend.index(np.array([0, 7, 40_000, 65_535], np.uint16)).tolist() == [UNLABELLED, 0, 1, UNLABELLED]
    assert legend.classes[1].color == (1, 2, 3)
    assert Legend.from_attrs(legend.attrs(), legend.table_attrs()) == legend


def test_only_another_legend_than_cdl_is_written_down() -> None:
    assert Legend.from_codes({"corn": (1,)}).table_attrs() is None
    attrs = Legend.from_codes({"crop": (40,)}, packaged("worldcover")).table_attrs()
    assert attrs is not None
    assert (attrs["name"], attrs["codes"][:2]) == ("worldcover", [[0, "No data", "", False], [10, "Tree cover", "#006400"]])


def test_classes_have_the_colours_of_their_legend_and_each_its_own() -> None:
    table = packaged("aafc-aci")
    legend = Legend.from_codes({"potatoes": (177,), "hops": (191,), "forest": (200,)}, table)
    assert [item.color_hex for item in legend.classes[1:]][::2] == ["#ffcccc", "#009900"]
    assert len({item.color for item in legend.classes}) == 4
    with pytest.raises(ConfigError, match=r"^255 classes; at most 254 are possible"):
        Legend.from_codes({f"c{code}": (code,) for code in range(1, 256)}, CodeTable("", tuple(Code(code, "x") for code in range(1, 256))))


def test_a_legend_of_names_knows_no_code_and_no_other_name() -> None:
    legend = Legend.of_names(("background", "corn", "wheat"))
    assert legend.names == ("background", "corn", "wheat")
    assert len({item.color for item in legend.classes}) == 3
    assert [legend.index_of(code) for code in (-1, 0, 1, 255)] == [None] * 4
    assert legend.table.named("Corn") == ()
    assert Legend.from_attrs(legend.attrs(), legend.table_attrs()) == legend


def test_given_colours_are_kept_and_the_others_stay_away_from_them() -> None:
    given = class_colors({"corn": "#96DC8C", "background": "#101010"}, ("background", "corn", "grassland"))
    legend = Legend.from_codes({"corn": (1,), "grassland": (176,)}, None, given)
    assert [item.color_hex for item in legend.classes[:2]] == ["#101010", "#96dc8c"]
    assert legend.classes[2].color != (150, 220, 140)  # grassland's own, which corn has


@pytest.mark.parametrize(
    ("colours", "message"),
    [
        ({"cron": "#ffffff"}, r"^colours\.cron: the study has no such class; did you mean corn\?$"),
        ({"zzz": "#ffffff"}, r"^colours\.zzz: the study has no such class; the classes are background, corn, soybean$"),
        ({"corn": "yellow"}, r"^colours\.corn: 'yellow' is no colour; write \"#rrggbb\", such as \"#bab2aa\"$"),
        ({"corn": "#ff0"}, r"^colours\.corn: '#ff0' is no colour"),
        ({"corn": "#ffd300", "soybean": "#FFD300"}, r"^colours\.soybean: #FFD300 is the colour of corn too; give each class its own$"),
    ],
)
def test_colours_that_a_study_cannot_give(colours: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        class_colors(colours, ("background", "corn", "soybean"))
