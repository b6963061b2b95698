"""Cells of CSV files: text without spaces, lines with their numbers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.csv_cells import named, number, numbers, read_cells, table_text
from cropcam.pipeline.errors import DataError


def test_lines_keep_their_numbers() -> None:
    rows = read_cells("t.csv", "", b"\xef\xbb\xbfa, b\n1, x\n\n2,\n")
    assert (rows.columns.tolist(), rows.index.tolist(), rows.to_numpy().tolist()) == (["a", "b"], [2, 4], [["1", "x"], ["2", ""]])


def test_an_empty_file_is_named_with_the_columns_that_are_needed() -> None:
    with pytest.raises(DataError, match=r"t\.csv: no CSV table: .*; it needs a and b"):
        read_cells("t.csv", "it needs a and b", b"")


@pytest.mark.parametrize(
    "content",
    [
        "lon,lat,class,name\n5.5,45.25,corn,Ma\xefs\n\n6,46,,\n",
        "lon;lat;class;name\r\n5,5;45,25;corn;Ma\xefs\r\n\r\n6;46;;\r\n",
        "lon\tlat\tclass\tname\r5,5\t45,25\tcorn\tMa\xefs\r\r6\t46\t\t\r",
        '"lon","lat","class","name"\n"5.5", "45.25", "corn", "Ma\xefs"\n\n6,46\n',
        "lon , lat|,class,name,,\n".replace("|", "") + "5.5,45.25,corn,Ma\xefs,,\n,,,,,\n6,46,,,,\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_tables_of_every_dialect_hold_the_same(content: str, encoding: str) -> None:
    rows = read_cells("t.csv", "", content.encode(encoding))
    assert rows.columns.tolist() == ["lon", "lat", "class", "name"]
    assert rows.index.tolist() == [2, 4]
    assert [numbers("t.csv", rows[name], 180).tolist() for name in ("lon", "lat")] == [[5.5, 6.0], [45.25, 46.0]]
    assert rows[["class", "name"]].to_numpy().tolist() == [["corn", "Ma\xefs"], ["", ""]]


def test_comments_and_the_line_of_excel_stand_above_the_names() -> None:
    rows = read_cells("t.csv", "", b'# made by hand\n\nSEP=;\na;b\n"1\n2";3\n4;5\n')
    assert (rows.columns.tolist(), rows.index.tolist(), rows.to_numpy().tolist()) == (["a", "b"], [5, 7], [["1\n2", "3"], ["4", "5"]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04rest", r"^t\.csv: is a workbook or an archive, no CSV table; save the sheet as CSV \(UTF-8\); it needs a and b$"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"is a workbook or an archive"),
        (b"a,b\n1,2\n\n1,2,3\n", r"^t\.csv, line 4: has 3 values for 2 columns; put a text with a separator in double quotes$"),
        (b'a,b\r1,"2\r3,4\r', r"^t\.csv, line 3: no CSV table: unexpected end of data; it needs a and b$"),
        (b'a,b\n1,"2"x\n', r"^t\.csv, line 2: no CSV table: .* expected after"),
        (b"a,b\n1," + b"x" * 2_000_000, r"^t\.csv, line 2: no CSV table: field larger than field limit"),
        (b"a,b\n1,\x00\n", r"^t\.csv, line 2, column 3: holds a zero byte; save the table as UTF-8 text$"),
        (b"a,b" + b"," * 1_000_000 + b"\n1,2\n", r"^t\.csv, line 1: more than 10,000 columns; it needs a and b$"),
        (b"a,b" + b"," * 9_000 + b"\n" + b"1\n" * 10_000, r"^t\.csv, line 2224: more than 20,000,000 cells; leave out columns"),
        (b"a,b\n\x81\n", r"^t\.csv, line 2, column 1: byte 0x81 is not UTF-8; save the table as UTF-8$"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_cells("t.csv", "it needs a and b", content)


def test_a_text_that_a_spreadsheet_takes_for_a_formula_goes_out_and_comes_back() -> None:
    table = pd.DataFrame({"=name": ["=cmd|'/c calc'!A1", "+1", "-", "@x", "corn", "'tis"], "value": [-1.5, 2, 3, 4, 5, 6]})
    text = table_text(table, float_format="%.2f")
    assert text.splitlines()[:3] == ["'=name,value", "'=cmd|'/c calc'!A1,-1.50", "'+1,2.00"]
    rows = read_cells("t.csv", "", text.encode())
    assert rows.columns.tolist() == ["=name", "value"]
    assert rows["=name"].tolist() == table["=name"].tolist()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: no such file; name a CSV table; it needs a$"):
        read_cells(str(tmp_path / "none.csv"), "it needs a")


def test_names_of_columns_are_found_whatever_the_case_of_their_letters() -> None:
    assert [named(["Lon", "LAT", "a", "A"], name) for name in ("lon", "lat", "a", "b")] == ["Lon", "LAT", "a", "b"]
    assert named(["LON", "Lon"], "lon") == "lon"


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**30), 10**30))
def test_what_python_writes_is_a_number(value: float) -> None:
    assert number(f" {value} ") == float(value)


@pytest.mark.parametrize(
    "text", ["", "nan", "inf", "1e999", "1_000", "\u0661", "0x10", "1,5", "--1", "1.2.3", ".", "e5", "1 000", "\u22121"]
)
def test_what_is_no_plain_number(text: str) -> None:
    assert math.isnan(number(text))


@pytest.mark.parametrize(
    ("cells", "most", "values"),
    [
        (["1,5", "-20,25"], math.inf, [1.5, -20.25]),
        (["1,234", "10,5"], math.inf, [1.234, 10.5]),
        (["0,123"], math.inf, [0.123]),
        (["-90,123", "8"], 180, [-90.123, 8]),
        (["1,5", "2.5"], math.inf, [math.nan, 2.5]),  # two ways in one column
        (["1,5", "1,234,5"], math.inf, [math.nan, math.nan]),
    ],
)
def test_a_decimal_comma(cells: list[str], most: float, values: list[float]) -> None:
    np.testing.assert_array_equal(numbers("t.csv", pd.Series(cells), most), values)


def test_thousands_are_not_guessed() -> None:
    with pytest.raises(DataError, match=r"^t\.csv, line 7: ha is '1,234': a decimal comma, or thousands\? write 1\.234 or 1234$"):
        numbers("t.csv", pd.Series(["12", "1,234"], index=[6, 7], name="ha"))


def test_separators_at_a_lines_end_are_no_values() -> None:
    assert read_cells("t.csv", "", b"a,b\n1,2,,\n3,4\n").to_dict("list") == {"a": ["1", "3"], "b": ["2", "4"]}
