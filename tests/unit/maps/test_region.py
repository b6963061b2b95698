"""A region over a raster: the pixels whose centre lies inside, in any CRS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import PixelGrid, Window, study_grid, tiles
from cropcam.pipeline.maps.region import open_region
from support.vectors import write_vectors

BOUNDS = (-90.03, 41.0, -90.0, 41.03)
SHELL = [(-90.021, 41.008), (-90.012, 41.006), (-90.009, 41.017), (-90.016, 41.012)]


def write_region(folder: Path, shell: list[tuple[float, float]]) -> Path:
    path = folder / "region.geojson"
    path.write_text(shapely.to_geojson(shapely.Polygon(shell)))
    return path


def inside_of(shell: list[tuple[float, float]], grid: PixelGrid) -> np.ndarray:
    """An independent answer: each exactly projected centre."""
    x, y = np.meshgrid(*grid.centres())
    lon, lat = transform_points(grid.crs, "EPSG:4326", x, y)
    return shapely.contains_xy(shapely.Polygon(shell), lon, lat)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:5070", "EPSG:32615"])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.floats(-90.028, -90.002), st.floats(41.002, 41.028)), min_size=3, max_size=6, unique=True), st.integers(7, 40))
def test_windows_have_the_pixels_whose_centre_lies_inside(tmp_path: Path, crs: str, corners: list[tuple[float, float]], side: int) -> None:
    hull = shapely.MultiPoint(corners).convex_hull
    if hull.geom_type != "Polygon" or hull.area < 1e-7:
        return
    grid, shell = study_grid(BOUNDS, crs, 30.0), list(hull.exterior.coords)
    region = open_region(write_region(tmp_path, shell), grid)
    found = np.zeros(grid.shape_yx, bool)
    for window in tiles(grid.shape_yx, (side, side)):
        part = region.inside(window)
        assert region.meets(window) or not part.any()
        found[window.slices] = part
    wrong = found != inside_of(shell, grid)
    assert wrong.sum() <= 2  # centres that lie on an edge to the last digit of the projection


def test_a_geopackage_of_another_crs_is_the_same_region(tmp_path: Path) -> None:
    grid = study_grid(BOUNDS, "EPSG:5070", 30.0)
    x, y = transform_points("EPSG:4326", "EPSG:32615", *zip(*SHELL, strict=True))
    path = Path(write_vectors(tmp_path / "region.gpkg", [shapely.Polygon(np.column_stack([x, y]))], {"name": ["a"]}, "EPSG:32615"))
    whole = Window(0, 0, *grid.shape_yx)
    assert (open_region(path, grid).inside(whole) != open_region(write_region(tmp_path, SHELL), grid).inside(whole)).mean() < 1e-3


def test_a_region_elsewhere_or_without_polygons_is_refused(tmp_path: Path) -> None:
    grid = study_grid(BOUNDS, "EPSG:4326", 30.0)
    with pytest.raises(DataError, match=r"region\.geojson: no polygon meets the raster, which lies at -90\.03, .* in EPSG:4326"):
        open_region(write_region(tmp_path, [(x + 30, y) for x, y in SHELL]), grid)
    with pytest.raises(ConfigError, match=r"--region: .*none\.geojson"):
        open_region(tmp_path / "none.geojson", grid)
    (tmp_path / "line.geojson").write_text('{"type": "LineString", "coordinates": [[0, 0], [1, 1]]}')
    with pytest.raises(ConfigError, match="holds no polygon"):
        open_region(tmp_path / "line.geojson", grid)
