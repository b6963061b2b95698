"""Where images lie: reprojection, default projections, clips, geometries."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import ee
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.geometry import Geometry
from cropcam.pipeline.emulator.projections import Projection, affine
from cropcam.pipeline.grid import PixelGrid, Window, resample_nearest
from cropcam.pipeline.parallel import ordered
from support import scenes
from support.scenes import Client, write_asset

GRID = PixelGrid("EPSG:32616", (30.0, 0.0, 400_000.0, 0.0, -30.0, 4_500_000.0), 40, 30)
VALUES = np.arange(1200, dtype=np.uint16).reshape(30, 40) + 1
DEGREES = PixelGrid("EPSG:4326", (0.0004, 0.0, -88.185, 0.0, -0.0003, 40.648), 40, 30)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("archive")
    write_asset(folder / "T/image", {"a": VALUES}, GRID, {"a": 0})
    with scenes.client(folder) as found:
        yield found


def image() -> Any:
    return ee.Image("T/image")


def box(grid: PixelGrid) -> Any:
    west, south, east, north = grid.bounds_xyxy
    return ee.Geometry.Rectangle([west, south, east, north], grid.crs, False)


def test_pixels_come_by_the_exact_nearest_rule(client: Client) -> None:
    expected = resample_nearest(VALUES, GRID, DEGREES, 0)
    assert len(np.unique(expected)) > 300
    np.testing.assert_array_equal(client.pixels(image(), DEGREES).filled(0)[0], expected)


def test_reprojection_fixes_the_lattice_pixels_are_computed_on(client: Client) -> None:
    coarse = PixelGrid(GRID.crs, (90.0, 0.0, 400_000.0, 0.0, -90.0, 4_500_000.0), 13, 10)
    once = resample_nearest(VALUES, GRID, coarse, 0)
    twice = resample_nearest(once, coarse, GRID, 0)
    made = image().reproject(coarse.crs, list(coarse.transform))
    np.testing.assert_array_equal(client.pixels(made, GRID).filled(0)[0][:, :39], twice[:, :39])
    np.testing.assert_array_equal(client.pixels(made, coarse).filled(0)[0], once)
    assert client.value(made.projection()) == {"type": "Projection", "crs": "EPSG:32616", "transform": list(coarse.transform)}
    # a default projection is only a default
    np.testing.assert_array_equal(client.pixels(image().setDefaultProjection("EPSG:32616", None, 90), GRID).filled(0)[0], VALUES)


def test_reprojection_by_scale_lies_on_multiples_of_the_scale(client: Client) -> None:
    grid = client.image(image().reproject("EPSG:32616", None, 70)).grid
    assert grid is not None
    assert (grid.transform[0], grid.transform[4]) == (70.0, -70.0)
    assert grid.transform[2] % 70 == grid.transform[5] % 70 == 0
    west, south, _, _ = grid.bounds_xyxy
    assert west <= 400_000 < west + 70
    assert south <= 4_500_000 - 900 < south + 70
    with pytest.raises(EngineError, match="'crsTransform' and 'scale' exclude each other"):
        client.value(image().reproject("EPSG:32616", list(GRID.transform), 30))


def test_an_export_by_transform_has_the_region_s_grid(client: Client) -> None:
    for size in ((1, 1), (12, 7), (29, 40)):
        part = GRID.window(Window(1, 0, *size))
        lazy = client.image(image().reproject(part.crs, list(part.transform)).clip(box(part)))
        assert lazy.grid == part
        around = part.window(Window(-1, -1, size[0] + 2, size[1] + 2))
        _, mask = lazy.read(around)
        assert mask[0, 1:-1, 1:-1].any()
        assert mask.sum() <= size[0] * size[1]


def test_an_export_by_scale_lies_on_multiples_of_the_scale(client: Client) -> None:
    region = ee.Geometry.Rectangle([-88.181, 40.641, -88.171, 40.646], None, False)
    made = image().setDefaultProjection("EPSG:32616").clipToBoundsAndScale(geometry=region, scale=30)
    grid = client.image(made).grid
    assert grid is not None
    assert grid.transform[0] == 30
    assert grid.transform[2] % 30 == 0
    west, south, east, north = Geometry.rectangle((-88.181, 40.641, -88.171, 40.646)).bounds("EPSG:32616")
    assert grid.transform[2] <= west < grid.transform[2] + 30
    assert grid.bounds_xyxy[1] <= south < grid.bounds_xyxy[1] + 30
    assert grid.bounds_xyxy[2] - 30 < east <= grid.bounds_xyxy[2]
    assert grid.bounds_xyxy[3] - 30 < north <= grid.bounds_xyxy[3]
    np.testing.assert_array_equal(client.pixels(made, grid).filled(0)[0], resample_nearest(VALUES, GRID, grid, 0))
    sized = client.image(image().clipToBoundsAndScale(width=8, height=10)).grid
    assert sized is not None
    assert sized.shape_yx == (10, 8)
    longest = client.image(image().clipToBoundsAndScale(maxDimension=20)).grid
    assert longest is not None
    assert longest.shape_yx == (15, 20)
    with pytest.raises(EngineError, match="exclude each other"):
        client.value(image().clipToBoundsAndScale(maxDimension=20, scale=3))
    with pytest.raises(EngineError, match="A geometry is required"):
        client.value(ee.Image(1).clipToBoundsAndScale(scale=3))


def test_clips_keep_pixels_whose_centres_lie_inside(client: Client) -> None:
    triangle = ee.Geometry.Polygon([[400_000, 4_500_000], [401_200, 4_500_000], [400_000, 4_499_100]], ee.Projection(GRID.crs), False)
    mask = ~np.ma.getmaskarray(client.pixels(image().clip(triangle), GRID))[0]
    x, y = GRID.centres()
    np.testing.assert_array_equal(mask, (x[None] - 400_000) / 1200 + (4_500_000 - y[:, None]) / 900 < 1)
    described = client.value(image().clip(box(GRID.window(Window(5, 7, 4, 3)))))["bands"][0]
    assert (described["dimensions"], described["origin"]) == ([3, 4], [7, 5])
    feature = ee.Feature(triangle)
    np.testing.assert_array_equal(~np.ma.getmaskarray(client.pixels(image().clip(feature), GRID))[0], mask)
    collection = ee.FeatureCollection([feature])
    np.testing.assert_array_equal(~np.ma.getmaskarray(client.pixels(image().clipToCollection(collection), GRID))[0], mask)


def test_holes_are_outside(client: Client) -> None:
    outer = [[-88.19, 40.63], [-88.16, 40.63], [-88.16, 40.65], [-88.19, 40.65]]
    inner = [[-88.1821, 40.6421], [-88.1781, 40.6421], [-88.1781, 40.6451], [-88.1821, 40.6451]]
    made = ee.Image(1).clip(ee.Geometry.Polygon([outer, inner], None, False))
    mask = ~np.ma.getmaskarray(client.pixels(made, DEGREES))[0]
    x, y = np.meshgrid(*DEGREES.centres())
    hole = (x > -88.1821) & (x < -88.1781) & (y > 40.6421) & (y < 40.6451)
    assert hole.any()
    np.testing.assert_array_equal(mask, ~hole)


def test_geodesic_edges_bulge_towards_the_pole() -> None:
    planar, geodesic = (Geometry.rectangle((-94, 37, -86, 41.5), geodesic=flag) for flag in (False, True))
    assert planar.box == (-94, 37, -86, 41.5)
    assert geodesic.box is None
    assert planar.bounds("EPSG:4326") == (-94, 37, -86, 41.5)
    assert 41.55 < geodesic.bounds("EPSG:4326")[3] < 41.65
    points = np.array([-90.0]), np.array([41.52])
    assert not planar.contains(*points)[0]
    assert geodesic.contains(*points)[0]


boxes = st.tuples(*[st.integers(-20, 20)] * 4).map(lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]) + 1, max(b[1], b[3]) + 1))


@settings(deadline=None)
@given(boxes, boxes)
def test_rectangles_meet_as_intervals_do(first: Any, second: Any) -> None:
    expected = first[0] <= second[2] and second[0] <= first[2] and first[1] <= second[3] and second[1] <= first[3]
    one, two = Geometry.rectangle(first), Geometry.rectangle(second)
    assert one.intersects(two) == two.intersects(one) == expected


@settings(deadline=None)
@given(boxes, st.integers(-200, 200), st.integers(-200, 200))
def test_the_fast_box_agrees_with_the_crossing_rule(bounds: Any, x: int, y: int) -> None:
    px, py = np.array([x / 10 + 0.05]), np.array([y / 10 + 0.05])
    west, south, east, north = bounds
    slow = Geometry("Polygon", (((west, south), (east, south), (east, south), (east, north), (west, north), (west, south)),))
    sheared = Geometry(
        "Polygon", (((west, south), (east, south), (east, north), ((west + east) / 2, north), (west, north), (west, south)),)
    )
    assert Geometry.rectangle(bounds).contains(px, py) == slow.contains(px, py) == sheared.contains(px, py)


@given(
    st.floats(1, 100), st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 40), st.integers(1, 40),
)  # fmt: skip
def test_a_window_s_bounds_are_covered_by_that_window(step: float, x: float, y: float, row: int, col: int, height: int, width: int) -> None:
    lattice, window = Projection("EPSG:3857", (step, 0.0, x, 0.0, -step, y)), Window(row, col, height, width)
    grid = lattice.grid(window)
    assume(math.isfinite(step))
    assert lattice.covering(grid.bounds_xyxy) == window
    assert lattice.holds(grid)
    assert not Projection("EPSG:3857", (step, 0.0, x + step / 3, 0.0, -step, y)).holds(grid)
    assert not Projection("EPSG:5070", lattice.transform).holds(grid)


def test_projections(client: Client) -> None:
    assert client.value(image().projection().nominalScale()) == 30
    assert client.value(ee.Projection("EPSG:4326").nominalScale()) == pytest.approx(111_319.490793)
    assert client.value(image().projection().crs()) == "EPSG:32616"
    assert client.value(ee.Projection("EPSG:32616").atScale(10)) == {
        "type": "Projection",
        "crs": "EPSG:32616",
        "transform": [10.0, 0.0, 0.0, 0.0, -10.0, 0.0],
    }
    assert client.value(image().projection().translate(2, 3))["transform"] == [30.0, 0.0, 400_060.0, 0.0, -30.0, 4_499_910.0]
    assert client.value(image().projection().scale(2, 2))["transform"][0] == 60
    assert "elt_0_2" in client.value(image().projection().transform())
    assert client.value(image().projection().wkt()).startswith("PROJCS")
    assert client.value(ee.Image(1).projection())["crs"] == "EPSG:4326"
    for transform, message in (([1, 2], "a list of 6 numbers"), ([0, 0, 0, 0, 0, 0], "not invertible")):
        with pytest.raises(EngineError, match=message):
            affine(transform)
    with pytest.raises(EngineError, match="A sheared or rotated CRS transform is not implemented"):
        client.value(image().reproject("EPSG:32616", [30, 1, 0, 0, -30, 0]))


def test_geometries(client: Client) -> None:
    rectangle = ee.Geometry.Rectangle([-90, 40, -89, 41], None, False)
    assert client.value(rectangle.bounds())["coordinates"] == [[[-90, 40], [-89, 40], [-89, 41], [-90, 41], [-90, 40]]]
    assert client.value(rectangle.coordinates())[0][2] == [-89, 41]
    assert client.value(rectangle.type()) == "Polygon"
    assert client.value(rectangle.centroid(1))["coordinates"] == pytest.approx([-89.5, 40.5])
    assert client.value(rectangle.projection())["crs"] == "EPSG:4326"
    assert client.value(ee.Geometry.Point([1, 2])) == {"type": "Point", "coordinates": [1, 2]}
    assert client.value(ee.Geometry.Point([-89.5, 40.5]).intersects(rectangle, 1)) is True
    assert client.value(ee.Geometry.LineString([[-91, 40.5], [-88, 40.5]]).intersects(rectangle, 1)) is True
    assert client.value(ee.Geometry.Point([-80, 40.5]).intersects(rectangle, 1)) is False
    moved = client.value(rectangle.transform("EPSG:5070", 1))
    assert moved["crs"]["properties"]["name"] == "EPSG:5070"
    assert client.value(image().geometry())["crs"]["properties"]["name"] == "EPSG:32616"
    line = ee.Geometry.LineString([[0, 0], [2, 2]])
    assert client.value(line.bounds(1))["coordinates"][0][2] == pytest.approx([2, 2])
    assert client.value(line.centroid(1))["coordinates"] == [1, 1]
    assert client.value(ee.Geometry.MultiPoint([[0, 0], [2, 4]]).bounds(1))["coordinates"][0][2] == [2, 4]
    assert client.value(ee.Geometry.MultiLineString([[[0, 0], [1, 1]], [[3, 3], [4, 4]]], None, False).bounds())["coordinates"][0][2] == [
        4,
        4,
    ]
    assert client.value(ee.Geometry.LinearRing([[0, 0], [1, 0], [1, 1]], None, False).coordinates())[-1] == [0, 0]
    assert client.value(ee.Geometry.BBox(-1, -2, 3, 4).bounds().coordinates())[0][0] == [-1, -2]
    assert client.value(rectangle.geometries().length()) == 1
    assert client.value(rectangle.geodesic()) is False
    assert client.value(rectangle.isUnbounded()) is False
    multi = ee.Geometry.MultiPolygon([[[[0, 0], [1, 0], [1, 1]]], [[[5, 5], [6, 5], [6, 6]]]], None, False)
    assert client.value(multi.bounds())["coordinates"][0][2] == [6, 6]
    both = ee.Feature(rectangle, {"k": 1})
    assert client.value(both)["properties"] == {"k": 1}
    assert client.value(ee.FeatureCollection([both]).geometry().bounds(1))["coordinates"][0][0] == [-90, 40]
    with pytest.raises(EngineError, match="is not implemented"):
        client.value(ee.Image(1).geometry())


def call(name: str, **arguments: Any) -> Any:
    return ee.ApiFunction.apply_(name, arguments)


def test_geometry_constructors_take_what_scripts_hand_them(client: Client) -> None:
    corner, opposite = ee.Geometry.Point([0, 1]), ee.Geometry.Point([2, 3])
    rectangle = call("GeometryConstructors.Rectangle", coordinates=[corner, opposite], geodesic=False)
    assert client.value(rectangle)["coordinates"][0][2] == [2, 3]
    flat = call("GeometryConstructors.Polygon", coordinates=[0, 0, 4, 0, 4, 4], geodesic=False)
    assert client.value(flat)["coordinates"] == [[[0, 0], [4, 0], [4, 4], [0, 0]]]
    assert (
        client.value(call("GeometryConstructors.BBox", west=0, south=1, east=2, north=3))["coordinates"]
        == client.value(rectangle)["coordinates"]
    )
    both = call("GeometryConstructors.MultiGeometry", geometries=[corner, rectangle])
    assert [part["type"] for part in client.value(both)["geometries"]] == ["Point", "Polygon"]
    assert client.value(both.geometries().length()) == 2
    assert client.value(both.bounds(1))["coordinates"][0][2] == [2, 3]
    for coordinates, message in (
        ([1, 2, 3], "Odd number of coordinates"),
        ([["a", "b"]], "Invalid coordinates"),
    ):
        with pytest.raises(EngineError, match=message):
            client.value(call("GeometryConstructors.Polygon", coordinates=coordinates))
    with pytest.raises(EngineError, match="Two corner points are required"):
        client.value(call("GeometryConstructors.Rectangle", coordinates=[0, 1]))
    with pytest.raises(EngineError, match="Only geometries can be put together"):
        client.value(call("GeometryConstructors.MultiGeometry", geometries=[3]))


def test_lines_cross_or_do_not() -> None:
    def line(*points: tuple[float, float]) -> Geometry:
        return Geometry("LineString", points)

    assert line((0, 0), (3, 3.1)).intersects(line((0, 2), (3.3, 0)))
    assert not line((0, 0), (1, 1)).intersects(line((0.5, 0), (1, 0.4)))
    assert Geometry("Point", (1.0, 2.0)).intersects(Geometry("MultiPoint", ((0.0, 0.0), (1.0, 2.0))))
    nothing = Geometry.together([])
    assert not nothing.intersects(line((0, 0), (1, 1)))
    with pytest.raises(EngineError, match="empty geometry"):
        nothing.bounds("EPSG:4326")
    with pytest.raises(EngineError, match="Unable to transform the geometry"):
        Geometry("Point", (1e9, 1e9), "EPSG:5070").bounds("EPSG:32616")


def test_a_crs_without_a_code_travels_as_text(client: Client) -> None:
    own = 'PROJCS["own",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Sinusoidal"],PARAMETER["longitude_of_center",-88],PARAMETER["false_easting",0],PARAMETER["false_northing",0],UNIT["metre",1]]'
    made = image().reproject(own, None, 30)
    assert client.value(made.projection())["wkt"] == own
    grid = client.image(made).grid
    assert grid is not None
    assert (client.pixels(made, grid).filled(0) > 0).sum() > 900
    known = client.value(ee.Projection(client.value(ee.Projection("EPSG:32616").wkt())))
    assert known["crs"] == "EPSG:32616"
    with pytest.raises(EngineError, match="could not be parsed: 'nowhere'"):
        client.value(ee.Projection("nowhere"))


def test_an_image_of_bands_on_several_lattices_has_no_one_projection(client: Client) -> None:
    mixed = image().addBands(image().reproject("EPSG:5070", None, 30))
    with pytest.raises(EngineError, match="different projections"):
        client.value(mixed.projection())
    assert client.value(mixed.select(1).projection())["crs"] == "EPSG:5070"
    assert client.value(ee.FeatureCollection([ee.Feature(box(GRID))]).geometry())["geometries"][0]["type"] == "Polygon"
    assert client.value(ee.ImageCollection([image()]).geometry().bounds(1, ee.Projection(GRID.crs)))["coordinates"][0][0] == [
        400_000,
        4_499_100,
    ]
    with pytest.raises(EngineError, match="Expected type: Geometry"):
        client.value(call("Image.clip", input=image(), geometry="here"))
    with pytest.raises(EngineError, match="must be given together"):
        client.value(image().clipToBoundsAndScale(width=3))


def test_threads_read_the_same(client: Client) -> None:
    lazy = client.image(image().add(1).reproject("EPSG:5070", None, 30))
    expected = lazy.read(DEGREES)[0]
    for found in ordered(lambda _: lazy.read(DEGREES)[0], range(12), workers=4):
        np.testing.assert_array_equal(found, expected)
