"""Legends as data: the packaged ones, CSV files, and tables written in a study."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from cropcam.pipeline.code_table import CODE_LIMIT, DEFAULT, Code, CodeTable, Color
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.runtime.terminal import is_plain

_FOLDER = "cropcam.pipeline.study.legends"  # data alone
_COLOR_COLUMNS = (("color",), ("colour",), ("r", "g", "b"), ("red", "green", "blue"))
_NO, _YES = ("no", "false", "0"), ("", "yes", "true", "1")
_NEEDS = "a legend is a CSV with the columns code, name and, where codes have colours, color (#rrggbb) or r, g, b"
Entry = tuple[
    str, Any, Any, Any, Any
]  # where it stands ("FILE, line 3: "), code, name, colour as text, whether it is a label as text or bool


@cache
def packaged_names() -> tuple[str, ...]:
    """Names of the legends in the package."""
    return tuple(sorted(item.name.removesuffix(".csv") for item in resources.files(_FOLDER).iterdir() if item.name.endswith(".csv")))


@cache
def packaged(name: str) -> CodeTable:
    """A legend of the package."""
    text = resources.files(_FOLDER).joinpath(f"{name}.csv").read_text("utf-8")
    return CodeTable(
        name, _checked(_entries(text, f"{name}.csv"), f"{name}.csv: ", distinct_colors=False)
    )  # as published: some colours stand twice


@cache
def resolution_m(name: str) -> float | None:
    """Pixel size in metres of the maps with a legend of the package, from its line `# resolution_m: 10`."""
    found = re.search(r"^# resolution_m: ([0-9.]+)$", resources.files(_FOLDER).joinpath(f"{name}.csv").read_text("utf-8"), re.MULTILINE)
    return float(found[1]) if found else None


class Published(NamedTuple):
    """The asset of a legend of the package in Earth Engine's catalogue, from the lines `# asset:`, `# years:` and `# bounds:` of its table.

    Attributes:
        asset: its name, with YEAR where there is one for each year.
        first_year: of these; 0 where there is one asset alone.
        bounds: west, south, east and north of its pixels in degrees, generously; None = the world.
    """

    asset: str
    first_year: int
    bounds: tuple[float, float, float, float] | None


@cache
def published(name: str) -> Published:
    """Where Earth Engine has the maps with a legend of the package."""
    text = resources.files(_FOLDER).joinpath(f"{name}.csv").read_text("utf-8")
    lines = dict(re.findall(r"^# (asset|years|bounds): (.+)$", text, re.MULTILINE))
    west, south, east, north = map(float, lines.get("bounds", "-180 -90 180 90").split())
    bounds = (west, south, east, north) if "bounds" in lines else None
    return Published(lines["asset"], int(lines.get("years", 0)), bounds)


def cdl() -> CodeTable:
    """The default: every code that a CDL of any year uses."""
    return packaged(DEFAULT)


def from_csv(text: str, where: str) -> tuple[Code, ...]:
    """The codes of a CSV table, ascending. Columns: code, name; color or r, g, b; labelled (no = the code means "no label"); others are not read.

    Raises:
        ConfigError: no such table; names `where` and the line.
    """
    return _checked(_entries(text.removeprefix("\ufeff"), where), f"{where}: ")


def from_mapping(table: Mapping[str, Any]) -> tuple[Code, ...]:
    """The codes of a table in a study: code to name, or to [name, colour].

    Raises:
        ConfigError: a code, name or colour is not valid, or stands twice.
    """
    return _checked(("", code, *_name_and_color(code, value), True) for code, value in table.items())


def from_rows(rows: Sequence[Any]) -> tuple[Code, ...]:
    """The codes of `code_table.to_rows`; raises as `from_mapping`."""
    entries = []
    for row in rows:
        if not isinstance(row, list | tuple) or not 2 <= len(row) <= 4:
            raise ConfigError(f"{row!r} is no row of a legend; write code = name, or code = [name, colour]")
        entries.append(("", row[0], row[1], row[2] if len(row) > 2 else "", row[3] if len(row) > 3 else True))
    return _checked(entries)


def _name_and_color(code: str, value: Any) -> tuple[Any, Any]:  # noqa: ANN401 - TOML
    if isinstance(value, str):
        return value, ""
    if isinstance(value, list | tuple) and len(value) == 2:
        return value[0], value[1]
    raise ConfigError(f'code {code}: {value!r} is neither a name nor [name, colour]; write {code} = ["Wheat", "#a07000"]')


def _entries(text: str, where: str) -> Iterator[Entry]:
    """Lines that begin with # above the names of the columns are comments."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: list[str] = []
    try:
        for cells in reader:
            line, row = f"{where}, line {reader.line_num}: ", [cell.strip() for cell in cells]
            if not any(row) or (not columns and row[0].startswith("#")):
                continue
            if not columns:
                columns = [cell.casefold() for cell in row]
                if not {"code", "name"} <= set(columns):
                    raise ConfigError(f"{line}has the columns {', '.join(row)[:60]}; {_NEEDS}")
                continue
            if len(row) > len(columns):
                raise ConfigError(f"{line}has {len(row)} values for {len(columns)} columns; put a name with a comma in double quotes")
            of = dict(zip(columns, [*row, *[""] * (len(columns) - len(row))], strict=True))
            found = next((names for names in _COLOR_COLUMNS if set(names) <= set(columns)), ())
            parts = [of[name] for name in found]
            color = ",".join(parts) if any(parts) else ""
            yield line, of["code"], of["name"], color, of.get("labelled", "")
    except csv.Error as error:
        raise ConfigError(f"{where}, line {reader.line_num}: {error}; {_NEEDS}") from None
    if not columns:
        raise ConfigError(f"{where}, line 1: is empty; {_NEEDS}")


