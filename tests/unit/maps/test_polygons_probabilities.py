"""The probability of each pixel's own class; files of another map are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import Window
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps.class_map import FinishedMap, open_map
from cropcam.pipeline.maps.polygons_probabilities import open_probabilities, own_probabilities
from support.maps import write_map, write_probabilities
from support.memory_source import LEGEND, make_grid

RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 5, (30, 40)).astype(np.uint8)
CLASSES[:5, :7] = 255
OWN = RNG.integers(51, 251, (30, 40)).astype(np.uint8)


@pytest.fixture
def opened(tmp_path: Path) -> FinishedMap:
    return open_map(write_map(tmp_path / "map.tif", CLASSES))


def test_the_probability_of_the_class_of_each_pixel(opened: FinishedMap, tmp_path: Path) -> None:
    window = Window(2, 3, 20, 30)
    with open_probabilities(write_probabilities(tmp_path / "p.tif", CLASSES, OWN), opened) as dataset:
        own_YX = own_probabilities(dataset, opened, window, CLASSES[window.slices])
    valid_YX = CLASSES[window.slices] != 255
    np.testing.assert_array_equal(own_YX[valid_YX], OWN[window.slices][valid_YX])


def test_files_of_another_map_are_refused(opened: FinishedMap, tmp_path: Path) -> None:
    grid = make_grid(30, 40)
    west, north = grid.transform[2], grid.transform[5]
    moved = write_probabilities(tmp_path / "m.tif", CLASSES, OWN, grid=replace(grid, transform=(30.0, 0.0, west + 30, 0.0, -30.0, north)))
    with pytest.raises(
        DataError, match=r"m\.tif: 40 x 30 px in EPSG:32616, on another grid than .*map\.tif .*give the probabilities made with"
    ):
        open_probabilities(moved, opened)
    small = write_probabilities(tmp_path / "s.tif", CLASSES[:9], OWN[:9])
    with pytest.raises(DataError, match=r"s\.tif: 40 x 9 px in EPSG:32616, on another grid"):
        open_probabilities(small, opened)
    other = Legend.from_codes({"corn": [1], "wheat": [24]})
    few = write_probabilities(tmp_path / "f.tif", np.minimum(CLASSES, 2), OWN, other)
    with pytest.raises(
        DataError, match=r"f\.tif: has 3 bands \(background, corn, wheat\) of uint8, nodata 255\.0; class probabilities have a band"
    ):
        open_probabilities(few, opened)
    with pytest.raises(DataError, match=r"none\.tif: cannot be read as a raster; give the probabilities made with this map"):
        open_probabilities(tmp_path / "none.tif", opened)


def test_a_pixel_without_its_probability_is_refused(opened: FinishedMap, tmp_path: Path) -> None:
    hollow = CLASSES.copy()
    hollow[20, 9:12] = 255
    with (
        open_probabilities(write_probabilities(tmp_path / "p.tif", hollow, OWN, LEGEND), opened) as dataset,
        pytest.raises(DataError, match=r"p\.tif: 3 pixels near row 0, column 0 have a class in .*map\.tif and no probability here"),
    ):
        own_probabilities(dataset, opened, Window(0, 0, 30, 40), CLASSES)
