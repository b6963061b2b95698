"""TOML files of any encoding, read with bounds: what cannot be read is refused in one line with its place."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from cropcam.pipeline.errors import CropcamError
from cropcam.pipeline.text_files import INTEGERS, LINE_END, MOST_BYTES, place, read_text, refuse_at

_DEPTH = 50
_BEYOND = "not TOML: a whole number beyond 64 bits"
_KEY = r"""(?:"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"|'[^'\n]*+'|[\w-]++)"""
# strings of several lines and comments, brackets, and keys joined by dots (a text is a key alone)
_PARTS = re.compile(
    rf'"""(?:[^\\]|\\.)*?"""|\'\'\'.*?\'\'\'|#[^\n]*+|(?P<bracket>[\[\]{{}}])|(?P<keys>{_KEY}(?:[ \t]*+\.[ \t]*+{_KEY})*+)', re.DOTALL
)


def read_toml(path: str | Path, what: str, *, error: type[CropcamError], step: str = "", most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """The tables of a TOML file; arguments as of `read_text`.

    Raises:
        CropcamError: as of `read_text` and `parse_toml`; of the type `error`.
    """
    return parse_toml(read_text(path, what, error=error, step=step, most_bytes=most_bytes), str(path), error=error, step=step)


def parse_toml(text: str, where: str, *, error: type[CropcamError], step: str = "") -> dict[str, Any]:
    """The tables of TOML text; `where` begins the message, `step` ends it. Lines may end with a carriage return alone.

    Raises:
        CropcamError: not TOML, nested or dotted deeper than 50, or a whole number beyond 64 bits; of the type `error`.
    """
    text, step = LINE_END.sub("\n", text), step or "correct it there"
    if (deep := _deep(text)) is not None:  # before it is read: the time of dotted keys grows with the square of their number
        refuse_at(error, f"{where}, {place(text, deep)}", f"TOML nested deeper than {_DEPTH}", "such files are not read")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        message, _, at = str(problem).removesuffix(")").partition(" (at ")
        message, at = f"{message[:1].lower()}{message[1:]}", at.replace("end of document", place(text, len(text)))
        refuse_at(error, f"{where}, {at}" if at else where, f"not TOML: {message}", step)
    except ValueError:  # of int(), by thousands of digits
        refuse_at(error, where, _BEYOND, step)
    level: list[Any] = [values]
    while level:
        level = [each for item in level for each in (item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())]
        if any(isinstance(item, int) and not INTEGERS[0] <= item <= INTEGERS[1] for item in level):
            refuse_at(error, where, _BEYOND, step)
    return values


def _deep(text: str) -> int | None:
    """Where TOML text is nested or dotted deeper than allowed."""
    depth = 0
    for found in _PARTS.finditer(text):
        if bracket := found["bracket"]:
            depth += 1 if bracket in "[{" else -1
        is_long = found["keys"] and found["keys"].count(".") >= _DEPTH and len(re.findall(_KEY, found["keys"])) > _DEPTH
        if depth > _DEPTH or is_long:
            return found.start()
    return None
