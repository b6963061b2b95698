"""A class is written as its name, a code, or a name of the legend."""

from __future__ import annotations

import pandas as pd
import pytest

from cropcam.pipeline.class_names import NO_CLASS, allowed, class_index, class_indices, key, known_names, texts, unknown_line
from cropcam.pipeline.legend import Legend, parse_codes

LEGEND = Legend.from_codes({"corn": parse_codes(["Corn"]), "grain": parse_codes(["Winter Wheat", 21])})


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("corn", 1),
        ("background", 0),
        ("1", 1),
        ("1.0", 1),
        ("24", 2),
        ("winter wheat", 2),
        ("Winter_Wheat", 2),
        ("Soybeans", 0),
        ("5", 0),
        ("Clouds/No Data", None),
        ("81", None),
        ("1.5", None),
        ("-1", None),
        ("99999", None),
        ("inf", None),
        ("maize", None),
        ("", None),
    ],
)
def test_what_is_written_for_a_class(text: str, index: int | None) -> None:
    assert class_index(text, LEGEND) == index


def test_a_legend_name_of_several_classes_is_no_class() -> None:
    table = LEGEND.table
    doubled = next(item.name for item in table.codes if len(table.named(item.name)) > 1)
    split = Legend.from_codes({"one": table.named(doubled)[:1], "two": table.named(doubled)[1:]})
    assert class_index(doubled, split) is None
    assert class_index(doubled, Legend.from_codes({"both": table.named(doubled)})) == 1


def test_columns_as_text() -> None:
    assert texts(pd.Series([5.0, None, 7.0])).tolist() == ["5", "", "7"]
    assert texts(pd.Series([5, 7])).tolist() == ["5", "7"]
    assert texts(pd.Series([" BTH ", None])).tolist() == ["BTH", ""]
    assert texts(pd.Series([1.5, 2.0])).tolist() == ["1.5", "2.0"]


def test_unknown_texts_are_counted_with_the_nearest_known_one() -> None:
    cells = pd.Series(["corn", "corm", "corm", "", "1"])
    index, unknown = class_indices(cells, LEGEND)
    assert index.tolist() == [1, NO_CLASS, NO_CLASS, NO_CLASS, 1]
    assert unknown == ["corm", ""]
    line = unknown_line("points", cells, unknown, known_names(LEGEND))
    assert line == "3 points have a class that is not known and give no label: 'corm' (2, nearest 'corn'), 'no value' (1)"
    assert class_indices(pd.Series([], dtype=str), LEGEND)[0].tolist() == []
    by_table, rest = class_indices(pd.Series(["B1", "05", "x"]), LEGEND, {"B1": 2, "5": 0})
    assert (by_table.tolist(), rest) == ([2, 0, NO_CLASS], ["x"])


def test_keys_of_numbers_do_not_depend_on_how_they_are_written() -> None:
    assert {key(text) for text in ("05", "5", "5.0", " 5 ")} == {"5"}
    assert key("5.5") == "5.5"


def test_a_legend_of_names_allows_its_names_alone() -> None:
    assert allowed(LEGEND) == "one of background, corn, grain, or a label code or its name"
    bare = Legend.of_names(LEGEND.names)
    assert allowed(bare) == "one of background, corn, grain"
    assert [class_index(text, bare) for text in ("grain", "1", "0", "CORN", "", "1_0", "\N{ARABIC-INDIC DIGIT ONE}", "nan")] == [
        2,
        None,
        None,
        1,
        None,
        None,
        None,
        None,
    ]
    assert known_names(bare) == ["background", "corn", "grain"]
