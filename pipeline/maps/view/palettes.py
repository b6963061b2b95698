"""Colours of values: a palette is the red, green, blue and alpha (256, 4), uint8, of each value of a layer of uint8."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rio_tiler.colormap import cmap

from cropcam.pipeline.code_table import Color, hex_color
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps.quantised import STEPS

EQUAL, DIFFERENT = 0, 1  # of the layer of errors
SPLIT_COLORS: tuple[Color, ...] = ((68, 119, 170), (204, 187, 68), (238, 102, 119))  # train, validation, test; safe for colour-blind eyes
ERROR_COLORS: tuple[Color, ...] = ((206, 212, 214), (196, 30, 58))
RAMPS = {"probability": "viridis", "activation": "magma", "uncertainty": "cividis"}
_STOPS = 9  # colours of a ramp that the page draws
Palette = npt.NDArray[np.uint8]


def of_colors(colors: Sequence[Color]) -> Palette:
    """Opaque colours of the values 0, 1, ...; every other value is transparent."""
    palette = np.zeros((256, 4), np.uint8)
    palette[: len(colors), :3] = colors
    palette[: len(colors), 3] = 255
    return palette


def of_legend(legend: Legend) -> Palette:
    """The colour of each class index; every other value is transparent."""
    return of_colors([land_class.color for land_class in legend.classes])


def of_ramp(kind: str) -> Palette:
    """The colours of a layer of shares, round(250 x share); `kind` is a name of `RAMPS`. Values above 250 are transparent."""
    values = np.array([color for _, color in sorted(dict(cmap.get(RAMPS[kind])).items())], np.uint8)
    palette = np.zeros((256, 4), np.uint8)
    palette[: STEPS + 1] = values[np.round(np.arange(STEPS + 1) * 255 / STEPS).astype(int)]
    return palette


def ramp_stops(kind: str) -> list[str]:
    """Colours of a ramp as `#rrggbb`, evenly from 0 to 1."""
    palette = of_ramp(kind)
    return [hex_color(palette[value, :3]) for value in np.linspace(0, STEPS, _STOPS).astype(int)]
