"""The store's format: layout, metadata, and what other readers than ours make of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rioxarray  # noqa: F401 - .rio
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PatchGrid, PixelGrid
from cropcam.pipeline.store import schema
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.store.schema import Layout, StoreInfo
from support.rasters import UTM


@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 60), st.integers(1, 50), st.sampled_from([1, 2, 4, 8]), st.integers(1, 5))
def test_blocks_hold_every_pixel_and_every_patch_once(height: int, width: int, size: int, bands: int, itemsize: int, abreast: int) -> None:
    grid = PatchGrid(PixelGrid(UTM.crs, UTM.transform, width, height), size)
    layout = Layout.of(grid, bands, itemsize)
    assert layout.block_patches in (1, 2, 4, 8, 16, 32)
    assert bands * layout.block_px**2 * itemsize <= 128 * 2**20 or layout.block_patches == 1
    assert layout.block_patches == 32 or bands * (2 * layout.block_px) ** 2 * itemsize > 128 * 2**20
    blocks = list(layout.blocks(abreast))
    assert sorted(blocks) == sorted(layout.blocks())
    pixels, patches = np.zeros((height, width), int), np.zeros((grid.rows, grid.columns), int)
    for block in blocks:
        window, rows = layout.window(block), layout.rows(block)
        pixels[window.slices] += 1
        patches[rows] += 1
        assert (rows[0].stop - rows[0].start, rows[1].stop - rows[1].start) == (window.height // size, window.width // size)
    assert (pixels == 1).all()
    assert (patches == 1).all()


def test_blocks_come_a_few_rows_at_a_time() -> None:
    layout = Layout(PatchGrid(PixelGrid(UTM.crs, UTM.transform, 20, 50), 5), 2)
    assert list(layout.blocks(2)) == [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (3, 0), (2, 1), (3, 1), (4, 0), (4, 1)]


def test_info_survives_the_disk(good: Path) -> None:
    info = open_store(good).info
    assert StoreInfo.from_attrs(info.attrs(), "x") == info
    assert len(info.digest) == 64
    assert replace(info, code_version="other").digest == info.digest
    assert replace(info, split_seed=9).digest != info.digest
    assert info.name == "demo"
    assert info.split_block_patches == tuple(info.study["splits"]["block_patches"])
    assert info.season_days == [198]
    winter = replace(
        info,
        study={**info.study, "image": {**info.study["image"], "seasons": [["2016-11-01", "2017-03-01"], ["2016-03-01", "2016-03-02"]]}},
    )
    assert winter.season_days == [366, 61], "31 December of a leap year is day 366"
    assert info.seasons == ["/".join(info.study["image"]["seasons"][0])] * 7


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("schema_version", None, r"no patch store \(no schema_version"),
        ("schema_version", 1, "schema version 1, this cropcam reads 2; delete it and build it again with 'cropcam patches'"),
        ("bands", None, "damaged patch store: attribute bands: field required"),
        ("bands", ["a"], r"damaged patch store: attribute encoding\.scale: 7 values, there are 1 bands"),
        ("study", {}, r"damaged patch store: attribute study\.study: field required"),
        ("encoding", {"dtype": "nothing"}, "damaged patch store: attribute"),
        ("classes", 3, "damaged patch store: attribute"),
    ],
)
def test_attributes_that_are_none_of_a_store(good: Path, name: str, value: object, message: str) -> None:
    attrs = open_store(good).info.attrs()
    changed = {key: kept for key, kept in {**attrs, name: value}.items() if kept is not None}
    with pytest.raises(DataError, match=f"^there: {message}") as caught:
        StoreInfo.from_attrs(changed, "there")
    assert "\n" not in str(caught.value)


def test_evenly_spaced_indices() -> None:
    assert schema.evenly(1, 5).tolist() == [0]
    assert schema.evenly(100, 3).tolist() == [0, 49, 99]


def test_the_bands_of_a_season_lie_side_by_side(good: Path) -> None:
    info = open_store(good).info
    spans = [["2016-04-01", "2016-06-01"], ["2016-06-01", "2016-08-01"], ["2016-08-01", "2016-10-01"]]
    of_three = replace(
        info,
        study={**info.study, "image": {**info.study["image"], "seasons": spans}},
        bands=tuple(f"{season}_{band}" for season in (1, 2, 3) for band in ("SR_B4", "SR_B5")),
    )
    first, second, third = map("/".join, spans)
    assert of_three.seasons == [first, first, second, second, third, third]
