from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import Window
from cropcam.pipeline.maps.windows import classify, has_data, highest, read_block, run
from support.memory_source import Memory


def raster(values: np.ndarray) -> Memory:
    """A raster whose values are physical ones: scale 1, offset 0, 0 = nodata."""
    return Memory(values, scale=1.0, offset=0.0)


def _first_band(block_CYX: np.ndarray, halo_px: int) -> np.ndarray:
    """Scores whose highest class is the first band's value minus 1."""
    inner = block_CYX[0, halo_px : block_CYX.shape[1] - halo_px, halo_px : block_CYX.shape[2] - halo_px]
    return (np.arange(1, 6)[:, None, None] == inner).astype(np.float32)


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    block_px=st.integers(1, 17),
    halo_px=st.integers(0, 9),
    threads=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_every_pixel_is_written_once_in_order_and_nodata_is_kept(
    height: int, width: int, block_px: int, halo_px: int, threads: int, seed: int
) -> None:
    dn = np.random.default_rng(seed).integers(0, 6, (2, height, width), dtype=np.uint16)
    out, order = np.full((height, width), 77, np.uint8), []

    def write(window: Window, classes: np.ndarray) -> None:
        assert (out[window.slices] == 77).all()
        out[window.slices] = classes
        order.append((window.row, window.col))

    run(raster(dn), lambda block: _first_band(block, halo_px), halo_px, block_px, write, threads=threads)
    assert order == sorted(order)
    np.testing.assert_array_equal(out, np.where((dn != 0).all(axis=0), dn[0] - 1, 255))


@given(row=st.integers(0, 8), col=st.integers(0, 8), height=st.integers(1, 9), width=st.integers(1, 9), halo_px=st.integers(0, 20))
def test_a_block_is_the_padded_rasters_cut_in_physical_values(row: int, col: int, height: int, width: int, halo_px: int) -> None:
    dn = np.arange(1, 2 * 17 * 17 + 1, dtype=np.uint16).reshape(2, 17, 17)
    dn[1, 3, 4] = 0
    physical = np.where(dn == 0, np.nan, dn.astype(np.float32) * np.float32(0.5) + np.float32(-0.25))
    padded = np.pad(physical, ((0, 0), (halo_px, halo_px), (halo_px, halo_px)), constant_values=np.nan)
    block = read_block(Memory(dn, scale=0.5, offset=-0.25), Window(row, col, height, width), halo_px)
    assert block.dtype == np.float32
    np.testing.assert_array_equal(block, padded[:, row : row + height + 2 * halo_px, col : col + width + 2 * halo_px])


@given(st.integers(1, 6), st.integers(0, 999))
def test_highest_is_argmax(classes: int, seed: int) -> None:
    scores = np.random.default_rng(seed).integers(0, 4, (classes, 7, 5)).astype(np.float32)
    np.testing.assert_array_equal(highest(scores), scores.argmax(axis=0))


def test_a_block_of_nodata_is_not_predicted() -> None:
    dn = np.ones((2, 4, 8), np.uint16)
    dn[1, :, :4] = 0
    seen: list[Any] = []

    def predict(block: np.ndarray) -> np.ndarray:
        seen.append(block)
        return np.zeros((3, 4, 4), np.float32)

    written: dict[int, np.ndarray] = {}
    run(raster(dn), predict, 0, 4, lambda window, classes: written.__setitem__(window.col, classes))
    assert len(seen) == 1
    assert (written[0] == 255).all()
    assert (written[4] == 0).all()


def test_scores_of_another_shape_are_refused() -> None:
    with pytest.raises(DataError, match=r"scores of \(3, 4\) px for a block of \(4, 4\) px"):
        classify(np.ones((1, 4, 4), np.float32), lambda _: np.zeros((2, 3, 4), np.float32), 0)


def test_progress_counts_every_block_from_zero() -> None:
    calls: list[tuple[int, int]] = []
    run(
        raster(np.ones((1, 5, 9), np.uint16)),
        lambda block: block,
        0,
        4,
        lambda *_: None,
        progress=lambda done, total, _: calls.append((done, total)),
    )
    assert calls == [(done, 6) for done in range(7)]


