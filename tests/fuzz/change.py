"""Changes of inputs: one field of a valid file, or some of its bytes. All by the given random numbers."""

from __future__ import annotations

import copy
import csv
import io
import json
import struct
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

DEEP: list[Any] = []
for _ in range(300):
    DEEP = [DEEP]
# what a field is changed to: values of every type, at the edges of what a reader expects
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 1.5, -0.5, 255, 256, 65536, 2**31, 2**40, 2**63, 10**20, 10**400, 1e-300, 5e-324, 1e308,
    float("nan"), float("inf"), float("-inf"), "", " ", "x", "0", "-1", "nan", "\x00", "\n", "é", "\ud800", "../../x", "/dev/zero", "a" * 100_000,
    "%s%n", "$x$", "<b>", "=1+1", "2016-02-30", [], {}, [0], [[]], [1, "x"], [None], {"a": 1}, {"type": "x"}, [0] * 10_000, DEEP,
)  # fmt: skip
_WORDS = (b"\x00", b"\xff", b"\xff" * 4, b"\x00" * 8, b"\x7f\xff\xff\xff", b"{", b"[", b"]", b'"', b",", b"NaN", b"-", b"1e999", b"\xef\xbb\xbf", b"\n", b"9" * 30)  # fmt: skip


def bytes_changed(content: bytes, random: Random) -> bytes:
    """One to four changes of bytes: flipped, cut, doubled, filled, or a word put in."""
    out = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        at = random.randrange(len(out) + 1)
        end = min(len(out), at + random.choice((1, 1, 4, 16, 256)))
        match random.randrange(7):
            case 0 | 1 if at < len(out):
                out[at] ^= 1 << random.randrange(8)
            case 2:
                del out[at:]
            case 3:
                del out[at:end]
            case 4:
                out[at:at] = out[at:end] * random.choice((1, 1, 2, 50))
            case 5:
                out[at:end] = bytes(random.randrange(256) for _ in range(end - at))
            case _:
                out[at:at] = random.choice(_WORDS)
    return bytes(out)


def field_changed(value: Any, random: Random, within: tuple[str, ...] = ()) -> Any:
    """A JSON value with one field changed: another value, gone, doubled, or of another type. `within`: half of the changes lie below that key."""
    value = copy.deepcopy(value)
    places: list[tuple[Any, Any]] = []

    def walk(item: Any, weight: int) -> None:
        if isinstance(item, dict | list):
            for key in item if isinstance(item, dict) else range(len(item)):
                if isinstance(item, list) and len(item) > 8 and key not in (0, 1, len(item) - 1):
                    continue
                places.append((item, key))
                walk(item[key], weight)

    start = value
    for key in within if random.random() < 0.5 else ():
        if isinstance(start, dict) and key in start:
            start = start[key]
    walk(start, 1)
    if not places:
        return random.choice(ODD)
    holder, key = random.choice(places)
    old = holder[key]
    match random.randrange(8):
        case 0:
            del holder[key]
        case 1 if isinstance(old, bool):
            holder[key] = not old
        case 1 if isinstance(old, int | float):
            holder[key] = random.choice((-old, old + 1, old - 1, old * 2, old / 2, old * 1e6, float(old), str(old), [old]))
        case 1 if isinstance(old, str):
            holder[key] = random.choice((old * 2, old[:-1], old.upper(), old + " ", [old], {old: old}))
        case 1 | 2 if isinstance(old, list) and old:
            holder[key] = random.choice(
                (old * 2, old[:-1], old[::-1], [old], old[:1], [*old, random.choice(ODD)], dict(enumerate(map(str, old))))
            )
        case 1 | 2 if isinstance(old, dict):
            holder[key] = random.choice((list(old), [old], {**old, "x": random.choice(ODD)}, dict(list(old.items())[1:])))
        case 3:  # the value of another field
            other, place = random.choice(places)
            holder[key] = copy.deepcopy(other[place])
        case _:
            holder[key] = random.choice(ODD)
    return value


def json_changed(content: bytes, random: Random, within: tuple[str, ...] = ()) -> bytes:
    """JSON with one field changed; NaN and infinity as Python writes them."""
    return json.dumps(field_changed(json.loads(content), random, within)).encode()


def toml_changed(content: bytes, random: Random) -> bytes:
    """TOML with one field changed."""
    value = field_changed(tomllib.loads(content.decode()), random)
    if not isinstance(value, dict):
        return f"x = {_toml(value)}\n".encode()
    return "".join(f"{json.dumps(str(key))} = {_toml(each)}\n" for key, each in value.items()).encode("utf-8", "surrogatepass")


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if value is None:
        return '""'
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value) if isinstance(value, str | bool | int) else json.dumps(str(value))


def csv_changed(content: bytes, random: Random) -> bytes:
    """A table with one cell, column or line changed, or written in another dialect."""
    rows = list(csv.reader(io.StringIO(content.decode())))
    line, how = random.randrange(len(rows)), {}
    column = random.randrange(len(rows[line]) or 1)
    cell = random.choice(ODD)
    match random.randrange(8):
        case 0:
            del rows[line]
        case 1:
            for row in rows:
                del row[column : column + 1]
        case 2:
            rows.insert(line, rows[line] * random.choice((1, 2)))
        case 3:
            how = {"delimiter": random.choice(";\t|")}
        case 4:
            rows[line] = rows[line][:column]
        case 5:
            for number, row in enumerate(rows):
                row.insert(column, rows[0][column - 1] if not number else "1")
        case _:
            rows[line][column : column + 1] = [str(cell)[:1000]]
    out = io.StringIO()
    csv.writer(out, lineterminator=random.choice(("\n", "\r\n")), **how).writerows(rows)
    return out.getvalue().encode("utf-8", "surrogatepass")


