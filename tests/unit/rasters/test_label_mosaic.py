"""Label rasters on the grid of an image: any CRS and type, several files, codes that the legend lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cropcam.pipeline.code_table import Code, CodeTable
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid, Window, nearest_index
from cropcam.pipeline.legend_sources import packaged
from cropcam.pipeline.rasters.label_mosaic import _on_lattice, open_labels
from support.rasters import ALBERS_ORIGIN, UTM, random_codes, write_raster

WHOLE = Window(0, 0, *UTM.shape_yx)
ALBERS = PixelGrid("EPSG:5070", (30.0, 0.0, ALBERS_ORIGIN[0], 0.0, -30.0, ALBERS_ORIGIN[1]), 200, 200)


def test_labels_of_another_crs_land_where_their_pixel_lies(tmp_path: Path) -> None:
    codes = random_codes(ALBERS.shape_yx)
    labels = open_labels([write_raster(tmp_path / "cdl.tif", codes, ALBERS)], UTM)
    row, col = nearest_index(ALBERS, UTM)
    expected = np.where(row >= 0, codes[row, col], 0)
    np.testing.assert_array_equal(labels.read(WHOLE), expected)
    window = Window(13, 27, 31, 44)
    np.testing.assert_array_equal(labels.read(window), expected[window.slices])


def test_label_nodata_and_wider_integers(tmp_path: Path) -> None:
    codes = random_codes(UTM.shape_yx).astype(np.int16)
    codes[0] = -1
    labels = open_labels([write_raster(tmp_path / "cdl.tif", codes, UTM, nodata=-1)], UTM)
    np.testing.assert_array_equal(labels.read(WHOLE), np.where(codes == -1, 0, codes))


def test_codes_above_255_on_another_grid(tmp_path: Path) -> None:
    table = CodeTable("", (Code(1, "a"), Code(40_000, "b")))
    codes = np.random.default_rng(0).choice(np.array([1, 40_000], np.uint16), ALBERS.shape_yx)
    labels = open_labels([write_raster(tmp_path / "a.tif", codes, ALBERS)], UTM, table)
    row, col = nearest_index(ALBERS, UTM)
    found = labels.read(WHOLE)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, np.where(row >= 0, codes[row, col], 0))


@pytest.mark.parametrize("grid", [UTM, ALBERS])
def test_outside_a_file_of_a_legend_with_0_there_is_no_label(tmp_path: Path, grid: PixelGrid) -> None:
    part = grid.window(Window(0, 0, grid.height // 2, grid.width))
    path = write_raster(tmp_path / "a.tif", np.stack([np.full(part.shape_yx, 7, np.uint8), np.zeros(part.shape_yx, np.uint8)]), part)
    found = open_labels([path], UTM, packaged("worldcereal"), band=2).read(WHOLE)
    row, _ = nearest_index(part, UTM)
    np.testing.assert_array_equal(found, np.where(row >= 0, 0, 255))
    assert {0, 255} == set(np.unique(found))


def test_several_label_files_together(tmp_path: Path) -> None:
    codes = random_codes(UTM.shape_yx)
    left = write_raster(tmp_path / "left.tif", codes[:, :50], UTM.window(Window(0, 0, UTM.height, 50)))
    right = write_raster(tmp_path / "right.tif", codes[:, 50:], UTM.window(Window(0, 50, UTM.height, UTM.width - 50)))
    np.testing.assert_array_equal(open_labels([left, right], UTM).read(WHOLE), codes)


@pytest.mark.parametrize(
    ("values", "grid", "message"),
    [
        (np.zeros((1, *UTM.shape_yx), np.float32), UTM, "labels are float32; label codes are integers"),
        (np.zeros((2, *UTM.shape_yx), np.uint8), UTM, "2 bands; labels are one band"),
        (np.zeros((1, 9, 9), np.uint8), PixelGrid(UTM.crs, (30.0, 0.0, 0.0, 0.0, -30.0, 0.0), 9, 9), "the labels do not overlap the image"),
    ],
)
def test_bad_labels(tmp_path: Path, values: npt.NDArray[Any], grid: PixelGrid, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_labels([write_raster(tmp_path / "bad.tif", values, grid)], UTM)


@pytest.mark.parametrize(("value", "message"), [(256, "holds label 256"), (-1, "holds label -1")])
def test_labels_that_are_no_codes(tmp_path: Path, value: int, message: str) -> None:
    codes = random_codes(UTM.shape_yx).astype(np.int32)
    codes[5, 5] = value
    labels = open_labels([write_raster(tmp_path / "cdl.tif", codes, UTM)], UTM)
    with pytest.raises(DataError, match=message):
        labels.read(WHOLE)


@pytest.mark.parametrize("grid", [UTM, ALBERS], ids=["the image's grid", "another CRS"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_halves_make_the_whole_in_either_order(tmp_path: Path, grid: PixelGrid, order: tuple[int, int]) -> None:
    """Where a file has nothing it leaves what another file has."""
    codes, half = random_codes(grid.shape_yx), grid.width // 2
    parts = [Window(0, 0, grid.height, half), Window(0, half, grid.height, grid.width - half)]
    paths = [write_raster(tmp_path / f"{number}.tif", codes[part.slices], grid.window(part)) for number, part in enumerate(parts)]
    row, col = nearest_index(grid, UTM)
    expected = np.where(row >= 0, codes[row, col], 0)
    np.testing.assert_array_equal(open_labels([paths[number] for number in order], UTM).read(WHOLE), expected)


@pytest.mark.parametrize("grid", [UTM, ALBERS], ids=["the image's grid", "another CRS"])
def test_the_last_of_overlapping_files_counts_but_not_where_it_has_no_label(tmp_path: Path, grid: PixelGrid) -> None:
    under, over = np.full(grid.shape_yx, 5, np.uint8), np.full(grid.shape_yx, 1, np.uint8)
    over[: grid.height // 2] = 0
    paths = [write_raster(tmp_path / f"{name}.tif", values, grid) for name, values in (("under", under), ("over", over))]
    row, _ = nearest_index(grid, UTM)
    expected = np.where(row < 0, 0, np.where(row < grid.height // 2, 5, 1))
    np.testing.assert_array_equal(open_labels(paths, UTM).read(WHOLE), expected)


def test_pixels_may_be_off_the_lattice_by_a_thousandth() -> None:
    """Less is a rounding of the transform, and the files' pixels are taken; more is resampled."""
    for off_px, is_on in ((0.0009, True), (0.002, False)):
        moved = PixelGrid(UTM.crs, (30.0, 0.0, UTM.transform[2] + 30 * off_px, 0.0, -30.0, UTM.transform[5]), UTM.width, UTM.height)
        assert (_on_lattice(moved, UTM) is not None) is is_on
        scaled = PixelGrid(UTM.crs, (30 * (1 + off_px / UTM.width), *UTM.transform[1:]), UTM.width, UTM.height)
        assert (_on_lattice(scaled, UTM) is not None) is is_on
