"""Label rasters on the grid of an image: any CRS and type, several files, codes that the legend lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio.crs
import rasterio.warp

from cropcam.pipeline.code_table import Code, CodeTable
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid, Window, nearest_index
from cropcam.pipeline.legend_sources import packaged
from cropcam.pipeline.rasters.header import read_header
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


SHIFTED = "+proj=utm +zone=16 +ellps=clrk66 +towgs84=0,0,0,0,0,0,0 +units=m"  # 240 m from NAD27 / UTM zone 16N
STEP = 30 / 111_319.490793


def expected_codes(labels: Path, image: Path) -> npt.NDArray[np.uint8]:
    """The pixel of `labels` that holds each centre of `image`, projected by GDAL with the CRS that the files have; 0 outside."""
    with rasterio.open(image) as file, rasterio.open(labels) as source:
        codes, inverse = source.read(1), ~source.transform
        row, col = np.mgrid[: file.height, : file.width]
        x, y = rasterio.warp.transform(file.crs, source.crs, *(values.ravel() for values in file.transform * (col + 0.5, row + 0.5)))
        if source.crs.is_geographic:
            x = source.bounds.left + (np.array(x) - source.bounds.left) % 360
        c, r = (np.floor(values).astype(int) for values in inverse * (np.array(x), np.array(y)))
        inside = (r >= 0) & (r < source.height) & (c >= 0) & (c < source.width)
        found = np.where(inside, codes[np.where(inside, r, 0), np.where(inside, c, 0)], 0)
    return np.asarray(found.reshape(row.shape), np.uint8)


def around(crs: str, lon: float, lat: float, width: int, height: int, step: float) -> PixelGrid:
    """A grid about a place."""
    (x,), (y,) = rasterio.warp.transform("EPSG:4326", rasterio.crs.CRS.from_user_input(crs), [lon], [lat])
    unit = step if x > 360 or y > 90 else STEP
    return PixelGrid(crs, (unit, 0.0, x - unit * width / 2, 0.0, -unit, y + unit * height / 2), width, height)


@pytest.mark.parametrize("image_crs", [SHIFTED, "EPSG:26716", "EPSG:32616", "EPSG:4326", "EPSG:3435"])
@pytest.mark.parametrize("labels_crs", ["EPSG:32616", SHIFTED, "EPSG:5070"])
def test_labels_follow_the_crs_of_the_files_themselves(tmp_path: Path, image_crs: str, labels_crs: str) -> None:
    image, cdl = around(image_crs, -87.9, 40.2, 60, 50, 30.0), around(labels_crs, -87.9, 40.2, 90, 80, 30.0)
    paths = [write_raster(tmp_path / name, random_codes(each.shape_yx), each) for name, each in (("image.tif", image), ("cdl.tif", cdl))]
    grid = read_header(paths[0]).grid
    expected = expected_codes(paths[1], paths[0])
    assert (expected > 0).mean() > 0.9
    np.testing.assert_array_equal(open_labels([paths[1]], grid).read(Window(0, 0, *grid.shape_yx)), expected)


def test_heights_of_a_crs_do_not_count(tmp_path: Path) -> None:
    image, cdl = around("EPSG:32616", -87.9, 40.2, 60, 50, 30.0), around(SHIFTED, -87.9, 40.2, 90, 80, 30.0)
    labels = write_raster(tmp_path / "cdl.tif", random_codes(cdl.shape_yx), cdl)
    flat, high = (write_raster(tmp_path / name, random_codes(image.shape_yx), image, crs=crs) for name, crs in
                  (("flat.tif", "EPSG:32616"), ("high.tif", "EPSG:32616+5773")))  # fmt: skip
    assert read_header(high).grid == read_header(flat).grid
    found = open_labels([labels], read_header(high).grid).read(Window(0, 0, 50, 60))
    np.testing.assert_array_equal(found, expected_codes(labels, flat))


@pytest.mark.parametrize("turned", [0.0, 360.0])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32616"])
def test_longitudes_from_0_to_360_meet_labels(tmp_path: Path, crs: str, turned: float) -> None:
    image = PixelGrid("EPSG:4326", (STEP, 0.0, -88.05 + turned, 0.0, -STEP, 40.34), 60, 50)
    cdl = around(crs, -88.042, 40.332, 90, 80, 30.0)
    if crs == "EPSG:4326":
        cdl = PixelGrid(crs, (STEP, 0.0, -88.05 + 360 - turned - 7 * STEP, 0.0, -STEP, 40.34), 90, 80)
    paths = [write_raster(tmp_path / name, random_codes(each.shape_yx), each) for name, each in (("image.tif", image), ("cdl.tif", cdl))]
    found = open_labels([paths[1]], image).read(Window(0, 0, *image.shape_yx))
    np.testing.assert_array_equal(found, expected_codes(paths[1], paths[0]))
    if crs == "EPSG:4326":
        np.testing.assert_array_equal(found, random_codes(cdl.shape_yx)[:50, 7:67])


@pytest.mark.parametrize("west", [-180.0, 0.0])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32660"])
def test_labels_on_both_sides_of_180_degrees(tmp_path: Path, crs: str, west: float) -> None:
    world = PixelGrid("EPSG:4326", (0.5, 0.0, west, 0.0, -0.5, 60.0), 720, 40)
    image = PixelGrid(crs, (0.1, 0.0, 178.0, 0.0, -0.1, 55.0), 40, 30)
    if crs == "EPSG:32660":
        image = around(crs, 180.0, 52.0, 40, 30, 8_000.0)
    paths = [
        write_raster(tmp_path / name, random_codes(each.shape_yx), each) for name, each in (("image.tif", image), ("world.tif", world))
    ]
    found = open_labels([paths[1]], image).read(Window(0, 0, *image.shape_yx))
    assert (found > 0).all()
    np.testing.assert_array_equal(found, expected_codes(paths[1], paths[0]))


def test_pixels_that_drift_away_over_the_width_are_resampled(tmp_path: Path) -> None:
    image = PixelGrid("EPSG:32616", (30.0, 0.0, 400_000.0, 0.0, -30.0, 4_475_700.0), 30_000, 2)
    own = PixelGrid("EPSG:32616", (30.0 * (1 + 2e-5), 0.0, 400_000.0, 0.0, -30.0, 4_475_700.0), 30_000, 2)  # the first pixel agrees
    codes = np.where(np.arange(30_000) % 2, 1, 5).astype(np.uint8)[None].repeat(2, 0)
    found = open_labels([write_raster(tmp_path / "cdl.tif", codes, own)], image).read(Window(0, 0, 2, 30_000))
    x = 400_000 + 30 * (np.arange(30_000) + 0.5)
    np.testing.assert_array_equal(found[0], codes[0, np.floor((x - 400_000) / (30 * (1 + 2e-5))).astype(int)])
    assert (found[0] != codes[0]).any()


def test_codes_of_state_rasters_before_2012(tmp_path: Path) -> None:
    codes = random_codes(UTM.shape_yx)
    codes[0, :5] = (251, 252, 253, 181, 171)
    labels = open_labels([write_raster(tmp_path / "cdl.tif", codes, UTM)], UTM)
    np.testing.assert_array_equal(labels.read(WHOLE), codes)
    assert labels.table.labels[[251, 252, 253, 181, 171]].all()
