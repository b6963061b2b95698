"""Regions: their names, shares of pixels, other CRS, and files that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.errors import CropcamWarning, DataError
from cropcam.pipeline.grid import Window
from cropcam.pipeline.maps.regions import read_regions
from support.memory_source import make_grid
from support.vectors import write_vectors

GRID = make_grid(40, 30)
WEST, SOUTH, EAST, NORTH = GRID.bounds_xyxy


def test_shares_of_pixels_are_exact(tmp_path: Path) -> None:
    box = shapely.box(WEST + 15, SOUTH, WEST + 90, NORTH)
    regions = read_regions(write_vectors(tmp_path / "r.gpkg", [box, shapely.box(*GRID.bounds_xyxy)], {"Name": ["a", "b"]}, GRID.crs), GRID)
    assert (regions.names, regions.inside) == (("a", "b"), (1.0, 1.0))
    (first, part), (second, whole) = regions.covers(GRID.window(Window(10, 0, 5, 30)))
    assert (first, second) == (0, 1)
    np.testing.assert_allclose(part[:, :4], [[0.5, 1, 1, 0]] * 5)
    assert (whole == 1).all()
    assert regions.covers(GRID.window(Window(10, 20, 5, 5)))[0][0] == 1
    assert regions.holds(0, np.array([WEST + 10, WEST + 20]), np.array([NORTH - 1.0] * 2)).tolist() == [False, True]


def test_long_edges_in_degrees_are_bent_and_a_part_outside_is_measured(tmp_path: Path) -> None:
    lon, lat = transform_points(GRID.crs, "EPSG:4326", [WEST, EAST], [SOUTH, NORTH])
    middle = float(lat.mean())
    box = shapely.box(lon[0] - 1, lat[0] - 1, lon[1] + 1, middle)  # its upper edge is a parallel of 2 degrees
    regions = read_regions(write_vectors(tmp_path / "r.geojson", [box], {}, "EPSG:4326"), GRID)
    assert regions.names == ("1",)
    x = np.array([WEST + 1.0, (WEST + EAST) / 2, EAST - 1.0])
    along, _ = transform_points(GRID.crs, "EPSG:4326", x, np.full(3, SOUTH))
    _, y = transform_points("EPSG:4326", GRID.crs, along, np.full(3, middle))
    assert regions.holds(0, x, y - 0.5).all()
    assert not regions.holds(0, x, y + 0.5).any()
    assert 0 < regions.inside[0] < 0.001


def test_features_without_a_geometry_are_left_out_with_a_warning(tmp_path: Path) -> None:
    box = shapely.box(WEST, SOUTH, EAST, NORTH)
    file = write_vectors(tmp_path / "r.gpkg", [None, box, shapely.Polygon()], {}, GRID.crs)
    with pytest.warns(CropcamWarning, match=r"r\.gpkg: 2 of its 3 features have no geometry and are left out$"):
        regions = read_regions(Path(file), GRID)
    assert (regions.names, regions.inside) == (("2",), (1.0,))
    none = write_vectors(tmp_path / "none.gpkg", [None], {}, GRID.crs)
    with pytest.warns(CropcamWarning), pytest.raises(DataError, match=r"none of its 1 features has a geometry; give polygons$"):
        read_regions(Path(none), GRID)


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    points = write_vectors(tmp_path / "p.gpkg", [shapely.Point(WEST, SOUTH)], {}, GRID.crs)
    with pytest.raises(DataError, match=r"1 of its 1 features are no polygons, the first is a Point; give polygons alone"):
        read_regions(points, GRID)
    away = write_vectors(tmp_path / "a.gpkg", [shapely.box(0, 0, 1, 1)], {}, "EPSG:4326")
    with pytest.raises(DataError, match=r"none of its 1 regions lies in the map: .* check the CRS of the file, EPSG:4326"):
        read_regions(away, GRID)
