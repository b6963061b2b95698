"""Text files in any encoding, and JSON with bounds."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.text_files import decode, parse_json, place, read_bytes, read_json, read_json_object, read_text

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_every_unicode_encoding_is_read_and_the_mark_is_no_text(encoding: str, tmp_path: Path) -> None:
    text = '{"name": "Nördlich 田 😀"}'
    file = tmp_path / "a.json"
    file.write_bytes(text.encode(encoding))
    assert read_text(file, "a table") == text
    assert read_json(file, "a table") == {"name": "Nördlich 田 😀"}


@given(_VALUES)
def test_what_json_writes_is_read_as_the_standard_library_does(value: object) -> None:
    text = json.dumps(value)
    assert parse_json(text, "a.json") == json.loads(text)
    assert parse_json(text.encode(), "a.json") == json.loads(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "a": 2}', r"^a\.json: the key 'a' is there twice in one object; correct it there$"),
        ('{"a": 1,\r"b": x}', r"^a\.json, line 2, column 6: not JSON: expecting value; correct it there$"),
        ('{"a": "\x0b\x0c\u0085\u2028"\n, x}', r"^a\.json, line 1, column 8: not JSON: invalid control character at"),
        ('["\u0085\u2028",\r\n x]', r"^a\.json, line 2, column 2: not JSON: expecting value"),
        ('["NaN", \nNaN]', r"^a\.json, line 2, column 1: not JSON: NaN is no number of JSON; correct it there$"),
        ("[-Infinity]", r"^a\.json, line 1, column 2: not JSON: -Infinity is no number of JSON"),
        ("[1e999]", r"^a\.json: the number 1e999 is beyond float64"),
        ("18446744073709551616", r"^a\.json: the whole number 18446744073709551616 is beyond 64 bits"),
        ("-9223372036854775809", r"^a\.json: the whole number -9223372036854775809 is beyond 64 bits"),
        ("9" * 5000, r"^a\.json: the whole number 99999999999999999999\.\.\. of 5,000 digits is beyond 64 bits"),
        (r'["\uDC00"]', r"^a\.json: a text with half a surrogate pair"),
        ("[" * 100_000 + "]" * 100_000, r"^a\.json: JSON nested deeper than 200; such files are not read$"),
        ('{"a":' * 201 + "1" + "}" * 201, r"^a\.json: JSON nested deeper than 200; such files are not read$"),
        ("[1] 2", r"^a\.json, line 1, column 5: not JSON: extra data"),
        ("", r"^a\.json, line 1, column 1: not JSON: expecting value"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_json(text, "a.json")
    with pytest.raises(ConfigError, match=r"; make the run anew$"):
        parse_json(text, "a.json", error=ConfigError, step="make the run anew")


def test_the_deepest_json_and_the_widest_numbers_are_read() -> None:
    assert parse_json("[" * 200 + "]" * 200, "a.json") == json.loads("[" * 200 + "]" * 200)
    assert parse_json("[18446744073709551615, -9223372036854775808]", "a.json") == [2**64 - 1, -(2**63)]
    assert parse_json(r'"\ud83d\ude00"', "a.json") == "😀"


@pytest.mark.parametrize("most", [8, 64])
def test_what_is_no_file_of_a_bearable_size_is_refused_at_once(most: int, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"a" * (most + 1))
    (tmp_path / "fits").write_bytes(b"a" * most)
    os.mkfifo(tmp_path / "pipe")
    assert read_bytes(tmp_path / "fits", "a table", most_bytes=most) == b"a" * most
    for name, message in [
        ("large", "has 0 MB; at most 0 MB are read of a table; name a table"),
        ("pipe", "pipe: is a pipe or a device; name a table"),
        (".", "is a folder; name a table"),
        ("none", "none: no such file; name a table"),
        ("a\0b", "cannot be read: embedded null byte; name a table"),
        ("a" * 400, "cannot be read: File name too long; name a table"),
    ]:
        with pytest.raises(DataError, match=message):
            read_text(tmp_path / name, "a table", most_bytes=most)


def test_bytes_of_another_encoding_are_refused_with_their_place() -> None:
    with pytest.raises(DataError, match=r"^f, line 2, column 2: byte 0xfc is not UTF-8; save the table as UTF-8$"):
        decode(b"a\rM\xfcller", "f", "the table")
    with pytest.raises(DataError, match=r"^f: is no text; name a study file$"):
        decode(b"II*\0\x08\0\xff\xff", "f", "a study file")
    with pytest.raises(DataError, match=r"^f, line 1, column 4: holds a zero byte; save the table as UTF-8 text$"):
        decode(b"abc\0d", "f", "the table")
    with pytest.raises(DataError, match=r"^f, line 1, column 2: byte 0x00 is not UTF-16; save it as UTF-8$"):
        decode(b"\xff\xfea\0\0", "f")


def test_an_object_is_wanted_where_one_is_named(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    for text, kind in [("[1]", "a list"), ('"a"', "a text"), ("1.5", "a number"), ("null", "none"), ("true", "true")]:
        file.write_text(text)
        with pytest.raises(DataError, match=f"holds no JSON object but {kind}; train the run anew$"):
            read_json_object(file, "a run's settings", step="train the run anew")
    file.write_text('{"a": 1}')
    assert read_json_object(file, "a run's settings") == {"a": 1}


@given(st.text(alphabet="ab\r\n\x0b\x0c\x85\u2028", max_size=30), st.data())
def test_a_place_counts_the_lines_of_an_editor(text: str, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, len(text)))
    line, column, index = 1, 1, 0
    while index < offset:  # one character at a time
        if text[index] == "\n" or (text[index] == "\r" and (index + 1 == len(text) or text[index + 1] != "\n")):
            line, column = line + 1, 1
        else:
            column += 1
        index += 1
    if not (0 < offset < len(text) and text[offset - 1 : offset + 1] == "\r\n"):  # within a line's end
        assert place(text, offset) == f"line {line}, column {column}"
