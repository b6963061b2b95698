"""Legends from the package, from CSV files and from tables in a study: each in one shape, each mistake in one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.code_table import Code, to_rows
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.legend_sources import cdl, from_csv, from_mapping, from_rows, packaged, packaged_names, resolution_m

LABELS = st.tuples(st.text("abc xyz,\"'é", min_size=1, max_size=9).map(str.strip).filter(bool), st.booleans())


def test_the_packaged_legends() -> None:
    assert packaged_names() == ("aafc-aci", "cdl", "nlcd", "worldcereal", "worldcover")
    assert [code for code, *_ in packaged("worldcover").codes] == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100]
    assert [(item.code, item.is_label) for item in packaged("worldcereal").codes] == [(0, True), (100, True), (255, False)]
    assert {name: packaged(name).unlabelled for name in packaged_names()} == {
        "aafc-aci": (0, 10), "cdl": (0, 81), "nlcd": (0,), "worldcereal": (255,), "worldcover": (0,),
    }  # fmt: skip
    assert {name: resolution_m(name) for name in packaged_names()} == {
        "aafc-aci": 30, "cdl": 30, "nlcd": 30, "worldcereal": 10, "worldcover": 10,
    }  # fmt: skip
    assert packaged("nlcd").by_code[82] == Code(82, "Cultivated crops", (171, 108, 40))


def test_cdl_has_every_code_of_any_year_with_the_colours_of_the_maps() -> None:
    used = "0-6 10-14 21-39 41-72 74-77 81-83 87-88 92 111-112 121-124 131 141-143 152 171 176 181 190 195 204-254"
    ranges = [tuple(map(int, (part + "-" + part).split("-")[:2])) for part in used.split()]
    assert [item.code for item in cdl().codes] == [code for low, high in ranges for code in range(low, high + 1)]
    assert cdl().by_code[1] == Code(1, "Corn", (255, 211, 0))
    assert cdl().by_code[176] == Code(176, "Grassland / pasture", (232, 255, 190))
    assert cdl().by_code[2].color is None  # a class of it keeps the colour that it had before the code had a name
    assert sum(item.color is not None for item in cdl().codes) == 31


@pytest.mark.parametrize(
    "text",
    [
        "code,name,color\n1,Wheat,#ff0010\n3,Maize,\n",
        "\ufeffcode,name,color\r\n1,Wheat,#FF0010\r\n3,Maize,\r\n",
        '# ours\n#,\n\nname,Colour,code\nMaize,,3\n\n Wheat , "255, 0, 16" ,1\n'.replace(' "255, 0, 16" ', '"255, 0, 16"'),
        "code,name,r,g,b,remark\n1,Wheat,255,0,16,x\n3,Maize,,,\n",
        "code,name,red,green,blue,labelled\n1,Wheat,255,0,16,yes\n3,Maize\n",
    ],
)
def test_csv_tables_of_one_content_are_one_legend(text: str) -> None:
    assert from_csv(text, "ours.csv") == (Code(1, "Wheat", (255, 0, 16)), Code(3, "Maize"))


def test_a_line_may_say_that_its_code_is_no_label() -> None:
    found = from_csv('code,name,labelled\n0,Other,\n9,"Cloud, haze",no\n', "a.csv")
    assert found == (Code(0, "Other"), Code(9, "Cloud, haze", None, False))


def test_a_table_in_a_study_has_names_or_names_and_colours() -> None:
    found = from_mapping({"40": ["Cropland", "#f096ff"], "10": "Tree cover", "300": ["Rice", "1,2,3"]})
    assert found == (Code(10, "Tree cover"), Code(40, "Cropland", (240, 150, 255)), Code(300, "Rice", (1, 2, 3)))


@given(st.dictionaries(st.integers(0, 65_535), LABELS, min_size=1, max_size=30))
def test_rows_and_csv_give_back_the_codes(labels: dict[int, tuple[str, bool]]) -> None:
    first = min(labels)
    codes = tuple(Code(code, name, None, labelled or code == first) for code, (name, labelled) in sorted(labels.items()))
    assert from_rows(to_rows(codes)) == codes
    quoted = "".join(f'{item.code},"{item.name.replace(chr(34), chr(34) * 2)}",{"yes" if item.is_label else "no"}\n' for item in codes)
    assert from_csv("code,name,labelled\n" + quoted, "a.csv") == codes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"^a\.csv, line 1: is empty; a legend is a CSV with the columns code, name"),
        ("code;name\n1;Wheat\n", r"^a\.csv, line 1: has the columns code;name; a legend is a CSV"),
        ("# x\ncode,color\n1,#000000\n", r"^a\.csv, line 2: has the columns code, color; a legend"),
        ("code,name\nx,Wheat\n", r"^a\.csv, line 2: code 'x' is not a whole number from 0 to 65535"),
        ("code,name\n1,A\n65536,B\n", r"^a\.csv, line 3: code '65536' is not a whole number from 0 to 65535"),
        ("code,name\n-1,A\n", r"^a\.csv, line 2: code '-1' is not a whole number"),
        ("code,name\n1,A\n2,B\n1,C\n", r"^a\.csv, line 4: code 1 is there twice; name each code once"),
        ("code,name\n1,\n", r"^a\.csv, line 2: code 1 has no name; give it one"),
        ("code,name,color\n1,A,#00ff00\n2,B,\"0,255,0\"\n", r"^a\.csv, line 3: the colour 0,255,0 is that of code 1 already"),
        ("code,name,color\n1,A,green\n", r"^a\.csv, line 2: 'green' is no colour; write #rrggbb, or three numbers"),
        ("code,name,r,g,b\n1,A,1,2,\n", r"^a\.csv, line 2: '1,2,' is no colour"),
        ("code,name,r,g,b\n1,A,1,2,256\n", r"^a\.csv, line 2: '1,2,256' is no colour"),
        ("code,name,labelled\n1,A,maybe\n", r"^a\.csv, line 2: labelled is 'maybe'; write yes, or no"),
        ("code,name\n1,Hay, other\n", r"^a\.csv, line 2: has 3 values for 2 columns; put a name with a comma in double quotes"),
        ('code,name\n1,"Hay\n', r"^a\.csv, line 2: .*; a legend is a CSV"),
        ("code,name,labelled\n1,A,no\n", r"^a\.csv: the legend has no code that is a label"),
    ],
)  # fmt: skip
def test_csv_files_that_are_no_legend(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_csv(text, "a.csv")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "^the legend has no code that is a label"),
        ({"10": 5}, r'^code 10: 5 is neither a name nor \[name, colour\]; write 10 = \["Wheat", "#a07000"\]'),
        ({"ten": "A"}, "^code 'ten' is not a whole number"),
        ({"10": "A", "010": "B"}, "^code 10 is there twice"),
        ({"1": ["A", "#000001"], "2": ["B", "#000001"]}, "^the colour #000001 is that of code 1 already"),
        ({"1": ["A", "#01"]}, "^'#01' is no colour"),
        ({"1": [2, "#000001"]}, "^code 1 has no name"),
    ],
)
def test_tables_in_a_study_that_are_no_legend(table: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_mapping(table)


def test_rows_of_another_shape_are_refused_and_so_is_a_legend_without_a_code_for_no_label() -> None:
    with pytest.raises(ConfigError, match=r"^\[1\] is no row of a legend; write code = name"):
        from_rows([[1]])
    with pytest.raises(ConfigError, match=r"^the legend has a label for each of 65,536 codes; one must mean 'no label'"):
        from_rows([[code, "a"] for code in range(65_536)])