def _checked(entries: Iterable[Entry], of: str = "", *, distinct_colors: bool = True) -> tuple[Code, ...]:
    """The codes, ascending.

    Raises:
        ConfigError: not valid, doubled, or without a label.
    """
    found: dict[int, Code] = {}
    owner: dict[Color, int] = {}
    for where, text, name, color_text, labelled in entries:
        code, color = _code(where, text), _color(where, color_text)
        if code in found:
            raise ConfigError(f"{where}code {code} is there twice; name each code once")
        if not isinstance(name, str) or not name.strip():
            raise ConfigError(f"{where}code {code} has no name; give it one")
        if not is_plain(name.strip()):
            raise ConfigError(f"{where}code {code} has a control character in its name {name!r}; leave it out")
        if color and distinct_colors and color in owner:
            raise ConfigError(f"{where}the colour {color_text} is that of code {owner[color]} already; give code {code} another, or none")
        if str(labelled).casefold() not in _NO + _YES:
            raise ConfigError(f"{where}labelled is {labelled!r}; write yes, or no where the code means 'no label'")
        if color:
            owner[color] = code
        found[code] = Code(code, name.strip(), color, str(labelled).casefold() in _YES)
    labels = sum(item.is_label for item in found.values())
    if not labels:
        raise ConfigError(f"{of}the legend has no code that is a label; name the codes of its classes")
    if labels == CODE_LIMIT:
        raise ConfigError(f"{of}the legend has a label for each of {CODE_LIMIT:,} codes; one must mean 'no label'")
    return tuple(found[code] for code in sorted(found))


def _code(where: str, value: Any) -> int:  # noqa: ANN401 - a cell, a key or a number
    text = str(value)
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) >= CODE_LIMIT:
        raise ConfigError(f"{where}code {text!r} is not a whole number from 0 to {CODE_LIMIT - 1}")
    return int(text)


def _color(where: str, value: Any) -> Color | None:  # noqa: ANN401 - a cell or a text of a study
    text = str(value).strip()
    if not text:
        return None
    if re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        red, green, blue = bytes.fromhex(text[1:])
        return red, green, blue
    if re.fullmatch(r"\s*[0-9]{1,3}\s*,\s*[0-9]{1,3}\s*,\s*[0-9]{1,3}\s*", text):
        red, green, blue = (int(part) for part in text.split(","))
        if max(red, green, blue) < 256:
            return red, green, blue
    raise ConfigError(f"{where}{text!r} is no colour; write #rrggbb, or three numbers from 0 to 255")
