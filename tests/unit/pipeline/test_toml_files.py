"""TOML files in any encoding, with bounds."""

import tomllib
from pathlib import Path

import pytest

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.toml_files import parse_toml, read_toml


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_every_unicode_encoding_is_read(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes('name = "Nördlich 田"\n'.encode(encoding))
    assert read_toml(tmp_path / "x.toml", "a study file", error=ConfigError) == {"name": "Nördlich 田"}


def test_another_encoding_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b'a = 1\r\nname = "N\xf6rdlich"\n')
    with pytest.raises(ConfigError, match=r"x\.toml, line 2, column 10: byte 0xf6 is not UTF-8; save a study file as UTF-8$"):
        read_toml(tmp_path / "x.toml", "a study file", error=ConfigError)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\rb = =", r"^x\.toml, line 2, column 5: not TOML: invalid value; correct it there$"),
        ('# a\x0b\u2028\na = 1\r\n\nb = "', r"^x\.toml, line 1, column 4: not TOML: found invalid character"),
        ('a = 1\r\n\nb = "', r"^x\.toml, line 3, column 6: not TOML: unterminated string"),
        ("a" + ".a" * 50_000 + "=1", r"^x\.toml, line 1, column 1: TOML nested deeper than 50; such files are not read$"),
        ('[ "a.b" ' + ". 'a'" * 50 + "]", r"^x\.toml, line 1, column 3: TOML nested deeper than 50"),
        ("a = " + "[" * 100_000, r"^x\.toml, line 1, column 55: TOML nested deeper than 50"),
        ("a = " + "9" * 5000, r"^x\.toml: not TOML: a whole number beyond 64 bits; correct it there$"),
        ("a = [{b = 99999999999999999999}]", r"^x\.toml: not TOML: a whole number beyond 64 bits"),
        ("a = 1\nb = 2023-02-30", r"^x\.toml, line 2, column 5: not TOML: invalid date or datetime"),
        ("a = 1\na = 2\nc = 3", r"^x\.toml, line 2, column 6: not TOML: cannot overwrite a value"),
    ],
)
def test_what_is_no_toml_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_toml(text, "x.toml", error=ConfigError)


@pytest.mark.parametrize(
    "text",
    [
        "a = '" + "x.y." * 5000 + "'",
        'a = """\n' + "x.y.\n[[[\\\\" * 200 + '"""',
        "# " + "x." * 200 + "\na = 1",
        "a" + ".a" * 49 + " = 1",
        "b = [1.5, 2.5]",
    ],
)
def test_texts_and_comments_of_toml_are_no_keys(text: str) -> None:
    assert parse_toml(text, "x.toml", error=ConfigError) == tomllib.loads(text)
