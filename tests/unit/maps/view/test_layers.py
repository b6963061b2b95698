"""The scene as values."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.maps.view.layers import MAP, Layer, Scene, classes_key, ramp_key, swatches_key
from support.memory_source import LEGEND, make_grid

LAYER = Layer("classes", MAP, "Classes", "", Path("/somewhere/secret/map.tif"), (1,))


def scene(grid: PixelGrid) -> Scene:
    return Scene("map.tif", "map", grid, (LAYER,), {})


def test_the_page_learns_no_path() -> None:
    text = json.dumps(scene(make_grid(100, 200)).to_json())
    assert "secret" not in text
    assert '"id": "classes"' in text


def test_a_layer_is_found_by_its_id_alone() -> None:
    found = scene(make_grid(10, 10))
    assert found.layer("classes") is LAYER
    assert found.layer("../classes") is None
    assert found.legend is None


def test_the_bounds_are_those_of_the_grid_in_degrees() -> None:
    south, west, north, east = scene(PixelGrid("EPSG:4326", (0.01, 0.0, -94.0, 0.0, -0.01, 41.5), 300, 200)).bounds
    assert (south, west, north, east) == pytest.approx((39.5, -94.0, 41.5, -91.0))


@given(st.floats(1, 1000), st.sampled_from(["EPSG:32616", "EPSG:4326"]))
def test_a_pixel_of_the_native_zoom_is_as_large_as_the_grids_within_a_factor_of_the_root_of_2(scale_m: float, crs: str) -> None:
    unit = scale_m / 111_319.490793 if crs == "EPSG:4326" else scale_m
    corner = (-88.0, 40.0) if crs == "EPSG:4326" else (500_000.0, 4_500_000.0)
    found = scene(PixelGrid(crs, (unit, 0.0, corner[0], 0.0, -unit, corner[1]), 4, 4))
    south, _, north, _ = found.bounds

    pixel_m = 156_543.033928 * math.cos(math.radians((south + north) / 2)) / 2**found.native_zoom
    assert 2**-0.51 <= pixel_m / scale_m <= 2**0.51
    assert found.to_json()["max_zoom"] >= found.native_zoom


def test_the_poles_are_cut_to_the_web_map_and_a_grid_beyond_it_is_refused() -> None:
    world = scene(PixelGrid("EPSG:4326", (1.0, 0.0, -180.0, 0.0, -1.0, 90.0), 360, 180))
    assert world.bounds == pytest.approx((-85.05, -180, 85.05, 180))
    with pytest.raises(DataError, match=r"^map\.tif: its grid lies outside the reach of a web map"):
        _ = replace(world, grid=PixelGrid("EPSG:4326", (0.1, 0.0, 0.0, 0.0, -0.1, 90.0), 10, 10)).bounds


def test_legends_as_json_values() -> None:
    assert classes_key(LEGEND, "truth")["items"][0] == {"name": "background", "color": LEGEND.classes[0].color_hex}
    assert swatches_key(("a",), [(1, 2, 3)]) == {"kind": "swatches", "items": [{"name": "a", "color": "#010203"}]}
    assert ramp_key("probability", "0 %", "100 %")["low"] == "0 %"
