"""Algorithms that make pictures.

Source: Earth Engine API, ee.Image.visualize.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgb

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.images import Band, BandType, LazyImage
from cropcam.pipeline.emulator.pixels import Apply
from cropcam.pipeline.emulator.registry import algorithm
from cropcam.pipeline.emulator.values import Value

_RGB = ("vis-red", "vis-green", "vis-blue")
_BYTE = BandType.of(np.uint8)


@algorithm("Image.visualize", refused=("opacity",))
def visualize(
    image: LazyImage,
    bands: Value = None,
    gain: Value = None,
    bias: Value = None,
    min: Value = None,  # noqa: A002
    max: Value = None,  # noqa: A002
    gamma: Value = None,
    palette: Value = None,
    forceRgbOutput: bool = False,
) -> LazyImage:
    """Bands stretched to 0..255: three as red, green and blue, one as grey or through a palette."""
    chosen = _chosen(image, bands)
    stretch = [_stretch(*options) for options in zip(*(_each(o, len(chosen)) for o in (gain, bias, min, max, gamma)), chosen, strict=True)]
    if palette is not None:
        if len(chosen) != 1:
            raise EngineError("Image.visualize: Cannot provide a palette when visualizing more than one band.")
        colours = _colours(palette)
        unit, band = stretch[0], chosen[0]
        made = [Apply(_painter(unit, colours[:, channel]), band.node) for channel in range(3)]
        return LazyImage([band.computed(node, _BYTE).named(name) for node, name in zip(made, _RGB, strict=True)], image.properties)
    made = [Apply(_to_byte(unit), band.node) for unit, band in zip(stretch, chosen, strict=True)]
    names: Sequence[str] = _RGB if len(chosen) == 3 else ("vis-gray",)
    if len(chosen) == 1 and forceRgbOutput:
        chosen, made, names = chosen * 3, made * 3, _RGB
    visual = [band.computed(node, _BYTE).named(name) for band, node, name in zip(chosen, made, names, strict=True)]
    return LazyImage(visual, image.properties)


def _chosen(image: LazyImage, bands: Value) -> list[Band]:
    if isinstance(bands, str):
        bands = [name.strip() for name in bands.split(",")]
    chosen = [image.band(str(name)) for name in bands] if bands else list(image.bands[:3] if len(image.bands) >= 3 else image.bands[:1])
    if len(chosen) not in (1, 3):
        raise EngineError(f"Image.visualize: Expected 1 or 3 bands, got {len(chosen)}.")
    return chosen


def _each(option: Value, count: int) -> list[Any]:
    if isinstance(option, str):
        option = [float(part) for part in option.split(",")]
    values = option if isinstance(option, list) else [option]
    values = values * count if len(values) == 1 else values
    if len(values) != count:
        raise EngineError(f"Image.visualize: A list of {len(values)} values does not fit {count} bands.")
    return values


def _stretch(gain: Value, bias: Value, low: Value, high: Value, gamma: Value, band: Band) -> Value:
    """The function from a band's values to 0..1."""
    if gain is not None or bias is not None:
        if low is not None or high is not None:
            raise EngineError("Image.visualize: Cannot specify both gain or bias and min or max.")
        scale, offset = (1.0 if gain is None else gain) / 255, (bias or 0.0) / 255
    else:
        default = band.type.bounds if band.type.is_int else (0.0, 1.0)
        low, high = (default[0] if low is None else low), (default[1] if high is None else high)
        if low == high:
            raise EngineError("Image.visualize: min and max must differ.")
        scale, offset = 1 / (high - low), -low / (high - low)
    power = 1.0 if gamma is None else 1 / gamma

    def unit(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        stretched = np.clip(values.astype(np.float64) * scale + offset, 0, 1)
        return stretched if power == 1.0 else np.asarray(stretched**power)

    return unit


def _to_byte(unit: Value) -> Value:
    return lambda values: np.floor(unit(values) * 255 + 0.5).astype(np.uint8)


def _painter(unit: Value, channel: npt.NDArray[np.float64]) -> Value:
    positions = np.linspace(0, 1, len(channel))

    def paint(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        return np.asarray(np.floor(np.interp(unit(values), positions, channel) + 0.5), np.uint8)

    return paint


def _colours(palette: Value) -> npt.NDArray[np.float64]:
    """Colours as (colour, channel), 0..255; a single colour is repeated."""
    names = [name.strip() for name in palette.split(",")] if isinstance(palette, str) else [str(name) for name in palette]
    colours = []
    for name in names:
        plain = f"#{name}" if re.fullmatch(r"[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6}", name) else name
        try:
            colours.append([channel * 255 for channel in to_rgb(plain)])
        except ValueError:
            raise EngineError(f"Image.visualize: Invalid color '{name}'.") from None
    if not colours:
        raise EngineError("Image.visualize: The palette is empty.")
    return np.array(colours * 2 if len(colours) == 1 else colours)
