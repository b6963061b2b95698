"""The grid: tiles cover once, index and transform invert each other, study grids are the contract's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from cropcam.pipeline.crs import same_crs
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import (
    CDL_ORIGIN_XY,
    METRES_PER_DEGREE,
    PatchGrid,
    PixelGrid,
    Window,
    covering_window,
    lattice_offset,
    nearest_index,
    resample_nearest,
    same_place,
    study_grid,
    tiles,
)

CORN_BELT = (-94.0, 37.0, -86.0, 41.5)
sizes = st.integers(1, 60)


@given(sizes, sizes, sizes, sizes)
def test_tiles_cover_every_pixel_exactly_once(height: int, width: int, tile_height: int, tile_width: int) -> None:
    seen = np.zeros((height, width), int)
    for window in tiles((height, width), (tile_height, tile_width)):
        assert window.height <= tile_height
        assert window.width <= tile_width
        seen[window.slices] += 1
    assert (seen == 1).all()


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0.0001, 1000), sizes, sizes)
def test_index_inverts_the_pixel_centres(left: float, top: float, step: float, width: int, height: int) -> None:
    grid = PixelGrid("EPSG:32616", (step, 0.0, left, 0.0, -step, top), width, height)
    x, y = grid.centres()
    row, col = grid.index(*np.meshgrid(x, y))
    np.testing.assert_array_equal(row, np.repeat(np.arange(height)[:, None], width, 1))
    np.testing.assert_array_equal(col, np.repeat(np.arange(width)[None], height, 0))


def test_index_is_half_open_and_marks_what_lies_outside() -> None:
    grid = PixelGrid("EPSG:32616", (30.0, 0.0, 0.0, 0.0, -30.0, 90.0), 2, 3)
    row, col = grid.index([0, 59.999, 60, -0.001, np.nan, 0], [90, 0.001, 45, 45, 45, 0])
    assert row.tolist() == [0, 2, -1, -1, -1, -1]
    assert col.tolist() == [0, 1, -1, -1, -1, -1]


@given(sizes, sizes, st.data())
def test_a_window_keeps_the_place_of_its_pixels(width: int, height: int, data: st.DataObject) -> None:
    grid = PixelGrid("EPSG:32616", (30.0, 0.0, 410_000.0, 0.0, -30.0, 4_475_700.0), width, height)
    row, col = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    part = grid.window(Window(row, col, height - row, width - col))
    np.testing.assert_array_equal(part.centres()[0], grid.centres()[0][col:])
    np.testing.assert_array_equal(part.centres()[1], grid.centres()[1][row:])
    assert part.bounds_xyxy[1:3] == grid.bounds_xyxy[1:3]


def test_the_corn_belt_is_the_contracts_grid() -> None:
    grid = study_grid(CORN_BELT, "EPSG:4326", 30.0)
    assert (grid.width, grid.height) == (29_685, 16_697)
    assert grid.transform == pytest.approx((0.000269494585235856, 0, -94, 0, -0.000269494585235856, 41.5), rel=1e-11)
    patches = PatchGrid(grid, 50)
    assert (patches.columns, patches.rows, patches.count) == (593, 333, 197_469)
    assert patches.window(1, 2) == (50, 100, 50, 50)


def test_albers_lies_on_cdls_lattice_and_holds_the_area() -> None:
    grid = study_grid(CORN_BELT, "EPSG:5070", 30.0)
    west, south, east, north = grid.bounds_xyxy
    assert (west - CDL_ORIGIN_XY[0]) % 30 == 0
    assert (north - CDL_ORIGIN_XY[1]) % 30 == 0
    lon, lat = np.meshgrid(np.linspace(-94, -86, 200), np.linspace(37, 41.5, 200))
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:5070", always_xy=True).transform(lon, lat)
    assert west <= x.min() < west + 60
    assert x.max() <= east < x.max() + 60
    assert south <= y.min() < south + 60
    assert y.max() <= north < y.max() + 60


def test_a_utm_grid_snaps_outward_to_multiples_of_the_scale() -> None:
    grid = study_grid((-88.1, 40.1, -87.9, 40.3), "EPSG:32616", 20.0)
    assert all(value % 20 == 0 for value in grid.bounds_xyxy)


def test_an_area_below_one_pixel_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"0 x 37 px at 30\.0 m: smaller than one pixel"):
        study_grid((-90.0, 40.0, -89.9999, 40.01), "EPSG:4326", 30.0)


def test_an_area_that_does_not_project_is_refused() -> None:
    with pytest.raises(ConfigError, match="do not project to EPSG:32616"):
        study_grid((2.0, -1.0, 4.0, 1.0), "EPSG:32616", 30.0)


utm = st.builds(
    lambda left, top, width, height: PixelGrid("EPSG:32616", (30.0, 0.0, 410_000.0 + left, 0.0, -30.0, 4_475_700.0 + top), width, height),
    st.integers(-2000, 2000),
    st.integers(-2000, 2000),
    st.integers(5, 80),
    st.integers(5, 80),
)


@settings(deadline=None, max_examples=30)
@given(utm, utm)
def test_nearest_takes_the_source_pixel_that_holds_the_projected_centre(source_utm: PixelGrid, target: PixelGrid) -> None:
    source = study_grid((-88.08, 40.38, -88.04, 40.42), "EPSG:5070", 30.0)
    row, col = nearest_index(source, target)
    to_albers = Transformer.from_crs("EPSG:32616", "EPSG:5070", always_xy=True)
    for r, c in ((0, 0), (target.height - 1, target.width - 1), (target.height // 2, 1)):
        x, y = to_albers.transform(target.transform[2] + 30 * (c + 0.5), target.transform[5] - 30 * (r + 0.5))
        west, south, east, north = source.bounds_xyxy
        if west <= x < east and south < y <= north:
            assert (row[r, c], col[r, c]) == (int((north - y) // 30), int((x - west) // 30))
        else:
            assert (row[r, c], col[r, c]) == (-1, -1)
    own = nearest_index(source_utm, target)  # one CRS: no projection, the same rule
    general = source_utm.index(*np.meshgrid(*target.centres()))
    np.testing.assert_array_equal(own, general)


@settings(deadline=None, max_examples=30)
@given(utm)
def test_the_covering_window_loses_no_pixel(target: PixelGrid) -> None:
    source = study_grid((-88.08, 40.38, -88.04, 40.42), "EPSG:5070", 30.0)
    values = np.arange(source.width * source.height, dtype=np.int64).reshape(source.shape_yx)
    whole = resample_nearest(values, source, target, fill=-1)
    part = covering_window(source, target)
    if part is None:
        assert (whole == -1).all()
    else:
        np.testing.assert_array_equal(resample_nearest(values[part.slices], source.window(part), target, fill=-1), whole)


def test_resampling_refuses_an_array_of_another_shape() -> None:
    grid = PixelGrid("EPSG:32616", (30.0, 0.0, 0.0, 0.0, -30.0, 0.0), 4, 3)
    with pytest.raises(DataError, match=r"an array of \(4, 3\) does not lie on a grid of \(3, 4\)"):
        resample_nearest(np.zeros((4, 3), np.uint8), grid, grid, fill=0)


def test_one_crs_in_two_spellings_is_one() -> None:
    from pyproj import CRS

    assert same_crs("EPSG:5070", CRS.from_epsg(5070).to_wkt())
    assert not same_crs("EPSG:5070", "EPSG:32616")


def test_scale_is_in_metres_whatever_the_crs_counts_in() -> None:
    feet = study_grid((-78.7, 35.7, -78.6, 35.8), "EPSG:2264", 30.0)
    assert feet.transform[0] == pytest.approx(30 / (1200 / 3937))


def test_a_geocentric_crs_is_no_map_grid() -> None:
    with pytest.raises(ConfigError, match="neither projected nor in longitude and latitude"):
        study_grid(CORN_BELT, "EPSG:4978", 30.0)


def test_cdls_lattice_is_that_of_the_national_raster() -> None:
    """USDA's CONUS rasters, 30 m, EPSG:5070: upper left corner at x = -2,356,095 m, y = 3,172,605 m."""
    assert CDL_ORIGIN_XY == (-2_356_095, 3_172_605)
    grid = study_grid(CORN_BELT, "EPSG:5070", 30.0)
    assert [value % 30 for value in grid.bounds_xyxy] == [15, 15, 15, 15]
    ten = study_grid(CORN_BELT, "EPSG:5070", 10.0)  # a finer grid shares the corner
    assert [(ten.bounds_xyxy[0] + 2_356_095) % 10, (3_172_605 - ten.bounds_xyxy[3]) % 10] == [0, 0]
    assert study_grid((-95.0, 41.0, -94.9, 41.1), "EPSG:32615", 30.0).bounds_xyxy[0] % 30 == 0, "other systems begin at 0"


