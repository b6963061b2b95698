"""The classes that people write in their files: a class name, a label code, or a name of the legend."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cropcam.pipeline.csv_cells import number
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.vectors import nearest_first

Classes = npt.NDArray[np.uint8]
NO_CLASS = 255  # of a value that is not known
_SHOWN = 3  # values in a message


def allowed(legend: Legend) -> str:
    """What a class may be, for a message."""
    has_codes = any(item.is_label for item in legend.table.codes)
    return f"one of {', '.join(legend.names)}" + (", or a label code or its name" if has_codes else "")


def class_index(text: str, legend: Legend) -> int | None:
    """The index of the class; None where it is not known, means "no label", or is a legend name whose codes belong to several classes."""
    if text in legend.names:
        return legend.names.index(text)
    code = number(text)  # a spreadsheet writes 5 as 5.0
    if math.isnan(code):
        alike = [index for index, name in enumerate(legend.names) if name.casefold() == text.casefold()]
        indices = {legend.index_of(code) for code in legend.table.named(text)}
        found = indices or set(alike)
        return found.pop() if len(found) == 1 else None
    return legend.index_of(int(code)) if code.is_integer() else None


def texts(values: pd.Series[Any]) -> pd.Series[str]:
    """Each value of a column as text without spaces around, whole numbers without a point; empty where there is none."""
    if pd.api.types.is_float_dtype(values):
        whole = values.dropna()
        if (whole == whole.round()).all():
            values = values.astype("Int64")
    return values.astype(object).where(values.notna(), "").astype(str).str.strip()


def class_indices(cells: pd.Series[str], legend: Legend, table: Mapping[str, int] | None = None) -> tuple[Classes, list[str]]:
    """The class index (P,) of each text, `NO_CLASS` (255) where it is not known, and the unknown texts, the most frequent first.

    With `table` the texts are its keys, otherwise classes of the legend.
    """
    kind_P, kinds = pd.factorize(cells.to_numpy(object))
    index = [table.get(key(str(text))) if table is not None else class_index(str(text), legend) for text in kinds]
    index_of = np.array([NO_CLASS if each is None else each for each in index], np.uint8)
    count = np.bincount(kind_P, minlength=len(kinds))
    unknown = [str(kinds[each]) for each in np.argsort(-count, kind="stable") if index[each] is None]
    return index_of[kind_P] if len(kinds) else np.empty(0, np.uint8), unknown


def unknown_line(what: str, cells: pd.Series[str], unknown: Sequence[str], known: Sequence[str]) -> str:
    """One line: how many of them have a class that is not known, which ones, and the nearest that is known."""
    counts = cells[cells.isin(list(unknown))].value_counts()
    shown = ", ".join(f"{text or 'no value'!r} ({counts[text]:,}{_near(text, known)})" for text in unknown[:_SHOWN])
    more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
    return f"{int(counts.sum()):,} {what} have a class that is not known and give no label: {shown}{more}"


def known_names(legend: Legend) -> list[str]:
    """Every name that means a class: those of the classes and of the legend's labels."""
    return [*legend.names, *(item.name for item in legend.table.codes if item.is_label)]


def key(text: str) -> str:
    """A value by which two tables are joined: "05", "5" and "5.0" are equal.

    >>> key(" 05 "), key("5.0"), key("B05")
    ('5', '5', 'B05')
    """
    text = text.strip()
    digits = text.removesuffix(".0")
    return str(int(digits)) if digits.isascii() and digits.isdigit() else text


def _near(text: str, known: Sequence[str]) -> str:
    return f", nearest {nearest_first(text, known)[0]!r}" if known and not text.isdigit() and text else ""
