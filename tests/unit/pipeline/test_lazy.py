"""Lazy rasters: chunks are read when computed, each pixel where it lies."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.grid import Window
from cropcam.pipeline.lazy import lazy_raster, placed
from support.rasters import UTM


@given(st.integers(1, 200), st.integers(0, 3))
def test_any_chunks_are_the_raster(chunk_px: int, bands: int) -> None:
    shape = (bands, *UTM.shape_yx) if bands else UTM.shape_yx
    values, windows = np.arange(np.prod(shape), dtype=np.int32).reshape(shape), list[Window]()

    def read(window: Window) -> np.ndarray:
        windows.append(window)
        return values[..., *window.slices]

    found = lazy_raster(read, UTM, np.int32, chunk_px, bands)
    assert windows == []
    assert (found.shape, found.dtype) == (shape, np.int32)
    np.testing.assert_array_equal(found.compute(scheduler="synchronous"), values)
    assert sum(window.height * window.width for window in windows) == UTM.height * UTM.width
    assert max(max(window[2:]) for window in windows) <= chunk_px


def test_a_placed_dataset_has_centres_crs_and_transform() -> None:
    found = placed(xr.Dataset({"a": (("y", "x"), np.zeros(UTM.shape_yx))}), UTM)
    for name, centres in zip("xy", UTM.centres(), strict=True):
        np.testing.assert_array_equal(found[name], centres)
    assert found.rio.crs.to_string() == UTM.crs
    assert tuple(found.rio.transform())[:6] == pytest.approx(UTM.transform)
