"""A class map without its smallest patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from scipy import ndimage

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.maps.sieve import least_pixels, sieved
from cropcam.pipeline.maps.window_job import geotiff
from support.memory_source import make_grid

DEGREES = PixelGrid("EPSG:4326", (0.01, 0.0, 10.0, 0.0, -0.01, 60.5), 100, 100)  # about latitude 60


def run(folder: Path, classes_YX: np.ndarray, least: int) -> np.ndarray:
    grid = make_grid(*classes_YX.shape)
    (folder / "classes.tif").write_bytes(geotiff(classes_YX[None], grid, 255))
    sieved(folder / "classes.tif", least, folder / "out.tif")
    with rasterio.open(folder / "out.tif") as dataset:
        assert (dataset.count, dataset.dtypes[0], dataset.nodata, dataset.crs.to_string()) == (1, "uint8", 255, grid.crs)
        assert tuple(dataset.transform)[:6] == grid.transform
        return dataset.read(1)


@pytest.mark.parametrize(
    ("hectares", "pixels"), [(0.01, 1), (0.0899, 1), (0.0901, 2), (0.44, 5), (0.46, 6), (1.0, 12)]
)  # 30 m: 0.09 ha and 0.03 % less or more, by the scale of the projection
def test_hectares_are_pixels_of_the_grid(hectares: float, pixels: int) -> None:
    grid = make_grid(100, 100)
    central = PixelGrid(
        grid.crs, (30.0, 0.0, 680_000.0, 0.0, -30.0, 4_500_000.0), 100, 100
    )  # where a metre of the map is one of the ground
    assert least_pixels(central, hectares) == pixels


def test_in_degrees_the_pixel_in_the_middle_counts() -> None:
    metres = 111_320 * 0.01  # a hundredth of a degree along a meridian, about
    pixel = metres * metres * np.cos(np.radians(60)) / 10_000
    assert least_pixels(DEGREES, 10 * pixel) in (10, 11)


def test_a_grid_that_its_crs_does_not_reach_is_one_line() -> None:
    with pytest.raises(DataError, match="EPSG:32616"):
        least_pixels(PixelGrid("EPSG:32616", (30.0, 0.0, 9e9, 0.0, -30.0, 9e9), 10, 10), 1.0)


def test_small_patches_take_the_class_of_their_largest_neighbour_and_nodata_stays(tmp_path: Path) -> None:
    classes = np.full((12, 16), 1, np.uint8)
    classes[:, 10:] = 2
    classes[:, 13:] = 255
    classes[2, 3:5] = 3  # two pixels in class 1
    classes[6:8, 3:6] = 4  # six pixels
    classes[5, 12] = 0  # one pixel between class 2 and nodata
    classes[9:11, 14] = 2  # an island in nodata: no neighbour
    found = run(tmp_path, classes, 5)
    expected = classes.copy()
    expected[2, 3:5], expected[5, 12] = 1, 2
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("least", [0, 1])
def test_without_a_limit_nothing_changes(tmp_path: Path, least: int) -> None:
    classes = np.random.default_rng(0).choice(np.array([0, 1, 2, 255], np.uint8), (20, 30))
    np.testing.assert_array_equal(run(tmp_path, classes, least), classes)


def test_no_small_patch_is_left_beside_a_larger_one(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).random((60, 80))
    classes = (ndimage.gaussian_filter(noise, 1.5) * 40 % 4).astype(np.uint8)
    classes[:20, :20] = 255
    found = run(tmp_path, classes, 10)
    np.testing.assert_array_equal(found == 255, classes == 255)
    assert set(np.unique(found)) <= set(np.unique(classes))

    assert small_patches(found) < small_patches(classes) / 5  # GDAL leaves those whose neighbours are all small


def small_patches(classes_YX: np.ndarray) -> int:
    """Patches of fewer than 10 pixels."""
    sizes = [np.bincount(ndimage.label(classes_YX == index)[0].ravel())[1:] for index in range(4)]
    return int(sum((size < 10).sum() for size in sizes))
