"""The windows that are looked at: inside, spread over the raster, the same each time, at full resolution."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.enums import Resampling

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.rasters.raster import open_raster
from cropcam.pipeline.rasters.samples import WINDOWS, sample, spread
from support.rasters import UTM, random_dn, write_raster


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 30))
def test_windows_lie_inside_and_are_few(height: int, width: int, count: int) -> None:
    windows = spread(height, width, count)
    assert 1 <= len(windows) <= count
    assert all(0 <= w.row <= w.row + w.height <= height and 0 <= w.col <= w.col + w.width <= width for w in windows)
    assert windows == spread(height, width, count)


def test_every_ninth_of_a_large_raster_is_looked_at() -> None:
    thirds = {(window.row * 3 // 10_000, window.col * 3 // 10_000) for window in spread(10_000, 10_000, WINDOWS)}
    assert (WINDOWS, len(thirds)) == (24, 9)


def test_overviews_are_not_looked_at(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", random_dn((2, *UTM.shape_yx)), UTM)
    before = sample(open_raster(path))
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4], Resampling.nearest)
    with rasterio.open(path, "r+", overview_level=0) as file:
        file.write(np.full((2, *file.shape), 65535, np.uint16))
    np.testing.assert_array_equal(sample(open_raster(path)), before)
    assert before.shape[0] == 2
    assert before.shape[1] % (16 * 64) == 0


def test_a_damaged_file_names_the_rows(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", random_dn((1, *UTM.shape_yx)), UTM)
    raster = open_raster(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"a\.tif: cannot be read at rows .*truncated or damaged"):
        sample(raster)