def test_a_degree_of_the_equator_is_that_of_wgs_84() -> None:
    assert METRES_PER_DEGREE == pytest.approx(6_378_137 * math.pi / 180, abs=1e-6) == 111_319.490793


@given(st.integers(-170, 160), st.integers(-80, 70), st.integers(1, 4000), st.integers(1, 4000), st.sampled_from([10.0, 30.0, 463.3127]))
def test_bounds_that_are_whole_pixels_lose_none(west: int, south: int, columns: int, rows: int, scale_m: float) -> None:
    """However the product is rounded: a study's bounds are often copied from a grid."""
    pixel = scale_m / METRES_PER_DEGREE
    grid = study_grid((west, south, west + columns * pixel, south + rows * pixel), "EPSG:4326", scale_m)
    assert (grid.width, grid.height) == (columns, rows)
    less = study_grid((west, south, west + (columns + 0.9999) * pixel, south + (rows + 0.9999) * pixel), "EPSG:4326", scale_m)
    assert (less.width, less.height) == (columns, rows), "a part of a pixel is none"


def test_a_projected_grid_holds_the_bulge_of_a_parallel() -> None:
    """In Albers a parallel is an arc: the northern edge of eight degrees lies farther north in its middle than at its corners."""
    middle_y = Transformer.from_crs("EPSG:4326", "EPSG:5070", always_xy=True).transform(-96.0, 45.0)[1]
    corner_y = Transformer.from_crs("EPSG:4326", "EPSG:5070", always_xy=True).transform(-100.0, 45.0)[1]
    south = study_grid((-100.0, 40.0, -92.0, 45.0), "EPSG:5070", 30.0).bounds_xyxy[1]
    assert corner_y - middle_y > 3000, "the middle bulges southward by more than 100 pixels"
    assert south <= Transformer.from_crs("EPSG:4326", "EPSG:5070", always_xy=True).transform(-96.0, 40.0)[1]


