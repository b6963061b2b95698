"""Reflectance of the land: true to the measured spectra, the same through any window."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

from cropcam.pipeline.grid import Window
from cropcam.pipeline.landscape import reflectance, truth
from cropcam.pipeline.landscape.cover import land_cover
from cropcam.pipeline.landscape.spectra import AUGUST, CLASSES, SNOW, tables
from cropcam.pipeline.landscape.surface import Surface, blur
from support.rasters import albers_square

AUGUST_30 = datetime.date(2016, 8, 30)  # day 243 of a leap year


def test_late_august_is_as_measured() -> None:
    grids = [albers_square(-92.2 + 0.7 * k, 38.2 + 0.3 * k, 0.08) for k in range(8)]
    codes = np.concatenate([truth(grid).ravel() for grid in grids])
    values = np.concatenate([reflectance(grid, [AUGUST_30])[0].reshape(7, -1) for grid in grids], axis=1)
    kinds = tables().class_of_code[codes]
    for name in ("corn", "soybean", "deciduous", "woody_wetland", "grass", "open", "low"):
        mean, loadings = np.array(AUGUST[name][0]) * 1e-4, np.array(AUGUST[name][1]) * 1e-4
        covariance = loadings.T @ loadings
        spread = np.sqrt(np.diag(covariance))
        here = values[:, kinds == CLASSES.index(name)]
        assert here.shape[1] > 5000
        np.testing.assert_allclose(here.mean(1), mean, rtol=0.06, err_msg=name)
        np.testing.assert_allclose(here.std(1), spread, rtol=0.12, err_msg=name)
        np.testing.assert_allclose(np.corrcoef(here), covariance / np.outer(spread, spread), atol=0.12, err_msg=name)


def test_reflectance_is_the_same_through_any_window() -> None:
    grid = albers_square(-88.3, 40.2, 0.03)
    dates = [datetime.date(2015, 12, 30), AUGUST_30]
    whole = reflectance(grid, dates, 1)
    assert whole.shape == (2, 7, *grid.shape_yx)
    assert whole.dtype == np.float32
    window = Window(11, 23, 31, 17)
    np.testing.assert_array_equal(reflectance(grid.window(window), dates, 1), whole[:, :, *window.slices])


def test_blur_keeps_level_and_cuts_one_pixel() -> None:
    np.testing.assert_allclose(blur(np.full((7, 5, 6), 0.3, np.float32)), np.full((7, 3, 4), 0.3), rtol=1e-6)
    point = np.zeros((1, 5, 5), np.float32)
    point[0, 2, 2] = 1
    assert float(blur(point).sum()) == pytest.approx(1.0)


def test_snow_hides_open_land_and_shows_less_under_trees() -> None:
    x_m, y_m = np.meshgrid(np.arange(4e5, 4.03e5, 30.0), np.arange(1.9e6, 1.903e6, 30.0))
    cover = land_cover(x_m, y_m, 0, 2016)
    codes = np.where(np.arange(x_m.size).reshape(x_m.shape) % 2, 1, 141).astype(np.uint8)  # corn and woods, pixel by pixel
    surface = Surface(cover._replace(code=codes), x_m, y_m, 0)
    date = datetime.date(2016, 1, 10)
    bare, deep = surface.at(date), surface.at(date, np.ones(x_m.shape, np.float32))
    np.testing.assert_allclose(deep[:, codes == 1], np.broadcast_to(np.array(SNOW)[:, None] * 1e-4, deep[:, codes == 1].shape), rtol=1e-5)
    share = (deep - bare)[0] / (SNOW[0] * 1e-4 - bare[0])
    np.testing.assert_allclose(share[codes == 141], 0.45, rtol=1e-4)
    assert not surface.is_water.any()
