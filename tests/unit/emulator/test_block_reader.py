"""Images read block by block."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from cropcam.pipeline.emulator.block_reader import Deadline, Reader, block_side, chosen
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.images import Band, BandType, LazyImage
from cropcam.pipeline.emulator.nodes import Coordinates
from cropcam.pipeline.emulator.pixels import Constant
from cropcam.pipeline.emulator.projections import Projection
from cropcam.pipeline.grid import PixelGrid, Window
from support.small_images import GRID


def test_coarse_grids_are_read_in_small_blocks() -> None:
    native = PixelGrid("EPSG:32616", (30.0, 0.0, 400_000.0, 0.0, -30.0, 4_600_000.0), 7000, 7000)
    band = Band("B", BandType.of("uint16"), Constant(0, "uint16"), window=None)
    assert block_side(native, [band]) == 512
    placed = Band(
        "B",
        BandType.of("uint16"),
        Constant(0, "uint16"),
        Projection.of("EPSG:4326", (0.001, 0.0, 0.0, 0.0, -0.001, 0.0)),
        Window(0, 0, 7000, 7000),
    )
    assert placed.grid is not None
    fine = PixelGrid(placed.grid.crs, placed.grid.transform, 600, 600)
    a, b, c, d, e, f = fine.transform
    assert block_side(fine, [placed]) == 512
    assert block_side(PixelGrid(fine.crs, (a * 64, b, c, d, e * 64, f), 100, 100), [placed]) == 32


RAMP_IMAGE = LazyImage(
    [Band("x", BandType("double"), Coordinates(GRID.crs, 0, GRID.transform)), Band("k", BandType.of("uint8"), Constant(3, "uint8"))]
)
WIDE = PixelGrid(GRID.crs, GRID.transform, 100, 70)


@pytest.fixture
def reader() -> Iterator[Reader]:
    found = Reader(workers=2, block_px=32)
    yield found
    found.close()


def test_blocks_come_row_by_row_and_make_up_the_whole_image(reader: Reader) -> None:
    blocks = list(reader.blocks(RAMP_IMAGE, WIDE))
    assert [block.window[:2] for block in blocks] == [(row, col) for row in (0, 32, 64) for col in (0, 32, 64, 96)]
    whole, expected = np.zeros((2, 70, 100)), RAMP_IMAGE.read(WIDE)[0]
    for block in blocks:
        assert block.mask.all()
        assert block.cpu_s >= 0
        whole[:, *block.window.slices] = block.values
    np.testing.assert_array_equal(whole, expected)
    np.testing.assert_array_equal(next(reader.blocks(RAMP_IMAGE, WIDE, ["k"])).values, np.full((1, 32, 32), 3))


def test_a_deadline_ends_a_read(reader: Reader) -> None:
    Deadline.after(60).check()
    with pytest.raises(EngineError, match=r"Computation timed out\."):
        list(reader.blocks(RAMP_IMAGE, WIDE, deadline=Deadline.after(-1)))


def test_exhausted_memory_is_an_error_of_the_request(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(Constant, "evaluate", exhausted)
    with pytest.raises(EngineError, match=r"User memory limit exceeded\."):
        list(reader.blocks(RAMP_IMAGE, WIDE))


def test_large_answers_wait_for_each_other(reader: Reader) -> None:
    entered = threading.Event()

    def second() -> None:
        with reader.admitted(200 * 2**20):
            entered.set()

    with reader.admitted(200 * 2**20):
        other = threading.Thread(target=second)
        other.start()
        assert not entered.wait(0.05)
        with reader.admitted(50 * 2**20):  # fits beside the first
            assert not entered.is_set()
    other.join(10)
    assert entered.is_set()


def test_chosen_bands_keep_the_order_of_the_request() -> None:
    assert [band.name for band in chosen(RAMP_IMAGE, ["k", "x"])] == ["k", "x"]
    assert chosen(RAMP_IMAGE, None) == RAMP_IMAGE.bands
    with pytest.raises(EngineError, match="'q' did not match any bands"):
        chosen(RAMP_IMAGE, ["q"])
