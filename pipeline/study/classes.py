"""The classes of a study: groups of label codes, and what may be wrong with them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from cropcam.pipeline.code_table import CodeTable
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.legend import BACKGROUND, Legend, class_colors, parse_codes

_NAME = r"[A-Za-z][A-Za-z0-9_-]{0,40}"


def class_problems(classes: Mapping[str, tuple[int | str, ...]], table: CodeTable | None) -> list[tuple[str, str]]:
    """Every class with a name or codes that cannot be, and why.

    Args:
        classes: codes, ranges and names of codes by the class's name.
        table: the codes there are; None where they are not known: then names alone are looked at.
    """
    found, plain = [], dict[str, str]()
    codes: dict[str, tuple[int, ...]] = {}
    for name, items in classes.items():
        same = plain.setdefault(name.casefold(), name)
        if not re.fullmatch(_NAME, name):
            found.append((name, "a class is named by letters, digits, - and _, and begins with a letter"))
        elif name.casefold() == BACKGROUND:
            found.append((name, "background is every labelled code that no other class names; leave it out"))
        elif same != name:
            found.append((name, f"there is a class {same} already; names of classes are compared without case"))
        elif not items:
            found.append((name, "has no label code; give it one, or leave it out"))
        elif table is not None:
            try:
                codes[name] = parse_codes(items, table)
            except ConfigError as error:
                found.append((name, str(error)))
    return found if table is None else [*found, *_overlaps(codes, table)]


def colour_problems(colours: Mapping[str, str], names: Sequence[str]) -> list[tuple[str, str]]:
    """Every class with a colour that cannot be, and why; as of `cropcam.pipeline.legend.class_colors`."""
    found, good = [], dict[str, str]()
    for name, text in colours.items():
        try:
            class_colors({**good, name: text}, names)
        except ConfigError as error:
            found.append((name, str(error).removeprefix(f"colours.{name}: ")))
        else:
            good[name] = text
    return found


def _overlaps(codes: Mapping[str, tuple[int, ...]], table: CodeTable) -> list[tuple[str, str]]:
    """The classes that cannot stand beside those before them."""
    try:
        Legend.from_codes(codes, table)
    except ConfigError:
        pass
    else:
        return []
    found, good = [], dict[str, tuple[int, ...]]()
    for name, own in codes.items():
        try:
            Legend.from_codes({**good, name: own}, table)
        except ConfigError as error:
            found.append((name, str(error).removeprefix(f"classes.{name}: ")))
        else:
            good[name] = own
    return found