def test_an_error_in_one_block_stops_the_run_and_the_rest() -> None:
    calls: list[int] = []

    def predict(block: np.ndarray) -> np.ndarray:
        calls.append(int(block[0, 0, 0]))
        if block[0, 0, 0] == 3:
            raise DataError("block 3")
        return block

    dn = np.arange(1, 101, dtype=np.uint16).reshape(1, 1, 100)
    with pytest.raises(DataError, match="block 3"):
        run(raster(dn), predict, 0, 1, lambda *_: None, threads=2)
    assert len(calls) < 10
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("map")]


def test_a_slow_block_holds_back_a_bounded_number() -> None:
    started: list[int] = []

    def predict(block: np.ndarray) -> np.ndarray:
        first = int(block[0, 0, 0])
        started.append(first)
        if first == 1:
            time.sleep(0.2)
            assert len(started) <= 6
        return block

    run(raster(np.arange(1, 51, dtype=np.uint16).reshape(1, 1, 50)), predict, 0, 1, lambda *_: None, threads=3)
    assert sorted(started) == list(range(1, 51))


@given(seasons=st.integers(1, 4), bands=st.integers(1, 3), seed=st.integers(0, 99))
def test_a_pixel_has_data_where_one_season_is_complete(seasons: int, bands: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    block = np.where(random.random((seasons * bands, 4, 5)) < 0.3, np.nan, 1.0).astype(np.float32)
    expected = [
        [any(not np.isnan(block[first : first + bands, y, x]).any() for first in range(0, len(block), bands)) for x in range(5)]
        for y in range(4)
    ]
    np.testing.assert_array_equal(has_data(block, seasons), expected)
    written = classify(block, lambda values: np.ones_like(values[:1]), 0, seasons)
    np.testing.assert_array_equal(written == 255, ~np.array(expected))


class Left:
    """The columns left of a limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def meets(self, window: Window) -> bool:
        return window.col < self.limit

    def inside(self, window: Window) -> np.ndarray:
        cols = np.arange(window.col, window.col + window.width)
        return np.broadcast_to(cols < self.limit, (window.height, window.width))


@given(limit=st.integers(0, 40), block_px=st.integers(3, 17), halo_px=st.integers(0, 5), seed=st.integers(0, 99))
def test_a_region_changes_no_pixel_inside_and_leaves_none_outside(limit: int, block_px: int, halo_px: int, seed: int) -> None:
    dn = np.random.default_rng(seed).integers(0, 6, (2, 23, 31), dtype=np.uint16)
    whole, part, layer = (np.zeros((23, 31), kind) for kind in (np.uint8, np.uint8, np.float32))
    predicted: list[tuple[int, ...]] = []

    def scores(block_CYX: np.ndarray) -> np.ndarray:
        predicted.append(block_CYX.shape)
        mean = np.nan_to_num(block_CYX).mean()  # the halo counts
        return _first_band(block_CYX, halo_px) + np.float32(mean) * 0

    def with_layer(block_CYX: np.ndarray) -> np.ndarray:
        found = scores(block_CYX)
        return np.concatenate([found, found[:1]])

    def write(window: Window, classes: np.ndarray) -> None:
        whole[window.slices] = classes

    run(raster(dn), scores, halo_px, block_px, write)
    before = len(predicted)

    def write_part(window: Window, classes: np.ndarray) -> None:
        part[window.slices] = classes

    def write_layer(window: Window, values: np.ndarray) -> None:
        layer[window.slices] = values

    run(raster(dn), with_layer, halo_px, block_px, write_part, write_layer=write_layer, region=Left(limit))
    inside = np.broadcast_to(np.arange(31) < limit, whole.shape)
    assert np.array_equal(part, np.where(inside, whole, 255))
    assert np.array_equal(np.isnan(layer), part == 255)
    assert len(predicted) - before <= -(-23 // block_px) * -(-min(limit, 31) // block_px)  # none for a block outside
