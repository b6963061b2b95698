"""Map tiles: their grids and colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cropcam.pipeline.emulator import tiles
from cropcam.pipeline.emulator.block_reader import Block
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.images import Band, BandType
from cropcam.pipeline.emulator.pixels import Constant
from cropcam.pipeline.grid import PixelGrid, Window


def test_tiles_halve_the_world_and_meet() -> None:
    world, west, east = tiles.tile_grid(0, 0, 0), tiles.tile_grid(1, 0, 1), tiles.tile_grid(1, 1, 1)
    assert world.bounds_xyxy == pytest.approx((-20_037_508.34, -20_037_508.34, 20_037_508.34, 20_037_508.34), abs=0.01)
    assert west.bounds_xyxy[2] == pytest.approx(east.bounds_xyxy[0], abs=1e-6)
    assert west.bounds_xyxy[3] == pytest.approx(0, abs=1e-6)
    with pytest.raises(EngineError, match="no tile 1/2/0"):
        tiles.tile_grid(1, 2, 0)


def test_colours_follow_range_gamma_and_palette() -> None:
    grid = PixelGrid("EPSG:3857", (1.0, 0.0, 0.0, 0.0, -1.0, 0.0), 3, 1)
    band = Band("B", BandType.of("uint16"), Constant(0, "uint16"))
    block = Block(Window(0, 0, 1, 3), np.array([[[100, 200, 300]]], np.uint16), np.array([[[True, True, False]]]), 0.0)
    grey = tiles.paint([block], grid, [band], tiles.Visualization.parse({"ranges": [{"min": 100, "max": 300}], "gamma": {"value": 1}}))
    assert grey.tolist() == [[[0, 0, 0, 255], [128, 128, 128, 255], [0, 0, 0, 0]]]
    style = {"ranges": [{"min": 100, "max": 300}], "paletteColors": ["000000", "red", "#ffffff"]}
    assert tiles.paint([block], grid, [band], tiles.Visualization.parse(style))[0, 1].tolist() == [255, 0, 0, 255]
    bright = tiles.paint([block], grid, [band], tiles.Visualization(((100, 300),), gamma=2.0))
    assert bright[0, 1, 0] == 180  # sqrt(0.5) * 255


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"paletteColors": ["no colour"]}, "Invalid palette colour 'no colour'"),
        ({"ranges": [{"min": 1, "max": 1}]}, "min and max must differ"),
        ({"gamma": 0}, "gamma must be positive"),
    ],
)
def test_bad_visualizations_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(EngineError, match=words):
        tiles.Visualization.parse(options)


def test_a_thumbnail_covers_the_image_with_at_most_512_px_a_side() -> None:
    own = PixelGrid("EPSG:32616", (30.0, 0.0, 400_000.0, 0.0, -30.0, 4_500_000.0), 1500, 700)
    found = tiles.thumbnail_grid(own)
    assert (found.width, found.height) == (512, 239)
    assert found.bounds_xyxy == pytest.approx(own.bounds_xyxy)
    assert tiles.thumbnail_grid(own, 1500) == own


def test_one_or_three_bands_are_painted() -> None:
    grid = PixelGrid("EPSG:3857", (1.0, 0.0, 0.0, 0.0, -1.0, 0.0), 2, 1)
    band = Band("B", BandType.of("uint8"), Constant(0, "uint8"))
    values = np.array([[[0, 255]], [[10, 0]], [[20, 51]]], np.uint8)
    mask = np.array([[[True, True]], [[True, False]], [[True, True]]])
    painted = tiles.paint([Block(Window(0, 0, 1, 2), values, mask, 0.0)], grid, [band] * 3, tiles.Visualization())
    assert painted.tolist() == [[[0, 10, 20, 255], [0, 0, 0, 0]]]
    with pytest.raises(EngineError, match="one or three bands to visualize; found 2"):
        tiles.paint([], grid, [band] * 2, tiles.Visualization())
    with pytest.raises(EngineError, match="Palettes can only be used with single-band images"):
        tiles.paint([], grid, [band] * 3, tiles.Visualization(palette=((0, 0, 0), (255, 0, 0))))
