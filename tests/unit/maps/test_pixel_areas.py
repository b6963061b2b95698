"""Areas of pixels against geodesic polygons of pyproj, on every kind of grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Geod, Transformer

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.maps.pixel_areas import nominal_hectares, pixel_hectares, point_hectares

GRIDS = {
    "UTM, away from its meridian": PixelGrid("EPSG:32616", (30.0, 0.0, 166_000.0, 0.0, -30.0, 4_500_000.0), 1500, 1400),
    "Albers of CDL": PixelGrid("EPSG:5070", (30.0, 0.0, 0.0, 0.0, -30.0, 2_000_000.0), 1500, 1400),
    "web Mercator": PixelGrid("EPSG:3857", (10.0, 0.0, -1e7, 0.0, -10.0, 8e6), 1500, 1400),
    "polar, around the pole": PixelGrid("EPSG:3413", (30.0, 0.0, -20_000.0, 0.0, -30.0, 20_000.0), 1500, 1400),
    "feet": PixelGrid("EPSG:2263", (100.0, 0.0, 950_000.0, 0.0, -100.0, 250_000.0), 500, 400),
}


def geodesic(grid: PixelGrid, row: int, col: int, steps: int = 1) -> float:
    """The area in ha of a polygon around the pixel, its edges cut into steps."""
    a, _, c, _, e, f = grid.transform
    part = np.arange(steps) / steps
    u = np.concatenate([part, np.ones(steps), 1 - part, np.zeros(steps)])
    v = np.concatenate([np.zeros(steps), part, np.ones(steps), 1 - part])
    own = CRS.from_user_input(grid.crs).geodetic_crs
    assert own is not None
    assert own.ellipsoid is not None
    lon, lat = Transformer.from_crs(grid.crs, own, always_xy=True).transform(c + a * (col + u), f + e * (row + v))
    geod = Geod(a=own.ellipsoid.semi_major_metre, b=own.ellipsoid.semi_minor_metre)
    return abs(geod.polygon_area_perimeter(lon, lat)[0]) / 1e4


@pytest.mark.parametrize("name", GRIDS)
def test_projected_pixels_are_those_of_geodesic_polygons(name: str) -> None:
    grid = GRIDS[name]
    window = Window(3, 5, grid.height - 3, grid.width - 5)
    hectares = pixel_hectares(grid, window)
    for row, col in np.random.default_rng(0).integers((0, 0), (window.height, window.width), (40, 2)).tolist():
        assert hectares[row, col] == pytest.approx(geodesic(grid, row + 3, col + 5), rel=5e-7)


@settings(max_examples=40, deadline=None)
@given(north=st.floats(-80, 89), size=st.floats(1e-4, 0.3), west=st.floats(-180, 179))
def test_rows_in_degrees_are_exact(north: float, size: float, west: float) -> None:
    grid = PixelGrid("EPSG:4326", (size, 0.0, west, 0.0, -size, north), 3, 3)
    hectares = pixel_hectares(grid, Window(0, 0, 3, 3))
    assert hectares.shape == (3, 1)
    # parallels are no geodesics: fine steps
    assert hectares[1, 0] == pytest.approx(geodesic(grid, 1, 1, steps=200), rel=1e-6)


def test_windows_and_points_agree() -> None:
    for grid in (GRIDS["UTM, away from its meridian"], PixelGrid("EPSG:4326", (0.001, 0.0, 10.0, 0.0, -0.001, 50.0), 600, 700)):
        whole = np.broadcast_to(pixel_hectares(grid, Window(0, 0, grid.height, grid.width)), grid.shape_yx)
        part = np.broadcast_to(pixel_hectares(grid, Window(100, 200, 50, 60)), (50, 60))
        np.testing.assert_allclose(part, whole[100:150, 200:260], rtol=3e-7)
        row, col = np.array([0, 17, 333]), np.array([5, 599, 1])
        np.testing.assert_allclose(point_hectares(grid, row, col), whole[row, col], rtol=3e-7)


@pytest.mark.parametrize(
    ("crs", "size", "hectares"), [("EPSG:5070", 30.0, 0.09), ("EPSG:4326", 30 / 111_319.490793, 0.09), ("EPSG:2263", 100.0, 0.092903412)]
)
def test_the_nominal_area_is_that_of_the_scale(crs: str, size: float, hectares: float) -> None:
    assert nominal_hectares(PixelGrid(crs, (size, 0.0, 0.0, 0.0, -size, 44.0), 10, 10)) == pytest.approx(hectares, rel=1e-7)


def test_pixels_beyond_the_crs_are_refused() -> None:
    grid = PixelGrid("EPSG:3035", (1e6, 0.0, 5e7, 0.0, -1e6, 5e7), 4, 4)
    with pytest.raises(DataError, match="lie outside the reach of this CRS and have no area; make the map in another CRS"):
        pixel_hectares(grid, Window(0, 0, 4, 4))