def tiff_changed(content: bytes, random: Random) -> bytes:
    """A classic TIFF with one entry of its first directory changed: tag, type, count, or the value or what it points to."""
    out, order = bytearray(content), "<" if content[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", out, 4)
    (count,) = struct.unpack_from(f"{order}H", out, at)
    entry = at + 2 + 12 * random.randrange(count)
    _, kind, many, value = struct.unpack_from(f"{order}HHII", out, entry)
    size = {1: 1, 2: 1, 3: 2, 4: 4, 12: 8}.get(kind, 1)
    edges = (0, 1, 2, 3, 7, 8, 16, 255, 32767, 65535, 2**31 - 1, 2**32 - 1, random.randrange(2**32))
    match random.randrange(6):
        case 0:
            struct.pack_into(f"{order}H", out, entry, random.choice((254, 256, 257, 258, 259, 262, 277, 278, 284, 317, 322, 339, 33550, 33922, 34264, 34735, 42112, 42113, 65535)))  # fmt: skip
        case 1:
            struct.pack_into(f"{order}H", out, entry + 2, random.choice((0, 1, 2, 3, 4, 5, 10, 11, 12, 16, 99)))
        case 2:
            struct.pack_into(f"{order}I", out, entry + 4, random.choice(edges))
        case _ if size * many > 4 and value + size * many <= len(out):  # the value lies elsewhere
            place = value + size * random.randrange(many)
            if kind == 12:
                (old,) = struct.unpack_from(f"{order}d", out, place)
                struct.pack_into(f"{order}d", out, place, random.choice((0.0, -1.0, -old, old * 2, old / 2, old + 1, 360 + old, 1e-300, 1e300, float("nan"), float("inf"))))  # fmt: skip
            elif size == 1:
                out[place] = random.choice((0, 32, 48, 57, 60, 62, 124, 255, random.randrange(256)))
            else:
                struct.pack_into(f"{order}{'H' if size == 2 else 'I'}", out, place, random.choice(edges) % (1 << 8 * size))
        case _:
            struct.pack_into(f"{order}I", out, entry + 8, random.choice((*edges, value + 1, value * 2 % 2**32, max(value - 1, 0))))
    return bytes(out)


def xml_changed(content: bytes, random: Random) -> bytes:
    """XML with an attribute, a text or an element changed."""
    root = ET.fromstring(content)  # noqa: S314 - its own
    items = list(root.iter())
    item, cell = random.choice(items), str(random.choice(ODD))[:1000].replace("\x00", "")
    match random.randrange(5):
        case 0 | 1 if item.attrib:
            item.set(random.choice(list(item.attrib)), cell)
        case 2 if len(item):
            item.remove(random.choice(list(item)))
        case 3 if len(item):
            item.append(copy.deepcopy(random.choice(list(item))))
        case _:
            texts = [each for each in items if (each.text or "").strip()]
            chosen = random.choice(texts)
            chosen.text = random.choice((cell, (chosen.text or "") * 2, (chosen.text or "")[:-1]))
    return ET.tostring(root, "unicode").encode("utf-8", "surrogatepass")


def tensors_changed(content: bytes, random: Random) -> bytes:
    """Safetensors with one field of the header changed, a field of the text in its metadata included, or a value that is not finite."""
    (size,) = struct.unpack_from("<Q", content)
    header, rest = json.loads(content[8 : 8 + size]), content[8 + size :]
    texts = header.get("__metadata__", {})
    chosen = random.randrange(6)
    if chosen == 0:
        at = random.randrange(0, max(len(rest) - 4, 1), 4)
        rest = rest[:at] + struct.pack("<f", random.choice((float("nan"), float("inf"), -1e38, 1e38, 0.0))) + rest[at + 4 :]
    elif chosen == 1:
        return struct.pack("<Q", random.choice((0, 1, size - 1, size + 1, size + 2**20, 2**31, 2**63, 2**64 - 1))) + content[8:]
    elif chosen in (2, 3) and texts:
        key = random.choice(list(texts))
        texts[key] = json.dumps(field_changed(json.loads(texts[key]), random))
    elif chosen == 4 and len(header) > 3:  # two tensors change places
        one, other = random.sample([name for name in header if name != "__metadata__"], 2)
        header[one], header[other] = header[other], header[one]
    else:
        header = field_changed(header, random)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + rest


_BY_SUFFIX: dict[str, Callable[[bytes, Random], bytes]] = {
    ".json": json_changed,
    ".geojson": json_changed,
    ".toml": toml_changed,
    ".csv": csv_changed,
    ".tif": tiff_changed,
    ".vrt": xml_changed,
    ".safetensors": tensors_changed,
}


def change(path: Path, random: Random, *, is_field: bool, within: tuple[str, ...] = ()) -> bool:
    """Change a file in its place, by one field or by bytes; whether it was one field."""
    content, changed = path.read_bytes(), _BY_SUFFIX.get(path.suffix)
    is_field = is_field and changed is not None
    for _ in range(20):
        if is_field:
            new = (
                json_changed(content, random, within) if path.suffix in (".json", ".geojson") else _BY_SUFFIX[path.suffix](content, random)
            )
        else:
            new = bytes_changed(content, random)
        if new != content:
            break
    path.write_bytes(new)
    return is_field
