"""Graphs of a window: the same pixels as the study's whole graph, from the images near it; where no image lies, nodata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ee
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.earthengine.graphs import graph
from cropcam.pipeline.earthengine.layers import count_bands
from cropcam.pipeline.earthengine.nearby import MARGIN_M, nearby
from cropcam.pipeline.earthengine.scenes import scenes as scenes_of
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.study.study import Study, parse_study
from support import scenes
from support.engines import invocations
from support.scenes import Client, millis, write_asset

BOUNDS = [-90.8, 40.6, -89.2, 41.4]  # 135 x 89 km over the border of two UTM zones
PLACES = [(-90.9 + 0.14 * number, 40.62 + 0.1 * ((number * 3) % 8)) for number in range(13)]  # far from each other
SEASONS = [["2018-05-01", "2018-07-01"], ["2018-07-01", "2018-09-01"]]
SENTINEL, SCORE = "COPERNICUS/S2_SR_HARMONIZED", "GOOGLE/CLOUD_SCORE_PLUS/V1/S2_HARMONIZED"
COVER = "T/COVER"


def grid_at(lon: float, lat: float, step_m: float, side_px: int) -> PixelGrid:
    crs = "EPSG:32615" if lon < -90 else "EPSG:32616"
    x, y = transform_points("EPSG:4326", crs, lon, lat)
    return PixelGrid(crs, (step_m, 0.0, float(x) // 60 * 60, 0.0, -step_m, float(y) // 60 * 60), side_px, side_px)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Two or three small scenes of each collection at each place, shifted against each other."""
    folder = tmp_path_factory.mktemp("scattered")
    for number, (place_lon, place_lat) in enumerate(PLACES * 3):
        rng = np.random.default_rng(number)
        day = f"2018-{5 + number % 4:02d}-{1 + number % 27:02d}"
        lon, lat = place_lon + 0.004 * rng.random(), place_lat + 0.004 * rng.random()
        grid = grid_at(lon, lat, 30.0, 60)
        collection = (scenes.LANDSAT, scenes.LANDSAT_9)[number % 2]
        if number % 5:  # some places have scenes of one season alone
            scenes.write_scene(folder, f"{collection}/S{number:02d}", day, grid, number, cloud_cover=float(number))
        fine, coarse = grid_at(lon, lat, 10.0, 180), grid_at(lon, lat, 20.0, 90)
        about = {"system:time_start": millis(day), "system:index": f"T{number:02d}", "CLOUDY_PIXEL_PERCENTAGE": 5.0}
        name = f"T{number:02d}"
        values = {"B4": rng.integers(1, 9000, fine.shape_yx).astype(np.uint16)}
        write_asset(folder / SENTINEL / name, values, fine, {"B4": 0}, **about)
        scores = {"cs_cdf": rng.random(fine.shape_yx).astype(np.float32)}
        write_asset(folder / SCORE / name, scores, fine, {}, **{key: value for key, value in about.items() if "CLOUD" not in key})
        codes = {
            "code": rng.choice(np.array([0, 10, 40, 50], np.uint8), coarse.shape_yx),
            "sure": rng.integers(1, 101, coarse.shape_yx).astype(np.uint8),
        }
        write_asset(folder / COVER / name, codes, coarse, {"code": 0}, **{"system:time_start": millis(day), "zone": number % 3})
    with scenes.client(folder) as found:
        yield found


def landsat(**keys: Any) -> Study:
    area = {"bounds": BOUNDS, **keys.pop("area", {})}
    image = {"collections": [scenes.LANDSAT, scenes.LANDSAT_9], "seasons": SEASONS, "mask": ["cloud", "saturated"], "count": True}
    return scenes.study(area=area, image=image | keys)


def sentinel() -> Study:
    values = {key: value for key, value in landsat().to_dict().items() if key != "labels"}
    return parse_study({**values, "image": {"sensor": "sentinel-2", "seasons": SEASONS, "bands": ["red"]}})


def cover(**keys: Any) -> Study:
    values = landsat().to_dict()
    labels = {"asset": COVER, "legend": {"10": "A", "40": "B", "50": "C"}, "mosaic": "last", **keys}
    return parse_study({**values, "labels": labels, "classes": {"a": ["A"]}})


REGION = '{"type": "Polygon", "coordinates": [[[-90.6, 40.65], [-89.5, 40.7], [-89.6, 41.3], [-90.5, 41.2], [-90.6, 40.65]]]}'
KINDS: dict[str, tuple[Study, str]] = {
    "image": (landsat(), "image"),
    "count": (landsat(), "count"),
    "clouds": (landsat(cloud_cover_max_pct=20.0, bands=["SR_B4"]), "image"),
    "region": (landsat(area={"region": REGION}), "image"),
    "albers": (landsat(area={"crs": "EPSG:5070"}), "image"),
    "derived": (landsat(derived={"ratio": "SR_B5 / SR_B4"}), "image"),
    "sentinel-2": (sentinel(), "image"),
    "last": (cover(), "labels"),
    "first": (cover(mosaic="first", weight="sure"), "labels"),
    "mode": (cover(mosaic="mode"), "labels"),
    "finer": (cover(scale_m=20, weight="sure"), "labels"),
}


@pytest.fixture(scope="module")
def wholes(client: Client) -> dict[str, Any]:  # noqa: ARG001 - graphs need an initialised client
    return {kind: graph(study, layer) for kind, (study, layer) in KINDS.items()}


