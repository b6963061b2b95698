"""The line on which each key of a TOML text stands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

from cropcam.pipeline.text_files import LINE_END

Path = tuple[str, ...]
_KEY = r"""(?:"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"|'[^'\n]*+'|[\w-]++)"""
_KEYS = rf"{_KEY}(?:[ \t]*+\.[ \t]*+{_KEY})*+"
_HEADER = re.compile(rf"\[\[?[ \t]*+({_KEYS})[ \t]*+\]\]?")
_ASSIGNED = re.compile(rf"({_KEYS})[ \t]*+=")
_SKIPPED = re.compile(r"(?:[ \t\n]++|#[^\n]*+)+")
# what a value is made of: strings, comments, brackets, the end of a line, anything else
_PART = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|#[^\n]*|[\[{]|[\]}]|\n|[^"\'#\[\]{}\n]+', re.DOTALL
)


def key_lines(text: str) -> Mapping[Path, int]:
    r"""The line, from 1, of each key and each table of a text that is TOML; keys inside of inline tables are not looked for.

    >>> key_lines('a = 1\n[b]\nc.d = 2')
    {('a',): 1, ('b',): 2, ('b', 'c', 'd'): 3}
    """
    text = LINE_END.sub("\n", text)
    found: dict[Path, int] = {}
    table: Path = ()
    at, line = 0, 1

    def pass_by(end: int) -> None:
        nonlocal at, line
        line += text.count("\n", at, end)
        at = end

    while at < len(text):
        if skipped := _SKIPPED.match(text, at):
            pass_by(skipped.end())
        elif header := _HEADER.match(text, at):
            table = _path(header[1])
            found.setdefault(table, line)
            pass_by(header.end())
        elif assigned := _ASSIGNED.match(text, at):
            found.setdefault((*table, *_path(assigned[1])), line)
            pass_by(_end_of_value(text, assigned.end()))
        else:  # no TOML
            break
    return found


def _end_of_value(text: str, start: int) -> int:
    """Where the value that begins at `start` ends."""
    depth, at = 0, start
    while part := _PART.match(text, at):
        piece = part[0]
        if piece == "\n" and not depth:
            break
        depth += (piece in "[{") - (piece in "]}")
        at = part.end()
    return at


def _path(keys: str) -> Path:
    """The names in dotted keys."""
    names, level = [], tomllib.loads(f"{keys} = 0")
    while isinstance(level, dict):
        ((name, level),) = level.items()
        names.append(name)
    return tuple(names)
