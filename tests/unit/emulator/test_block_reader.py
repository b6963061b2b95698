"""Images read block by block."""

from __future__ import annotations

from cropcam.pipeline.emulator.block_reader import block_side
from cropcam.pipeline.emulator.images import Band, BandType
from cropcam.pipeline.emulator.pixels import Constant
from cropcam.pipeline.grid import PixelGrid, Window


def test_coarse_grids_are_read_in_small_blocks() -> None:
    native = PixelGrid("EPSG:32616", (30.0, 0.0, 400_000.0, 0.0, -30.0, 4_600_000.0), 7000, 7000)
    band = Band("B", BandType.of("uint16"), Constant(0, "uint16"), window=None)
    assert block_side(native, [band]) == 512
    placed = Band("B", BandType.of("uint16"), Constant(0, "uint16"), window=Window(0, 0, 7000, 7000))
    assert placed.grid is not None
    fine = PixelGrid(placed.grid.crs, placed.grid.transform, 600, 600)
    a, b, c, d, e, f = fine.transform
    assert block_side(fine, [placed]) == 512
    assert block_side(PixelGrid(fine.crs, (a * 64, b, c, d, e * 64, f), 100, 100), [placed]) == 32
