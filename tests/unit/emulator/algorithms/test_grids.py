"""The lattice and the extent of images: reprojection, default projections, clips."""

from __future__ import annotations

from typing import Any

import ee
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.geometry import Geometry
from cropcam.pipeline.grid import PixelGrid, Window, resample_nearest
from support.scenes import Client
from support.small_images import DEGREES, RAMP, RAMP_GRID, box, ramp


def exported(image: Any, grid: PixelGrid) -> Any:
    """The image as the client prepares it for an export by CRS, transform and dimensions."""
    task = ee.batch.Export.image.toDrive(image, crs=grid.crs, crsTransform=list(grid.transform), dimensions=f"{grid.width}x{grid.height}")
    return task.config["expression"]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: ee.Image(1).resample("bilinear"), "Image.resample to 'bilinear'"),
    ],
)  # fmt: skip
def test_other_resampling_than_nearest_is_refused(client: Client, made: Any, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        client.value(made())


def test_reprojection_fixes_the_lattice_of_the_computation(client: Client) -> None:
    coarse = PixelGrid(RAMP_GRID.crs, (90.0, 0.0, 400_000.0, 0.0, -90.0, 4_500_000.0), 13, 10)
    once = resample_nearest(RAMP, RAMP_GRID, coarse, 0)
    twice = resample_nearest(once, coarse, RAMP_GRID, 0)
    made = ramp().reproject(coarse.crs, list(coarse.transform))
    np.testing.assert_array_equal(client.pixels(made, RAMP_GRID).filled(0)[0][:, :39], twice[:, :39])
    np.testing.assert_array_equal(client.pixels(made, coarse).filled(0)[0], once)
    assert client.value(made.projection()) == {"type": "Projection", "crs": "EPSG:32616", "transform": list(coarse.transform)}
    # a default projection is only a default
    np.testing.assert_array_equal(client.pixels(ramp().setDefaultProjection("EPSG:32616", None, 90), RAMP_GRID).filled(0)[0], RAMP)


def test_reprojection_by_scale_lies_on_multiples_of_the_scale(client: Client) -> None:
    grid = client.image(ramp().reproject("EPSG:32616", None, 70)).grid
    assert grid is not None
    assert (grid.transform[0], grid.transform[4]) == (70.0, -70.0)
    assert grid.transform[2] % 70 == grid.transform[5] % 70 == 0
    west, south, _, _ = grid.bounds_xyxy
    assert west <= 400_000 < west + 70
    assert south <= 4_500_000 - 900 < south + 70
    with pytest.raises(EngineError, match="'crsTransform' and 'scale' exclude each other"):
        client.value(ramp().reproject("EPSG:32616", list(RAMP_GRID.transform), 30))


def test_an_export_by_transform_has_the_grid_of_the_region(client: Client) -> None:
    for size in ((1, 1), (12, 7), (29, 40)):
        part = RAMP_GRID.window(Window(1, 0, *size))
        lazy = client.image(ramp().reproject(part.crs, list(part.transform)).clip(box(part)))
        assert lazy.grid == part
        around = part.window(Window(-1, -1, size[0] + 2, size[1] + 2))
        _, mask = lazy.read(around)
        assert mask[0, 1:-1, 1:-1].any()
        assert mask.sum() <= size[0] * size[1]


STEPS = st.floats(1e-5, 0.1) | st.sampled_from([30 / 111_319.490793, 10 / 111_319.490793])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(STEPS, st.floats(-179, 179), st.floats(-89, 89), st.integers(1, 32_768), st.integers(1, 32_768))
def test_an_export_by_transform_and_dimensions_has_exactly_these_rows_and_columns(
    client: Client, step: float, west: float, north: float, width: int, height: int
) -> None:
    grid = PixelGrid("EPSG:4326", (step, 0.0, west, 0.0, -step, north), width, height)
    assert client.image(exported(ramp(), grid)).grid == grid


@pytest.mark.parametrize("crs", ["EPSG:5070", "EPSG:32616", "EPSG:2271"])
@pytest.mark.parametrize("step", [30.0, 10.0, 1 / 3])
def test_an_export_by_dimensions_is_exact_in_metres_and_feet(client: Client, crs: str, step: float) -> None:
    grid = PixelGrid(crs, (step, 0.0, 497_925.1, 0.0, -step, 2_017_005.7), 8192, 505)
    lazy = client.image(exported(ee.Image(1).clip(box(grid)), grid))
    assert lazy.grid == grid
    corner = grid.window(Window(503, 8190, 3, 3))  # the last pixel of the last row, and what lies beyond
    np.testing.assert_array_equal(lazy.read(corner)[1][0], [[1, 1, 0], [1, 1, 0], [0, 0, 0]])


def test_a_rectangle_in_pixels_of_a_projection_has_coordinates_in_its_crs(client: Client) -> None:
    pixels = ee.Geometry.Rectangle([2, 1, 5, 7], ee.Projection(RAMP_GRID.crs, list(RAMP_GRID.transform)), False)
    assert client.image(ramp().clip(pixels)).grid == RAMP_GRID.window(Window(1, 2, 6, 3))
    west, south, east, north = RAMP_GRID.window(Window(1, 2, 6, 3)).bounds_xyxy
    ring = client.value(pixels)["coordinates"][0]
    assert sorted({x for x, _ in ring}) == [west, east]
    assert sorted({y for _, y in ring}) == [south, north]


def test_an_export_by_scale_lies_on_multiples_of_the_scale(client: Client) -> None:
    region = ee.Geometry.Rectangle([-88.181, 40.641, -88.171, 40.646], None, False)
    made = ramp().setDefaultProjection("EPSG:32616").clipToBoundsAndScale(geometry=region, scale=30)
    grid = client.image(made).grid
    assert grid is not None
    assert grid.transform[0] == 30
    assert grid.transform[2] % 30 == 0
    west, south, east, north = Geometry.rectangle((-88.181, 40.641, -88.171, 40.646)).bounds("EPSG:32616")
    assert grid.transform[2] <= west < grid.transform[2] + 30
    assert grid.bounds_xyxy[1] <= south < grid.bounds_xyxy[1] + 30
    assert grid.bounds_xyxy[2] - 30 < east <= grid.bounds_xyxy[2]
    assert grid.bounds_xyxy[3] - 30 < north <= grid.bounds_xyxy[3]
    np.testing.assert_array_equal(client.pixels(made, grid).filled(0)[0], resample_nearest(RAMP, RAMP_GRID, grid, 0))
    sized = client.image(ramp().clipToBoundsAndScale(width=8, height=10)).grid
    assert sized is not None
    assert sized.shape_yx == (10, 8)
    longest = client.image(ramp().clipToBoundsAndScale(maxDimension=20)).grid
    assert longest is not None
    assert longest.shape_yx == (15, 20)
    with pytest.raises(EngineError, match="exclude each other"):
        client.value(ramp().clipToBoundsAndScale(maxDimension=20, scale=3))
    with pytest.raises(EngineError, match="A geometry is required"):
        client.value(ee.Image(1).clipToBoundsAndScale(scale=3))


def test_clips_keep_pixels_whose_centres_lie_inside(client: Client) -> None:
    triangle = ee.Geometry.Polygon([[400_000, 4_500_000], [401_200, 4_500_000], [400_000, 4_499_100]], ee.Projection(RAMP_GRID.crs), False)
    mask = ~np.ma.getmaskarray(client.pixels(ramp().clip(triangle), RAMP_GRID))[0]
    x, y = RAMP_GRID.centres()
    np.testing.assert_array_equal(mask, (x[None] - 400_000) / 1200 + (4_500_000 - y[:, None]) / 900 < 1)
    described = client.value(ramp().clip(box(RAMP_GRID.window(Window(5, 7, 4, 3)))))["bands"][0]
    assert (described["dimensions"], described["origin"]) == ([3, 4], [7, 5])
    feature = ee.Feature(triangle)
    np.testing.assert_array_equal(~np.ma.getmaskarray(client.pixels(ramp().clip(feature), RAMP_GRID))[0], mask)
    collection = ee.FeatureCollection([feature])
    np.testing.assert_array_equal(~np.ma.getmaskarray(client.pixels(ramp().clipToCollection(collection), RAMP_GRID))[0], mask)


def test_holes_of_a_polygon_are_outside(client: Client) -> None:
    outer = [[-88.19, 40.63], [-88.16, 40.63], [-88.16, 40.65], [-88.19, 40.65]]
    inner = [[-88.1821, 40.6421], [-88.1781, 40.6421], [-88.1781, 40.6451], [-88.1821, 40.6451]]
    made = ee.Image(1).clip(ee.Geometry.Polygon([outer, inner], None, False))
    mask = ~np.ma.getmaskarray(client.pixels(made, DEGREES))[0]
    x, y = np.meshgrid(*DEGREES.centres())
    hole = (x > -88.1821) & (x < -88.1781) & (y > 40.6421) & (y < 40.6451)
    assert hole.any()
    np.testing.assert_array_equal(mask, ~hole)


def test_an_image_with_bands_on_several_lattices_has_no_projection(client: Client) -> None:
    mixed = ramp().addBands(ramp().reproject("EPSG:5070", None, 30))
    with pytest.raises(EngineError, match="different projections"):
        client.value(mixed.projection())
    assert client.value(mixed.select(1).projection())["crs"] == "EPSG:5070"
    assert client.value(ee.FeatureCollection([ee.Feature(box(RAMP_GRID))]).geometry())["geometries"][0]["type"] == "Polygon"
    assert client.value(ee.ImageCollection([ramp()]).geometry().bounds(1, ee.Projection(RAMP_GRID.crs)))["coordinates"][0][0] == [
        400_000,
        4_499_100,
    ]
    with pytest.raises(EngineError, match="Expected type: Geometry"):
        client.value(ee.ApiFunction.call_("Image.clip", input=ramp(), geometry="here"))
    with pytest.raises(EngineError, match="must be given together"):
        client.value(ramp().clipToBoundsAndScale(width=3))
