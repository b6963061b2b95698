"""Polygons of a study: canonical text, and the patches inside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.errors import ConfigError, CropcamWarning
from cropcam.pipeline.grid import PatchGrid, PixelGrid, Window, study_grid
from cropcam.pipeline.study.polygons import canonical_polygons, meets, patches_inside, read_polygons
from support.vectors import write_vectors


@pytest.mark.parametrize("crs", ["EPSG:32615", "EPSG:5070", "EPSG:4326"])
def test_a_hold_out_may_reach_to_the_pole_and_overlap_itself(crs: str) -> None:
    size = 0.0003 if crs == "EPSG:4326" else 30.0
    west, north = (float(value) for value in transform_points("EPSG:4326", crs, -93.0, 41.0))
    grid = PatchGrid(PixelGrid(crs, (size, 0.0, west, 0.0, -size, north), 900, 900), 30)
    south, half = 40.9, [[-180, -90], [180, -90], [180, 40.9], [-180, 40.9], [-180, -90]]
    twice = {"type": "MultiPolygon", "coordinates": [[half], [[[-95, 40], [-90, 40], [-90, south], [-95, south], [-95, 40]]]]}
    inside = patches_inside(canonical_polygons(json.dumps(twice)), grid)
    rows, cols = np.mgrid[:30, :30] * 30 + 15
    _, lat = transform_points(crs, "EPSG:4326", west + cols * size, north - rows * size)
    np.testing.assert_array_equal(inside, lat < south)
    assert 0 < inside.mean() < 1


@pytest.mark.parametrize(
    "polygon",
    [
        [[[178, 51], [180, 51], [180, 53], [178, 53]]],  # as many write it, without the first point once more
        [[[178, 51], [180, 51], [180, 53], [178, 53], [178, 51]]],
    ],
)
def test_a_grid_across_180_degrees_has_a_hold_out_too(polygon: list[list[list[float]]]) -> None:
    west, north = (float(value) for value in transform_points("EPSG:4326", "EPSG:32660", 179.9, 52.0))
    grid = PatchGrid(PixelGrid("EPSG:32660", (30.0, 0.0, west, 0.0, -30.0, north), 900, 300), 30)
    inside = patches_inside(canonical_polygons(json.dumps({"type": "MultiPolygon", "coordinates": [[], polygon]})), grid)
    rows, cols = np.mgrid[:10, :30] * 30 + 15
    lon, _ = transform_points("EPSG:32660", "EPSG:4326", west + cols * 30.0, north - rows * 30.0)
    np.testing.assert_array_equal(inside, lon > 0)
    assert 0 < inside.mean() < 1


RING = [[-90.0, 41.0], [-89.0, 41.0], [-89.0, 42.0], [-90.0, 41.0]]


@pytest.mark.parametrize(
    "value",
    [
        {"type": "Polygon", "coordinates": [RING]},
        {"type": "Polygon", "coordinates": [RING[:-1]]},
        {"type": "Polygon", "coordinates": [[[*point, 230.5] for point in RING]]},
        {"type": "MultiPolygon", "coordinates": [[RING]]},
        {"type": "Feature", "properties": {"name": "x"}, "geometry": {"type": "Polygon", "coordinates": [RING]}},
        {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": {"type": "MultiPolygon", "coordinates": [[RING]]}}]},
        {"type": "GeometryCollection", "geometries": [{"type": "Polygon", "coordinates": [RING]}]},
    ],
)
def test_equal_areas_have_equal_canonical_text(value: dict[str, object]) -> None:
    expected = '{"coordinates":[[[[-90.0,41.0],[-89.0,41.0],[-89.0,42.0],[-90.0,41.0]]]],"type":"MultiPolygon"}'
    found = canonical_polygons(json.dumps(value, indent=3))
    assert found == expected
    assert canonical_polygons(found) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hold.geojson", "'hold.geojson' is not GeoJSON with polygons, nor the path of such a file"),
        ("{", "the GeoJSON, line 1, column 2: not JSON: expecting property name enclosed in double quotes; correct it, or convert"),
        ("[1, 2]", "is not GeoJSON with polygons"),
        ('{"type": "Polygon", "coordinates": [[[1, 2], [3]]]}', "is not GeoJSON with polygons"),
        ('{"type": "LineString", "coordinates": [[1, 2], [3, 4]]}', "the GeoJSON holds no polygon"),
        ('{"type": "Polygon", "coordinates": [[[1, 2], [3, 4]]]}', "the GeoJSON: holds no polygon: a ring of 2 positions"),
        ('{"type": "Polygon", "coordinates": [[[1, 2], [3, 4], [5, 91]]]}', "coordinates are not degrees"),
    ],
)
def test_text_without_polygons_in_degrees_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        canonical_polygons(text)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=5))
def test_polygons_that_overlap_cover_the_same_area_once(boxes: list[tuple[int, int, int, int]]) -> None:
    rings = [[[x, y], [x + w, y], [x + w, y + h], [x, y + h], [x, y]] for x, y, w, h in boxes]
    text = canonical_polygons(json.dumps({"type": "MultiPolygon", "coordinates": [[ring] for ring in rings]}))
    covered = {(x + i, y + j) for x, y, w, h in boxes for i in range(w) for j in range(h)}
    parts = [shapely.Polygon(shell, holes) for shell, *holes in json.loads(text)["coordinates"]]
    assert sum(part.area for part in parts) == pytest.approx(len(covered))
    union = shapely.union_all(parts)
    for i, j in ((i, j) for i in range(10) for j in range(10)):
        assert union.contains(shapely.Point(i + 0.5, j + 0.5)) == ((i, j) in covered)


def test_patches_are_inside_by_their_centre_and_holes_are_outside() -> None:
    grid = PatchGrid(PixelGrid("EPSG:4326", (0.001, 0.0, -90.0, 0.0, -0.001, 41.0), 120, 90), 10)
    outer = [[-89.96, 40.93], [-89.92, 40.93], [-89.92, 40.98], [-89.96, 40.98], [-89.96, 40.93]]
    hole = [[-89.95, 40.95], [-89.93, 40.95], [-89.93, 40.97], [-89.95, 40.97], [-89.95, 40.95]]
    inside = patches_inside(canonical_polygons(json.dumps({"type": "Polygon", "coordinates": [outer, hole]})), grid)
    rows, cols = np.mgrid[:9, :12]
    lon, lat = -90 + (cols + 0.5) * 0.01, 41 - (rows + 0.5) * 0.01
    within = (lon > -89.96) & (lon < -89.92) & (lat > 40.93) & (lat < 40.98)
    hollow = (lon > -89.95) & (lon < -89.93) & (lat > 40.95) & (lat < 40.97)
    np.testing.assert_array_equal(inside, within & ~hollow)
    far = '{"type": "Polygon", "coordinates": [[[10, 50], [11, 50], [11, 51], [10, 50]]]}'
    assert not patches_inside(canonical_polygons(far), grid).any()


def test_a_file_of_polygons_is_read_as_it_is_or_named(tmp_path: Path) -> None:
    path = tmp_path / "area.geojson"
    with pytest.raises(ConfigError, match=r"^area\.region: .*area\.geojson: no such file; name a GeoJSON, GeoPackage"):
        read_polygons(path, "area.region")
    text = json.dumps({"type": "Polygon", "coordinates": [RING], "name": "N\xf6rdlich"}, ensure_ascii=False)
    path.write_bytes(text.encode("cp1252"))
    with pytest.raises(ConfigError, match=r"^area\.region: .*area\.geojson, line 1, column \d+: byte 0xf6 is not UTF-8; save a GeoJSON"):
        read_polygons(path, "area.region")
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-be"):
        path.write_bytes(text.encode(encoding))
        assert read_polygons(path, "area.region") == canonical_polygons(text)
    with pytest.raises(ConfigError, match=r"area\.shp: only GeoPackage .* convert it: ogr2ogr area\.gpkg area\.shp$"):
        read_polygons(tmp_path / "area.shp", "area.region")
    path.write_text(f"{text}\n{text}")
    with pytest.raises(ConfigError, match=r"area\.geojson, line 2, column 1: not JSON: extra data; .* ogr2ogr polygons\.gpkg FILE$"):
        read_polygons(path, "area.region")


def test_what_is_no_polygon_is_left_out_and_counted() -> None:
    polygon = {"type": "Polygon", "coordinates": [RING]}
    rest = [None, None, {"type": "Point", "coordinates": [0, 0]}, {"type": "Polygon", "coordinates": []}]
    value = {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": each} for each in [polygon, *rest]]}
    message = r"^the GeoJSON: 4 of its 5 geometries are no polygons and are left out: 3 without a geometry, 1 Point$"
    with pytest.warns(CropcamWarning, match=message):
        assert canonical_polygons(json.dumps(value)) == canonical_polygons(json.dumps(polygon))
    del value["features"][0]  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"^the GeoJSON holds no polygon but 3 without a geometry, 1 Point; give one or more Polygon"):
        canonical_polygons(json.dumps(value))


def test_a_crs_member_of_old_geojson_is_obeyed(tmp_path: Path) -> None:
    square = {"type": "Polygon", "coordinates": [[[419000, 4466720], [420000, 4466720], [420000, 4467720], [419000, 4466720]]]}
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32616"}}
    path = tmp_path / "area.geojson"
    path.write_text(
        json.dumps({"type": "FeatureCollection", "crs": crs, "features": [{"type": "Feature", "properties": {}, "geometry": square}]})
    )
    west, south, east, north = shapely.from_geojson(read_polygons(path, "area.region")).bounds
    assert (west, south, east, north) == pytest.approx((-87.952, 40.346, -87.940, 40.355), abs=2e-3)


@pytest.mark.parametrize("name", ["area.gpkg", "area.parquet"])
def test_a_geopackage_in_any_crs_is_the_same_as_its_geojson(tmp_path: Path, name: str) -> None:
    square = shapely.box(-90.1, 40.9, -90.0, 41.0)
    write_vectors(tmp_path / name, [square], {"name": ["a"]}, "EPSG:4326", to_crs="EPSG:5070")
    text = canonical_polygons(read_polygons(tmp_path / name, "area.region"))
    assert shapely.from_geojson(text).symmetric_difference(square).area < 1e-9
    with pytest.raises(ConfigError, match=r"^area\.region: .*none\.gpkg: no such file; name a GeoPackage"):
        read_polygons(tmp_path / "none.gpkg", "area.region")


@settings(max_examples=60)
@given(st.integers(0, 70), st.integers(0, 70), st.integers(1, 30), st.integers(1, 30), st.sampled_from(["EPSG:4326", "EPSG:5070"]))
def test_a_window_that_does_not_meet_polygons_has_no_pixel_centre_inside(row: int, col: int, height: int, width: int, crs: str) -> None:
    grid = study_grid((-90.03, 41.0, -90.0, 41.03), crs, 30.0)
    shell = shapely.Polygon([(-90.021, 41.008), (-90.012, 41.006), (-90.009, 41.017), (-90.016, 41.012)])
    text = canonical_polygons(shapely.to_geojson(shell))
    window = Window(row, col, height, width)
    x, y = np.meshgrid(*grid.window(window).centres())
    lon, lat = transform_points(crs, "EPSG:4326", x, y)
    inside = shapely.contains_xy(shell, lon, lat).any()
    assert meets(text, grid, window) or not inside
    far = Window(row + 4000, col, height, width)
    assert not meets(text, grid, far)


@pytest.mark.parametrize("of_text", [0.0, 360.0])
@pytest.mark.parametrize("of_grid", [0.0, 360.0])
def test_a_longitude_is_the_same_with_360_degrees_added(of_text: float, of_grid: float) -> None:
    def inside(of_text: float, of_grid: float) -> npt.NDArray[np.bool_]:
        west = -90.3 + of_text
        ring = [[west, 40.2], [west + 0.4, 40.2], [west + 0.4, 40.6], [west, 40.6], [west, 40.2]]
        text = canonical_polygons(json.dumps({"type": "Polygon", "coordinates": [ring]}))
        grid = PixelGrid("EPSG:4326", (0.01, 0.0, -90.5 + of_grid, 0.0, -0.01, 40.8), 100, 80)
        assert meets(text, grid, Window(0, 0, 80, 100))
        return patches_inside(text, PatchGrid(grid, 5))

    expected = inside(0.0, 0.0)
    assert expected.sum() == 64
    np.testing.assert_array_equal(inside(of_text, of_grid), expected)