def test_a_wide_window_in_another_crs_keeps_the_pixels_of_its_edges() -> None:
    """A target 8 degrees wide in degrees over a source in Albers: the middle of its lower edge lies 100 rows below its corners."""
    source = study_grid((-101.0, 39.0, -91.0, 46.0), "EPSG:5070", 3000.0)
    target = PixelGrid("EPSG:4326", (0.04, 0.0, -100.0, 0.0, -0.04, 45.0), 200, 125)
    window = covering_window(source, target, margin_px=0)
    assert window is not None
    row, col = nearest_index(source, target)
    assert row.min() >= window.row
    assert row.max() < window.row + window.height
    assert col.min() >= window.col
    assert col.max() < window.col + window.width
    assert window.row > 0, "no more than is needed"
    assert window.height < source.height


def test_a_covering_window_has_its_margin_and_ends_at_the_source() -> None:
    source = PixelGrid("EPSG:32616", (30.0, 0.0, 0.0, 0.0, -30.0, 3000.0), 100, 100)
    inner = source.window(Window(40, 50, 10, 20))
    assert covering_window(source, inner) == (38, 48, 14, 24)
    assert covering_window(source, inner, margin_px=0) == (40, 50, 10, 20)
    assert covering_window(source, source) == (0, 0, 100, 100)
    beside = PixelGrid("EPSG:32616", (30.0, 0.0, 3000.0, 0.0, -30.0, 3000.0), 5, 5)
    assert covering_window(source, beside, margin_px=0) is None


