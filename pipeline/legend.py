"""CDL codes, their names and colours, and the legend that turns codes into a study's classes.

Source: USDA NASS Cropland Data Layer, "CDL code descriptions" and the colour table of its GeoTIFFs
(https://www.nass.usda.gov/Research_and_Science/Cropland/). Only codes that occur in the corn belt are
named here; every other code still belongs to a class (background unless a study assigns it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.errors import ConfigError

BACKGROUND = "background"
UNLABELLED_CODES = (0, 81)  # nodata; clouds / no data. No class, never background
UNLABELLED = 255  # class index of a pixel without a label

# CDL code to its name and its RGB colour
CDL: Mapping[int, tuple[str, tuple[int, int, int]]] = {
    1: ("Corn", (255, 211, 0)),
    4: ("Sorghum", (255, 158, 9)),
    5: ("Soybeans", (37, 111, 0)),
    6: ("Sunflower", (255, 255, 0)),
    21: ("Barley", (226, 0, 124)),
    22: ("Durum wheat", (137, 96, 83)),
    23: ("Spring wheat", (217, 181, 107)),
    24: ("Winter wheat", (166, 111, 0)),
    26: ("Winter wheat / soybeans", (111, 111, 0)),
    27: ("Rye", (171, 0, 124)),
    28: ("Oats", (160, 88, 137)),
    36: ("Alfalfa", (255, 166, 226)),
    37: ("Other hay", (166, 241, 139)),
    59: ("Sod / grass seed", (175, 255, 222)),
    61: ("Fallow", (190, 190, 120)),
    63: ("Forest", (147, 204, 147)),
    81: ("Clouds / no data", (241, 241, 241)),
    82: ("Developed", (153, 153, 153)),
    111: ("Open water", (73, 111, 162)),
    121: ("Developed, open space", (153, 153, 153)),
    122: ("Developed, low intensity", (153, 153, 153)),
    123: ("Developed, medium intensity", (153, 153, 153)),
    124: ("Developed, high intensity", (153, 153, 153)),
    131: ("Barren", (204, 190, 162)),
    141: ("Deciduous forest", (147, 204, 147)),
    142: ("Evergreen forest", (147, 204, 147)),
    143: ("Mixed forest", (147, 204, 147)),
    152: ("Shrubland", (198, 213, 158)),
    176: ("Grassland / pasture", (232, 255, 190)),
    190: ("Woody wetlands", (124, 175, 175)),
    195: ("Herbaceous wetlands", (124, 175, 175)),
}
# Every code that a CDL of any year uses; the rest of 0..255 has no meaning
_IN_USE = "0-6 10-14 21-39 41-72 74-77 81-83 87-88 92 111-112 121-124 131 141-143 152 171 176 181 190 195 204-250 254"
BACKGROUND_COLOR = (186, 178, 170)  # a warm grey that no class above uses
# Colours of the study's classes: CDL's, darkened where two would look alike on a map.
CLASS_COLORS: Mapping[str, tuple[int, int, int]] = {
    "forest": (28, 99, 92),
    "grassland": (168, 216, 116),
    "soybean": (58, 132, 24),
    "crop": (255, 190, 30),
}
_SPARE_COLORS = ((148, 87, 166), (214, 96, 77), (67, 147, 195), (246, 146, 176), (120, 120, 40), (20, 160, 160))


@dataclass(frozen=True)
class LandClass:
    """One class of a study: its name, its CDL codes (empty for background: every other labelled code), its RGB."""

    name: str
    codes: tuple[int, ...]
    color: tuple[int, int, int]

    @property
    def color_hex(self) -> str:
        """The colour as `#rrggbb`."""
        return "#{:02x}{:02x}{:02x}".format(*self.color)


@dataclass(frozen=True)
class Legend:
    """The classes of a study in index order; index 0 is background."""

    classes: tuple[LandClass, ...]

    @classmethod
    def from_codes(cls, codes: Mapping[str, Sequence[int]]) -> Legend:
        """A legend of background and the given classes, each in CDL's colour of its first code.

        Args:
            codes: class name to CDL codes, in index order from 1.

        Raises:
            ConfigError: a code stands in two classes, or is one of CDL's codes without a label (0 and 81).
        """
        owner: dict[int, str] = {}
        classes = [LandClass(BACKGROUND, (), BACKGROUND_COLOR)]
        used = {BACKGROUND_COLOR}
        for name, members in codes.items():
            for code in members:
                if code in UNLABELLED_CODES:
                    raise ConfigError(f"classes.{name}: CDL code {code} means 'no label'; leave it out (split a range around it)")
                if code in owner:
                    raise ConfigError(f"classes.{name}: CDL code {code} already belongs to {owner[code]!r}; a code has one class")
                owner[code] = name
            preferred = CLASS_COLORS.get(name) or next((CDL[c][1] for c in members if c in CDL), None)
            color = preferred if preferred and preferred not in used else next(c for c in _spares() if c not in used)
            used.add(color)
            classes.append(LandClass(name, tuple(members), color))
        return cls(tuple(classes))

    @classmethod
    def from_attrs(cls, entries: Sequence[Mapping[str, Any]]) -> Legend:
        """The legend written by `attrs` into a store or a run folder."""
        classes = []
        for entry in entries:
            red, green, blue = entry["color"]
            classes.append(LandClass(str(entry["name"]), tuple(int(code) for code in entry["codes"]), (red, green, blue)))
        return cls(tuple(classes))

    def attrs(self) -> list[dict[str, Any]]:
        """The legend as JSON values: `[{"name", "codes", "color"}, ...]`, colours as [red, green, blue]."""
        return [{"name": c.name, "codes": list(c.codes), "color": list(c.color)} for c in self.classes]

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in index order."""
        return tuple(c.name for c in self.classes)

    def __len__(self) -> int:
        return len(self.classes)

    def lookup(self) -> npt.NDArray[np.uint8]:
        """Table of 256 entries, CDL code to class index; `UNLABELLED` (255) for codes 0 and 81."""
        table = np.zeros(256, np.uint8)
        for index, land_class in enumerate(self.classes):
            table[list(land_class.codes)] = index
        table[list(UNLABELLED_CODES)] = UNLABELLED
        return table

    def index(self, codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Class index (uint8, same shape) of each CDL code; `UNLABELLED` where there is no label."""
        return self.lookup()[codes]


def _spares() -> tuple[tuple[int, int, int], ...]:
    # six by hand, then a deterministic walk for studies with very many classes
    walk = tuple(((67 * i) % 200 + 30, (131 * i) % 200 + 30, (29 * i) % 200 + 30) for i in range(1, 300))
    return _SPARE_COLORS + walk


def parse_codes(items: Sequence[int | str]) -> tuple[int, ...]:
    """CDL codes from integers and inclusive ranges such as "1-60", in order, each within 0..255.

    Raises:
        ConfigError: an item is neither, or lies outside 0..255.
    """
    codes: list[int] = []
    for item in items:
        first, dash, last = str(item).partition("-")
        try:
            low, high = int(first), int(last if dash else first)
        except ValueError:
            raise ConfigError(f'{item!r} is not a CDL code or range; write 5 or "1-60"') from None
        if not 0 <= low <= high <= 255:
            raise ConfigError(f"{item!r} is outside the CDL codes 0..255 or runs backwards")
        codes.extend(code for code in range(low, high + 1) if code not in codes)
    return tuple(codes)


IS_CDL: npt.NDArray[np.bool_] = np.isin(np.arange(256), parse_codes(_IN_USE.split()))  # by code
