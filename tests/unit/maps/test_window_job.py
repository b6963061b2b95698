"""One window: what the map covers, which layers it has, and its bytes."""

from __future__ import annotations

import pickle
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.io import MemoryFile

from cropcam.pipeline.grid import Window, tiles
from cropcam.pipeline.maps.quantised import quantised, sigmoids
from cropcam.pipeline.maps.window_job import ACTIVATION, CLASSES, ENTROPY, LAYER, PROBABILITY, UNSHIFTED, WindowJob, geotiff
from cropcam.pipeline.maps.windows import Scores, has_data
from support.memory_source import LEGEND, make_grid
from support.windows import FirstBand, Left, raster

LAYERS = (UNSHIFTED, PROBABILITY, ENTROPY, ACTIVATION, LAYER)


def opened(content: bytes) -> np.ndarray:
    with MemoryFile(content) as memory, memory.open() as dataset:
        return dataset.read()


def mapped(job: WindowJob, block_px: int) -> np.ndarray:
    """The layers of bytes of the whole raster, window by window."""
    found = np.full((sum(map(len, job.bands.values())), *job.source.grid.shape_yx), 77, np.uint8)
    for window in tiles(job.source.grid.shape_yx, (block_px, block_px)):
        found[:, *window.slices] = opened(job(window).layers)
    return found


@settings(max_examples=20)
@given(height=st.integers(1, 40), width=st.integers(1, 40), block_px=st.integers(5, 17), halo_px=st.integers(0, 9), seed=st.integers(0, 99))
def test_every_pixel_has_its_class_and_nodata_is_kept(height: int, width: int, block_px: int, halo_px: int, seed: int) -> None:
    dn = np.random.default_rng(seed).integers(0, 6, (2, height, width), dtype=np.uint16)
    found = mapped(WindowJob(raster(dn), FirstBand(halo_px), 5), block_px)
    np.testing.assert_array_equal(found[0], np.where((dn != 0).all(axis=0), dn[0] - 1, 255))


@pytest.mark.parametrize("layers", [part for count in range(len(LAYERS) + 1) for part in combinations(LAYERS, count)], ids="+".join)
def test_a_window_has_the_layers_that_were_asked_for(layers: tuple[str, ...]) -> None:
    dn = np.random.default_rng(0).integers(0, 6, (2, 9, 7), dtype=np.uint16)
    predict, window, valid = FirstBand(2, beside=True), Window(0, 0, 9, 7), (dn != 0).all(axis=0)
    job = WindowJob(raster(dn), predict, 5, layers[::-1])  # in any order
    block = job.read(window)
    assert block is not None
    scores = predict(block.values_CYX)
    every = quantised(scores.logits_KYX, valid)
    assert scores.unshifted_KYX is not None
    assert scores.activations_KYX is not None
    expected = {
        CLASSES: every.class_YX[None],
        UNSHIFTED: np.where(valid, scores.unshifted_KYX.argmax(axis=0), 255)[None],
        PROBABILITY: every.probability_KYX,
        ENTROPY: every.entropy_YX[None],
        ACTIVATION: sigmoids(scores.activations_KYX, valid),
    }
    names = [name for name in expected if name == CLASSES or name in layers]
    packed = job(window)
    assert list(job.bands) == names
    assert [band for bands in job.bands.values() for band in bands] == list(range(1, sum(len(expected[name]) for name in names) + 1))
    found = opened(packed.layers)
    for name in names:
        np.testing.assert_array_equal(found[[band - 1 for band in job.bands[name]]], expected[name], err_msg=name)
    if LAYER in layers:
        np.testing.assert_array_equal(opened(packed.numbers)[0], np.where(valid, dn[1], np.nan).astype(np.float32))
    else:
        assert packed.numbers == b""


def test_a_block_of_nodata_is_not_predicted() -> None:
    dn = np.ones((2, 4, 8), np.uint16)
    dn[1, :, :4] = 0
    seen: list[tuple[int, ...]] = []
    job = WindowJob(raster(dn), FirstBand(beside=True, called=seen.append), 5, LAYERS)
    left, right = (job(Window(0, col, 4, 4)) for col in (0, 4))
    assert len(seen) == 1
    assert (opened(left.layers) == 255).all()
    assert np.isnan(opened(left.numbers)).all()
    assert (opened(right.layers)[0] == 0).all()


