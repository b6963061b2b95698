"""Map tiles and thumbnails: visualisation as the service documents it, on the web's Mercator grid."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ImageColor

from cropcam.pipeline.emulator import limits
from cropcam.pipeline.emulator.block_reader import Block
from cropcam.pipeline.emulator.images import Band
from cropcam.pipeline.grid import PixelGrid

TILE_PX = 256
MAX_ZOOM = 24
_HALF_WORLD_M = math.pi * 6_378_137.0
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Visualization:
    """How values become colours.

    Attributes:
        ranges: (min, max) of all bands or of each band in turn; none: the range of the type.
        palette: colours (n, 3) between min and max of a single band.
        gamma: value ** (1 / gamma) after scaling to 0..1.

    Source: Earth Engine REST reference, VisualizationOptions.
    """

    ranges: tuple[tuple[float, float], ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()
    gamma: float = 1.0

    @classmethod
    def parse(cls, options: Mapping[str, Any] | None) -> Visualization:
        """The visualization that a request's `visualizationOptions` describe.

        Raises:
            EngineError: a colour that is none, or an empty range.
        """
        options = options or {}
        ranges = tuple((float(entry.get("min", 0.0)), float(entry.get("max", 0.0))) for entry in options.get("ranges") or ())
        if any(low == high for low, high in ranges):
            raise limits.invalid("Visualization range: min and max must differ.")
        gamma = options.get("gamma", 1.0)
        gamma = float(gamma.get("value", 1.0) if isinstance(gamma, Mapping) else gamma)
        if gamma <= 0:
            raise limits.invalid(f"Visualization gamma must be positive, not {gamma:g}.")
        return cls(ranges, tuple(_colour(text) for text in options.get("paletteColors") or ()), gamma)


def tile_grid(zoom: int, col: int, row: int) -> PixelGrid:
    """The 256 x 256 px grid of a map tile in EPSG:3857; tile (0, 0) is the north-west corner.

    Raises:
        EngineError: there is no such tile.
    """
    count = 1 << zoom if 0 <= zoom <= MAX_ZOOM else 0
    if not (0 <= row < count and 0 <= col < count):
        raise limits.invalid(f"There is no tile {zoom}/{col}/{row}.")
    side = 2 * _HALF_WORLD_M / count
    pixel = side / TILE_PX
    return PixelGrid("EPSG:3857", (pixel, 0.0, -_HALF_WORLD_M + col * side, 0.0, -pixel, _HALF_WORLD_M - row * side), TILE_PX, TILE_PX)


def thumbnail_grid(image_grid: PixelGrid, largest_px: int = 512) -> PixelGrid:
    """The image's grid, coarser where a side exceeds `largest_px`."""
    factor = max(1.0, max(image_grid.shape_yx) / largest_px)
    a, _, c, _, e, f = image_grid.transform
    width, height = max(1, round(image_grid.width / factor)), max(1, round(image_grid.height / factor))
    return PixelGrid(image_grid.crs, (a * image_grid.width / width, 0.0, c, 0.0, e * image_grid.height / height, f), width, height)


def paint(blocks: Iterable[Block], grid: PixelGrid, bands: Sequence[Band], style: Visualization) -> npt.NDArray[np.uint8]:
    """RGBA (y, x, 4); a pixel is transparent where any band is masked.

    Raises:
        EngineError: two bands, or more than three; a palette for several.
    """
    if len(bands) not in {1, 3}:
        raise limits.invalid(f"Must specify one or three bands to visualize; found {len(bands)}.")
    if style.palette and len(bands) != 1:
        raise limits.invalid("Palettes can only be used with single-band images.")
    out = np.zeros((*grid.shape_yx, 4), np.uint8)
    for block in blocks:
        rows, cols = block.window.slices
        visible = np.asarray(block.mask.all(axis=0))
        scaled = np.stack(
            [_scale(values, band, number, style) for number, (values, band) in enumerate(zip(block.values, bands, strict=True))]
        )
        out[rows, cols, :3] = np.where(visible[..., None], _colours(scaled, style), 0)
        out[rows, cols, 3] = np.where(visible, 255, 0)
    return out


def _scale(values: npt.NDArray[Any], band: Band, number: int, style: Visualization) -> Floats:
    """A band's values as 0..1."""
    if style.ranges:
        low, high = style.ranges[number if len(style.ranges) > 1 and number < len(style.ranges) else 0]
    else:
        dtype = band.type.dtype
        low, high = (0.0, 1.0) if dtype.kind == "f" else (float(np.iinfo(dtype).min), float(np.iinfo(dtype).max))
    share = np.clip(np.nan_to_num((values.astype(np.float64) - low) / (high - low)), 0.0, 1.0)
    return share if style.gamma == 1.0 else np.asarray(share ** (1.0 / style.gamma))


def _colours(scaled: Floats, style: Visualization) -> npt.NDArray[np.uint8]:
    """(y, x, 3) of the scaled bands (1 or 3, y, x)."""
    if style.palette:
        palette = np.array(style.palette, np.float64)
        place = scaled[0] * (len(palette) - 1)
        return np.stack([np.interp(place, np.arange(len(palette)), channel) for channel in palette.T], axis=-1).round().astype(np.uint8)
    rgb = np.repeat(scaled, 3, axis=0) if len(scaled) == 1 else scaled
    return np.moveaxis((rgb * 255).round().astype(np.uint8), 0, -1)


def _colour(text: str) -> tuple[int, int, int]:
    """Hex with or without "#", or a CSS name, as RGB."""
    plain = text.strip()
    is_hex = len(plain) in {3, 6, 8} and all(letter in "0123456789abcdefABCDEF" for letter in plain)
    try:
        red, green, blue = ImageColor.getrgb(f"#{plain[:6]}" if is_hex else plain)[:3]
    except ValueError:
        raise limits.invalid(f"Invalid palette colour {text!r}.") from None
    return red, green, blue