def test_a_point_of_a_grid_is_in_the_pixel_right_and_below_of_its_corner() -> None:
    grid = PixelGrid("EPSG:32616", (30.0, 0.0, 60.0, 0.0, -30.0, 90.0), 4, 3)
    assert grid.bounds_xyxy == (60.0, 0.0, 180.0, 90.0)
    assert [values.tolist() for values in grid.centres()] == [[75.0, 105.0, 135.0, 165.0], [75.0, 45.0, 15.0]]
    assert [int(value) for value in grid.index(90.0, 60.0)] == [1, 1]
    assert grid.window(Window(1, 2, 1, 2)).transform == (30.0, 0.0, 120.0, 0.0, -30.0, 60.0)


def test_a_window_is_cut_row_by_row_where_it_lies() -> None:
    assert list(Window(10, 20, 5, 7).cut(4)) == [(10, 20, 4, 4), (10, 24, 4, 3), (14, 20, 1, 4), (14, 24, 1, 3)]


@given(st.integers(-2, 2), st.integers(0, 99))
def test_a_longitude_lies_in_its_column_with_any_turns(turns: int, column: int) -> None:
    for west in (-180.0, -90.0, 175.0, 270.0):
        grid = PixelGrid("EPSG:4326", (0.5, 0.0, west, 0.0, -0.5, 45.0), 100, 4)
        row, col = grid.index(west + 0.5 * (column + 0.5) + 360.0 * turns, 44.0)
        assert (int(row), int(col)) == (2, column)
        window = covering_window(grid, PixelGrid("EPSG:4326", (0.5, 0.0, west + 360.0 * turns, 0.0, -0.5, 45.0), 100, 4), 0)
        assert window == Window(0, 0, 4, 100)


def test_pixels_of_grads_are_as_wide_as_of_degrees() -> None:
    degrees, grads = study_grid((2.0, 47.0, 2.1, 47.1), "EPSG:4326", 30.0), study_grid((2.0, 47.0, 2.1, 47.1), "EPSG:4807", 30.0)
    assert grads.transform[0] == pytest.approx(degrees.transform[0] / 0.9)


def test_an_offset_on_a_lattice_is_none_where_pixels_drift_away() -> None:
    grid = PixelGrid("EPSG:32616", (30.0, 0.0, 400_000.0, 0.0, -30.0, 4e6), 30_000, 10)
    for step, is_aligned in ((1e-6, False), (1e-9, True)):
        own = PixelGrid("EPSG:32616", (30.0 * (1 + step), 0.0, 400_300.0, 0.0, -30.0, 4e6 - 60), 30_000, 10)
        assert lattice_offset(grid, own) == ((2.0, 10.0) if is_aligned else None)


def test_one_place_in_other_words() -> None:
    grid = study_grid((-88.0, 40.0, -87.9, 40.1), "EPSG:32616", 30.0)
    assert same_place(grid, "+proj=utm +zone=16 +ellps=WGS84")
    assert not same_place(grid, "+proj=utm +zone=16 +ellps=clrk66 +towgs84=0,0,0,0,0,0,0 +units=m")
    assert not same_place(grid, "EPSG:4326")


def test_pixels_of_next_to_no_size_cover_nothing() -> None:
    tiny = PixelGrid("EPSG:32616", (5e-324, 0.0, 0.0, 0.0, -5e-324, 0.0), 9, 9)
    assert covering_window(tiny, PixelGrid("EPSG:32616", (30.0, 0.0, 500_000.0, 0.0, -30.0, 4_500_000.0), 9, 9)) is None
