"""Text files of any encoding, and JSON, read with bounds: what cannot be read is refused in one line with its place.

A place is a line and a column, both from 1, counted as an editor does: a line ends with a line feed, a carriage return or both.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from cropcam.pipeline.errors import CropcamError, DataError

MOST_BYTES = 64 * 2**20  # of one file; parsed JSON may take thirty times as much memory
_JSON_DEPTH = 200
_HEAD = 1024  # bytes in which a file that is no text has a zero
INTEGERS = (-(2**63), 2**64 - 1)  # of the types that arrays have
LINE_END = re.compile(r"\r\n|\r|\n")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_NO_NUMBER = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|(-?Infinity|NaN)', re.DOTALL)


def read_text(path: str | Path, what: str, *, error: type[CropcamError] = DataError, step: str = "", most_bytes: int = MOST_BYTES) -> str:
    """The text of a file without its byte order mark: UTF-8, or UTF-16 or UTF-32 in either order, with or without a mark.

    Args:
        path: of the file.
        what: what the file is to be, with its article: "a study file".
        error: raised.
        step: the next step, where it is not to name, save or correct the file.
        most_bytes: larger files are refused.

    Raises:
        CropcamError: no such file, no regular file, too large, not readable, a byte that is no UTF-8, or a NUL; of the type `error`.
    """
    return decode(read_bytes(path, what, error=error, step=step, most_bytes=most_bytes), str(path), what, error=error, step=step)


def read_bytes(
    path: str | Path, what: str, *, error: type[CropcamError] = DataError, step: str = "", most_bytes: int = MOST_BYTES
) -> bytes:
    """The content of a regular file; arguments as of `read_text`. A pipe or a device is refused without waiting for it.

    Raises:
        CropcamError: no such file, no regular file, too large, or not readable; of the type `error`.
    """

    def refuse(problem: str) -> NoReturn:
        raise error(f"{path}: {problem}; {step or f'name {what}'}") from None

    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                refuse("is a pipe or a device")
            content = b"" if about.st_size > most_bytes else file.read(most_bytes + 1)
    except FileNotFoundError:
        refuse("no such file")
    except IsADirectoryError:
        refuse("is a folder")
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the name
        refuse(f"cannot be read: {getattr(problem, 'strerror', None) or problem}")
    if (size := max(about.st_size, len(content))) > most_bytes:
        refuse(f"has {size / 2**20:,.0f} MB; at most {most_bytes / 2**20:,.0f} MB are read of {what}")
    return content


def decode(
    content: bytes, where: str, what: str = "it", *, error: type[CropcamError] = DataError, step: str = "", fallback: str = ""
) -> str:
    """Bytes as text, as of `read_text`; `where` begins the message. `fallback` is the encoding of what is no Unicode.

    Raises:
        CropcamError: a byte that is no UTF-8, or a NUL; of the type `error`.
    """
    encoding = json.detect_encoding(content)  # by the mark, else by where the zeros are
    try:
        text = _decoded(content, encoding, fallback)
    except UnicodeDecodeError as problem:
        if encoding == "utf-8" and b"\0" in content[:_HEAD]:
            refuse_at(error, where, "is no text", step or f"name {what}")
        before = content[: problem.start].decode(encoding, "replace")
        name = encoding.removesuffix("-sig").upper()
        refuse_at(
            error,
            f"{where}, {place(before, len(before))}",
            f"byte 0x{content[problem.start]:02x} is not {name}",
            step or f"save {what} as UTF-8",
        )
    if (nul := text.find("\0")) >= 0:
        refuse_at(error, f"{where}, {place(text, nul)}", "holds a zero byte", step or f"save {what} as UTF-8 text")
    return text


def place(text: str, offset: int) -> str:
    r"""The place of a character as a reader's editor shows it.

    >>> place("a\r\nb\rc\x85d", 7)
    'line 3, column 3'
    """
    ends = [found.end() for found in LINE_END.finditer(text, 0, offset)]
    return f"line {len(ends) + 1}, column {offset - (ends[-1] if ends else 0) + 1}"


def read_json(path: str | Path, what: str, *, error: type[CropcamError] = DataError, step: str = "", most_bytes: int = MOST_BYTES) -> Any:  # noqa: ANN401 - JSON
    """The value of a JSON file; arguments as of `read_text`.

    Raises:
        CropcamError: as of `read_text` and `parse_json`; of the type `error`.
    """
    text = read_text(path, what, error=error, step=step, most_bytes=most_bytes)
    return parse_json(text, str(path), error=error, step=step)


def read_json_object(
    path: str | Path, what: str, *, error: type[CropcamError] = DataError, step: str = "", most_bytes: int = MOST_BYTES
) -> dict[str, Any]:
    """The object of a JSON file; arguments as of `read_text`.

    Raises:
        CropcamError: as of `read_json`, or the value is no object; of the type `error`.
    """
    value = read_json(path, what, error=error, step=step, most_bytes=most_bytes)
    if not isinstance(value, dict):
        refuse_at(error, str(path), f"holds no JSON object but {_kind(value)}", step or f"name {what}")
    return value


def parse_json(text: str | bytes, where: str, *, error: type[CropcamError] = DataError, step: str = "") -> Any:  # noqa: ANN401 - JSON
    """The value of JSON text; `where` begins the message, `step` ends it.

    Raises:
        CropcamError: not JSON (NaN and Infinity are none), nested deeper than 200, a key twice in one object, a whole number beyond 64
            bits, a number beyond float64, or half a surrogate pair; of the type `error`.
    """
    if isinstance(text, bytes):
        text = decode(text, where, error=error, step=step)
    step = step or "correct it there"
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant, parse_int=_integer, parse_float=_float)
        if text.count("[") + text.count("{") > _JSON_DEPTH and _is_deep(value, _JSON_DEPTH):
            raise RecursionError
    except json.JSONDecodeError as problem:
        refuse_at(error, f"{where}, {place(text, problem.pos)}", f"not JSON: {problem.msg[:1].lower()}{problem.msg[1:]}", step)
    except RecursionError:
        refuse_at(error, where, f"JSON nested deeper than {_JSON_DEPTH}", "such files are not read" if step == "correct it there" else step)
    except _ConstantError as problem:
        offset = next((found.start() for found in _NO_NUMBER.finditer(text) if found[1]), 0)
        refuse_at(error, f"{where}, {place(text, offset)}", f"not JSON: {problem}", step)
    except ValueError as problem:
        refuse_at(error, where, str(problem), step)
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            refuse_at(error, where, "a text with half a surrogate pair (\\ud800 to \\udfff)", step)
    return value


def _decoded(content: bytes, encoding: str, fallback: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        if fallback and encoding == "utf-8":  # no byte order mark claims otherwise
            with suppress(UnicodeDecodeError):
                return content.decode(fallback)
        raise


class _ConstantError(ValueError):
    """NaN or Infinity."""


def refuse_at(error: type[CropcamError], where: str, problem: str, step: str) -> NoReturn:
    """Raise an error of one line; no cause is shown."""
    raise error(f"{where}: {problem}; {step}") from None


def _kind(value: object) -> str:
    return {list: "a list", str: "a text", int: "a number", float: "a number"}.get(type(value)) or str(value).lower()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {name[:60]!r} is there twice in one object")
        found[name] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise _ConstantError(f"{name} is no number of JSON")


def _integer(text: str) -> int:
    value = int(text) if len(text) < 22 else INTEGERS[1] + 1
    if not INTEGERS[0] <= value <= INTEGERS[1]:
        raise ValueError(f"the whole number {_short(text)} is beyond 64 bits")
    return value


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {_short(text)} is beyond float64")
    return value


def _short(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:20]}... of {len(text):,} digits"


def _is_deep(value: object, most: int) -> bool:
    level: list[Any] = [value]
    for _ in range(most):
        level = [each for item in level for each in (item.values() if isinstance(item, dict) else item) if isinstance(each, dict | list)]
        if not level:
            return False
    return True