@settings(max_examples=20)
@given(seasons=st.integers(1, 4), bands=st.integers(1, 3), seed=st.integers(0, 99))
def test_a_pixel_is_mapped_where_one_season_is_complete(seasons: int, bands: int, seed: int) -> None:
    dn = (np.random.default_rng(seed).random((seasons * bands, 4, 5)) > 0.3).astype(np.uint16)
    found = mapped(WindowJob(raster(dn), FirstBand(), 5, seasons=seasons), 4)[0]
    np.testing.assert_array_equal(found != 255, has_data(np.where(dn == 0, np.nan, 1).astype(np.float32), seasons))


@settings(max_examples=12)
@given(limit=st.integers(0, 40), block_px=st.integers(8, 17), halo_px=st.integers(0, 5), seed=st.integers(0, 99))
def test_a_region_changes_no_pixel_inside_and_leaves_none_outside(limit: int, block_px: int, halo_px: int, seed: int) -> None:
    dn = np.random.default_rng(seed).integers(0, 6, (2, 23, 31), dtype=np.uint16)
    blocks: list[tuple[int, ...]] = []
    whole = mapped(WindowJob(raster(dn), FirstBand(halo_px), 5), block_px)[0]
    job = WindowJob(raster(dn), FirstBand(halo_px, beside=True, called=blocks.append), 5, (LAYER,), region=Left(limit))
    part = mapped(job, block_px)[0]
    inside = np.broadcast_to(np.arange(31) < limit, whole.shape)
    np.testing.assert_array_equal(part, np.where(inside, whole, 255))
    assert len(blocks) <= -(-23 // block_px) * -(-min(limit, 31) // block_px)  # none for a block outside
    for window in tiles((23, 31), (block_px, block_px)):
        np.testing.assert_array_equal(np.isnan(opened(job(window).numbers)[0]), part[window.slices] == 255)


def test_the_halo_keeps_its_values_outside_the_region() -> None:
    dn = np.ones((2, 9, 9), np.uint16)
    block = WindowJob(raster(dn), FirstBand(3), 5, region=Left(3)).read(Window(0, 0, 9, 9))
    assert block is not None
    assert not np.isnan(block.values_CYX[:, 3:-3, 3:-3]).any()
    assert block.valid_YX.sum() == 27


def test_numbers_are_rounded_to_three_digits() -> None:
    class Numbers(FirstBand):
        def __call__(self, block_CYX: np.ndarray) -> Scores:
            return super().__call__(block_CYX)._replace(layer_YX=np.full(block_CYX.shape[1:], 1.23456, np.float32))

    packed = WindowJob(raster(np.ones((1, 3, 4), np.uint16)), Numbers(), 5, (LAYER,))(Window(0, 0, 3, 4))
    np.testing.assert_array_equal(opened(packed.numbers), np.full((1, 3, 4), 1.235, np.float32))


def test_a_job_travels_and_makes_the_same_bytes() -> None:
    dn = np.random.default_rng(0).integers(0, 6, (2, 20, 30), dtype=np.uint16)
    job = WindowJob(raster(dn), FirstBand(2, beside=True), 5, LAYERS, region=Left(20))
    again = pickle.loads(pickle.dumps(job))  # noqa: S301 - our own bytes
    assert again(Window(0, 16, 16, 14)) == job(Window(0, 16, 16, 14))


def test_a_window_lies_in_its_place() -> None:
    grid = make_grid(60, 50).window(Window(20, 10, 30, 40))
    values = np.random.default_rng(0).integers(0, len(LEGEND), (2, 30, 40), dtype=np.uint8)
    with MemoryFile(geotiff(values, grid, 255)) as memory, memory.open() as dataset:
        np.testing.assert_array_equal(dataset.read(), values)
        assert (tuple(dataset.transform)[:6], dataset.crs.to_string(), dataset.nodata) == (grid.transform, grid.crs, 255)
