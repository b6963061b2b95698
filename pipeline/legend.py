"""The classes of a study: groups of label codes, with names and colours, and the table that turns codes into class indices."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.code_table import CODE_LIMIT, Code, CodeTable, Color, hex_color
from cropcam.pipeline.colours import Palette
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.legend_sources import cdl
from cropcam.pipeline.suggestions import nearest

BACKGROUND = "background"
UNLABELLED = 255  # class index of a pixel without a label
BACKGROUND_COLOR = (186, 178, 170)  # a warm grey that no class uses
# Colours of classes of CDL: its own, changed where two would look alike on a map, also to readers without red or green cones.
CLASS_COLORS: Mapping[str, Color] = {
    "forest": (28, 99, 92),
    "grassland": (150, 220, 140),
    "soybean": (58, 132, 24),
    "crop": (255, 190, 30),
}
_SPARE_COLORS = (
    *((67, 147, 195), (214, 96, 77), (148, 87, 166), (92, 20, 92), (224, 188, 248), (20, 20, 176), (224, 68, 248), (44, 68, 20)),
    *((176, 116, 152), (32, 140, 104), (176, 164, 20), (116, 92, 164), (20, 176, 116), (104, 20, 56), (246, 146, 176), (120, 120, 40)),
)
_NODATA_COLOR = (232, 234, 231)  # of pictures, beside the classes


@dataclass(frozen=True)
class LandClass:
    """One class of a study: its name, its label codes (empty for background: every other labelled code), its RGB."""

    name: str
    codes: tuple[int, ...]
    color: Color

    @property
    def color_hex(self) -> str:
        """The colour as `#rrggbb`."""
        return hex_color(self.color)


@dataclass(frozen=True)
class Legend:
    """The classes of a study in index order, index 0 is background; and the table of the codes that they group."""

    classes: tuple[LandClass, ...]
    table: CodeTable = field(default_factory=cdl)

    @classmethod
    def from_codes(
        cls, codes: Mapping[str, Sequence[int]], table: CodeTable | None = None, colors: Mapping[str, Color] | None = None
    ) -> Legend:
        """A legend of background and the given classes, each in the colour that the table gives its first code.

        A class whose colour cannot be told from that of one before it (`cropcam.pipeline.colours`) gets another one. The colours of
        published legends are known to their readers: they need only differ for most people.

        Args:
            codes: class name to label codes, in index order from 1.
            table: the codes there are; CDL's by default.
            colors: class name to colour, for classes that have one given, background too.

        Raises:
            ConfigError: a code stands in two classes, is not in the table, or means "no label" there; or there are too many classes.
        """
        table = table or cdl()
        if len(codes) >= UNLABELLED:
            raise ConfigError(
                f"{len(codes)} classes; at most {UNLABELLED - 1} are possible beside background: leave rare ones to background"
            )
        owner, unlabelled = dict[int, str](), set(table.unlabelled)
        found = dict(colors or {})
        palette = Palette(_spares(), [_NODATA_COLOR, *found.values()])
        found.setdefault(BACKGROUND, palette.add(BACKGROUND_COLOR) if palette.fits(BACKGROUND_COLOR) else palette.spare())
        for name, members in codes.items():
            for code in members:
                if code in unlabelled:
                    raise ConfigError(
                        f"classes.{name}: code {code} means 'no label' in {table.title}; leave it out (split a range around it)"
                    )
                if code in owner:
                    raise ConfigError(f"classes.{name}: code {code} already belongs to {owner[code]!r}; a code has one class")
                owner[code] = name
            own = next((item.color for code in members if (item := table.by_code.get(code)) and item.color), None)
            preferred = own if table.is_closed else CLASS_COLORS.get(name) or own
            if name not in found and preferred and palette.fits(preferred, published=table.is_closed):
                found[name] = palette.add(preferred)
        grouped = {BACKGROUND: (), **codes}  # spare colours last, beside all that are given
        return cls(tuple(LandClass(name, tuple(some), found.get(name) or palette.spare()) for name, some in grouped.items()), table)

    @classmethod
    def from_attrs(cls, entries: Sequence[Mapping[str, Any]], table: Mapping[str, Any] | None = None) -> Legend:
        """The legend written by `attrs` into a store or a run folder; `table` as `CodeTable.attrs` gives it, CDL's by default."""
        classes = []
        for entry in entries:
            red, green, blue = entry["color"]
            classes.append(LandClass(str(entry["name"]), tuple(int(code) for code in entry["codes"]), (red, green, blue)))
        return cls(tuple(classes), CodeTable.from_attrs(table) if table else cdl())

    @classmethod
    def of_names(cls, names: Sequence[str]) -> Legend:
        """A legend of class names alone: no code and no other name means one of its classes."""
        palette = Palette(_spares(), [_NODATA_COLOR, BACKGROUND_COLOR])
        classes = tuple(LandClass(name, (), palette.spare() if index else BACKGROUND_COLOR) for index, name in enumerate(names))
        return cls(classes, CodeTable("", (Code(0, "", is_label=False),)))

    def attrs(self) -> list[dict[str, Any]]:
        """The classes as JSON values: `[{"name", "codes", "color"}, ...]`, colours as [red, green, blue]."""
        return [{"name": c.name, "codes": list(c.codes), "color": list(c.color)} for c in self.classes]

    def table_attrs(self) -> dict[str, Any] | None:
        """The table as JSON values; None for CDL's, which needs no mention."""
        return None if self.table.codes == cdl().codes else self.table.attrs()

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in index order."""
        return tuple(c.name for c in self.classes)

    def __len__(self) -> int:
        return len(self.classes)

    def lookup(self) -> npt.NDArray[np.uint8]:
        """Label code to class index, of 256 or 65,536 entries; `UNLABELLED` (255) for codes that mean "no label".

        Codes that the table lacks are `UNLABELLED` too, but background where the table is CDL's.
        """
        found = np.full(self.table.limit, UNLABELLED if self.table.is_closed else 0, np.uint8)
        found[self.table.labels] = 0
        for index, land_class in enumerate(self.classes):
            found[list(land_class.codes)] = index
        found[list(self.table.unlabelled)] = UNLABELLED
        return found

    def index(self, codes: npt.NDArray[np.unsignedinteger[Any]]) -> npt.NDArray[np.uint8]:
        """Class index (uint8, same shape) of each label code; `UNLABELLED` where there is no label."""
        return np.asarray(self.lookup()[codes])

    def index_of(self, code: int) -> int | None:
        """Class index of one code; None where the table has no such label."""
        return int(self.lookup()[code]) if 0 <= code < self.table.limit and self.table.labels[code] else None


def _spares() -> tuple[Color, ...]:
    # some by hand, then a deterministic walk for studies with very many classes
    walk = tuple(((67 * i) % 200 + 30, (131 * i) % 200 + 30, (29 * i) % 200 + 30) for i in range(1, 300))
    return _SPARE_COLORS + walk


def class_colors(colors: Mapping[str, str], names: Sequence[str]) -> dict[str, Color]:
    """The colours that a study gives its classes: class name to `#rrggbb`.

    Raises:
        ConfigError: there is no such class, a text is no colour, or two classes have the same one.
    """
    found: dict[str, Color] = {}
    for name, text in colors.items():
        if name not in names:
            near = nearest(name, names, 0.5)
            hint = f"did you mean {near}?" if near else f"the classes are {', '.join(names)}"
            raise ConfigError(f"colours.{name}: the study has no such class; {hint}")
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
            raise ConfigError(f'colours.{name}: {text!r} is no colour; write "#rrggbb", such as "{hex_color(BACKGROUND_COLOR)}"')
        red, green, blue = bytes.fromhex(text[1:])
        if other := next((one for one, color in found.items() if color == (red, green, blue)), None):
            raise ConfigError(f"colours.{name}: {text} is the colour of {other} too; give each class its own")
        found[name] = (red, green, blue)
    return found


def parse_codes(items: Sequence[int | str], table: CodeTable | None = None) -> tuple[int, ...]:
    """Label codes from numbers, inclusive ranges such as "1-60" and names of the table, in order, each once.

    Of a range the codes that the table has count, in CDL all.

    Args:
        items: codes, ranges, names.
        table: the codes there are; CDL's by default.

    Raises:
        ConfigError: an item is none of the three, or not in the table.
    """
    table = table or cdl()
    codes: dict[int, None] = {}
    for item in items:
        codes |= dict.fromkeys(_codes_of(item, table))
    return tuple(codes)


def _codes_of(item: int | str, table: CodeTable) -> Sequence[int]:
    first, dash, last = str(item).partition("-")
    try:
        low, high = int(first), int(last if dash else first)
    except ValueError:
        if named := table.named(str(item)):
            return named
        raise ConfigError(
            f'{item!r} is no code, range or name of {table.title}; did you mean {table.nearest_name(str(item))!r}? (or write 5 or "1-60")'
        ) from None
    limit = CODE_LIMIT if table.is_closed else 256
    if not 0 <= low <= high < limit:
        raise ConfigError(f"{item!r} is outside the codes 0..{limit - 1} of {table.title} or runs backwards")
    if not table.is_closed:
        return range(low, high + 1)
    found = [item.code for item in table.codes if low <= item.code <= high]
    if not found:
        raise ConfigError(f"{item!r} is not in {table.title}, whose codes are {_some(table)}")
    return found


def _some(table: CodeTable) -> str:
    numbers = [str(item.code) for item in table.codes if item.is_label]
    return ", ".join(numbers if len(numbers) <= 12 else [*numbers[:11], "..."])
