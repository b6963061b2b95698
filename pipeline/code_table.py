"""The codes of label rasters: a table of code, name and colour, and which codes mean "no label"."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Color = tuple[int, int, int]
Codes = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
CODE_LIMIT = 2**16  # codes are 0..65,535
DEFAULT = "cdl"


class Code(NamedTuple):
    """One code: its name, its RGB if it has one, and whether it is a label (else "no label", as clouds are)."""

    code: int
    name: str
    color: Color | None = None
    is_label: bool = True


@dataclass(frozen=True)
class CodeTable:
    """The codes of a legend, ascending.

    Attributes:
        name: of the packaged legend; empty for a study's own.
        codes: each code once, at least one of them a label.
        missing: values of rasters that mean "no label", beside their nodata tag; any integers.
    """

    name: str
    codes: tuple[Code, ...]
    missing: tuple[int, ...] = ()

    @property
    def title(self) -> str:
        """The legend in a message."""
        return f"the legend {self.name!r}" if self.name else "the study's legend"

    @property
    def is_closed(self) -> bool:
        """Whether classes may hold the table's codes only; classes of CDL have always been ranges of 0..255."""
        return self.name != DEFAULT

    @cached_property
    def by_code(self) -> Mapping[int, Code]:
        """Each code of the table."""
        return {item.code: item for item in self.codes}

    @cached_property
    def fill(self) -> int:
        """The code that a pixel without a label gets: 0, or, where 0 is a label, the first of the table's unlabelled codes, 255, 65535 ..."""
        unlabelled = (item.code for item in self.codes if not item.is_label)
        labels = {item.code for item in self.codes if item.is_label}
        tried: Iterator[int] = chain((0, *unlabelled, 255), range(CODE_LIMIT - 1, -1, -1))
        return next(code for code in tried if code not in labels)

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """Of arrays of codes: uint8 where every code fits, else uint16."""
        return np.dtype(np.uint8 if max(self.codes[-1].code, self.fill) < 256 else np.uint16)

    @property
    def limit(self) -> int:
        """One above the largest value of `dtype`: 256 or 65,536."""
        return CODE_LIMIT if self.dtype == np.uint16 else 256

    @cached_property
    def known(self) -> npt.NDArray[np.bool_]:
        """By code, 0 to `limit`: whether a raster may hold it."""
        return np.isin(np.arange(self.limit), [self.fill, *self.by_code])

    @cached_property
    def labels(self) -> npt.NDArray[np.bool_]:
        """By code, 0 to `limit`: whether it is a label."""
        return np.isin(np.arange(self.limit), [item.code for item in self.codes if item.is_label])

    @property
    def unlabelled(self) -> tuple[int, ...]:
        """The codes that mean "no label"; `fill` is one of them."""
        return tuple(sorted({self.fill, *(item.code for item in self.codes if not item.is_label)}))

    def named(self, name: str) -> tuple[int, ...]:
        """The codes of that name; case, spaces and punctuation do not count."""
        return self._by_name.get(_plain(name), ())

    def nearest_name(self, name: str) -> str:
        """The name in the table that is most like it."""
        near = difflib.get_close_matches(_plain(name), self._by_name, 1, 0.0)
        return self.by_code[self._by_name[near[0]][0]].name

    def without(self, missing: Sequence[int]) -> CodeTable:
        """The same table where `missing` values are no labels."""
        codes = tuple(item._replace(is_label=item.is_label and item.code not in missing) for item in self.codes)
        return replace(self, codes=codes, missing=tuple(missing))

    def attrs(self) -> dict[str, Any]:
        """The table as JSON values: `{"name", "codes"}`, codes as `to_rows` gives them."""
        return {"name": self.name, "codes": to_rows(self.codes)}

    @classmethod
    def from_attrs(cls, values: Mapping[str, Any]) -> CodeTable:
        """The inverse of `attrs`, without `missing`.

        Raises:
            KeyError, TypeError, ValueError: not written by `attrs`.
        """
        codes = tuple(
            Code(int(code), str(name), _rgb(color) if color else None, not unlabelled) for code, name, color, *unlabelled in values["codes"]
        )
        return cls(str(values["name"]), codes)

    @cached_property
    def _by_name(self) -> Mapping[str, tuple[int, ...]]:
        found: dict[str, tuple[int, ...]] = {}
        for item in self.codes:
            key = _plain(item.name)
            found[key] = (*found.get(key, ()), item.code)
        return found


def hex_color(color: Iterable[int]) -> str:
    """Red, green and blue as `#rrggbb`.

    >>> hex_color((255, 190, 30))
    '#ffbe1e'
    """
    return "#{:02x}{:02x}{:02x}".format(*color)


def to_rows(codes: Iterable[Code]) -> list[list[Any]]:
    """Codes as JSON values: [code, name, "#rrggbb" or ""], and a fourth value, false, where the code is no label."""
    return [[item.code, item.name, hex_color(item.color) if item.color else "", *([] if item.is_label else [False])] for item in codes]


def _rgb(text: str) -> Color:
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red, green, blue


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum()) or name