@given(kind=st.sampled_from(sorted(KINDS)), place=st.integers(0, len(PLACES) - 1), shift=st.tuples(*[st.integers(-90, 90)] * 2))
@settings(max_examples=60, deadline=None)
def test_a_window_has_the_pixels_of_the_whole_graph(
    client: Client, wholes: dict[str, Any], kind: str, place: int, shift: tuple[int, int]
) -> None:
    study, layer = KINDS[kind]
    x, y = transform_points("EPSG:4326", study.grid.crs, *PLACES[place])
    a, _, c, _, e, f = study.grid.transform
    row, col = round((float(y) - f) / e) + shift[0], round((float(x) - c) / a) + shift[1]
    row, col = (min(max(at, 0), size - 16) for at, size in zip((row, col), study.grid.shape_yx, strict=True))
    window = study.grid.window(Window(row, col, 16, 16))
    near = graph(study, layer, window)
    whole, found = client.image(wholes[kind]), client.image(near)
    assert [(band.name, band.type) for band in found.bands] == [(band.name, band.type) for band in whole.bands]
    expected, pixels = client.pixels(wholes[kind], window), client.pixels(near, window)
    np.testing.assert_array_equal(np.ma.getmaskarray(pixels), np.ma.getmaskarray(expected))
    np.testing.assert_array_equal(pixels.filled(0), expected.filled(0))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_where_no_image_lies_is_nodata(client: Client, kind: str) -> None:
    study, layer = KINDS[kind]
    x, y = transform_points("EPSG:4326", study.grid.crs, -90.75, 41.35)  # 20 km from any image
    row, col = (int(at[0]) for at in study.grid.index([x], [y]))
    window = study.grid.window(Window(row, col, 8, 8))
    area = nearby(study, window)
    assert client.value(scenes_of(study, tuple(SEASONS[0]), area=area).size()) == 0
    nodata = study.image.encoding.fill if layer == "image" else 0
    pixels = client.pixels(graph(study, layer, window), window)
    assert not np.ma.getmaskarray(pixels).any()
    bands = pixels.data
    if layer == "image":
        counts = client.value(graph(study, layer, window).bandNames())[len(study.image.layers) :]
        assert counts == list(count_bands(study)) * study.image.count
        assert (bands[len(study.image.layers) :] == 0).all()
        bands = bands[: len(study.image.layers)]
    assert (bands == nodata).all()


def test_far_images_are_left_out(client: Client) -> None:
    study = landsat()
    lon, lat = PLACES[5]
    row, col = (int(at[0]) for at in study.grid.index([lon], [lat]))
    area = nearby(study, study.grid.window(Window(row, col, 16, 16)))
    every = client.value(scenes_of(study, tuple(SEASONS[1])).size())
    near = client.value(scenes_of(study, tuple(SEASONS[1]), area=area).size())
    assert 0 < near < every / 4


def test_the_rectangle_has_the_margin_on_every_side(client: Client) -> None:  # noqa: ARG001 - an initialised client
    for study in (landsat(), landsat(area={"crs": "EPSG:5070"}), landsat(area={"bounds": [20.0, 68.0, 21.0, 68.5], "scale_m": 100.0})):
        grid = study.grid.window(Window(10, 10, 50, 50))
        box = next(invocations(ee.serializer.encode(nearby(study, grid))))["arguments"]["coordinates"]["constantValue"]
        west, south, east, north = grid.bounds_xyxy
        x, y = transform_points(grid.crs, "EPSG:4326", [west, east, west, east], [south, south, north, north])
        geod = Geod(ellps="WGS84")
        for lon, lat in zip(x, y, strict=True):
            for edge_lon, edge_lat in ((box[0], lat), (box[2], lat), (lon, box[1]), (lon, box[3])):
                assert geod.inv(lon, lat, edge_lon, edge_lat)[2] > MARGIN_M


@pytest.mark.parametrize(
    "bounds", [[179.0, 10.0, 180.0, 11.0], [-180.0, 10.0, -179.0, 11.0], [20.0, 84.5, 21.0, 85.5]], ids=["east", "west", "north"]
)
def test_at_180_degrees_and_near_the_poles_the_whole_collection_stays(client: Client, bounds: list[float]) -> None:  # noqa: ARG001
    study = landsat(area={"bounds": bounds, "scale_m": 100.0})
    corner = study.grid.window(Window(0, study.grid.width - 8 if bounds[0] > 0 else 0, 8, 8))
    assert nearby(study, corner) is None
    assert ee.serializer.encode(graph(study, "image", corner)) == ee.serializer.encode(graph(study, "image"))
    inland = study.grid.window(Window(study.grid.height // 2, study.grid.width // 2, 8, 8))
    assert (nearby(study, inland) is None) == (bounds[1] > 80)


def test_polar_grids_are_not_limited(client: Client) -> None:  # noqa: ARG001 - an initialised client
    study = landsat(area={"bounds": [-180.0, 60.0, 180.0, 89.0], "crs": "EPSG:3413", "scale_m": 5_000.0})
    grid = study.grid
    pole = grid.index([0.0], [0.0])
    assert nearby(study, grid.window(Window(int(pole[0][0]) - 2, int(pole[1][0]) - 2, 4, 4))) is None
    crossing = transform_points("EPSG:4326", grid.crs, 180.0, 70.0)
    row, col = (int(at[0]) for at in grid.index([crossing[0]], [crossing[1]]))
    assert nearby(study, grid.window(Window(row - 2, col - 2, 4, 4))) is None
