"""Images as values: types of bands, descriptions, reads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.geometry import Geometry
from cropcam.pipeline.emulator.images import Band, BandType, LazyImage
from cropcam.pipeline.emulator.pixels import Constant
from cropcam.pipeline.emulator.projections import Projection
from cropcam.pipeline.grid import Window
from support.scenes import Client
from support.small_images import ASSET, DEGREES, GRID, B, data_types, image, ramp


def test_an_asset_is_described_as_by_getinfo(client: Client) -> None:
    found = client.value(image())
    assert (found["type"], found["id"]) == ("Image", ASSET)
    assert found["bands"][0] == {
        "id": "a",
        "data_type": {"type": "PixelType", "precision": "int", "min": 0, "max": 65535},
        "dimensions": [4, 3],
        "crs": "EPSG:32616",
        "crs_transform": [30.0, 0.0, 400_000.0, 0.0, -30.0, 4_500_000.0],
    }
    assert found["properties"] == {"system:time_start": 0, "n": 3, "name": "x", "system:index": "image"}
    assert data_types(client, image()) == [("int", 0, 65535), ("int", -32768, 32767), ("float", None, None)]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2), st.integers(0, 3), st.integers(1, 3), st.integers(1, 4))
def test_reads_are_a_function_of_the_grid_alone(client: Client, row: int, col: int, height: int, width: int) -> None:
    window = Window(row, col, min(height, 3 - row), min(width, 4 - col))
    built = image().select(["a", "b"]).add(0.25).updateMask(image().select("b").gt(-3)).unmask(5)
    whole, part = client.pixels(built, GRID), client.pixels(built, GRID.window(window))
    np.testing.assert_array_equal(part.filled(-1), whole.filled(-1)[:, *window.slices])


def test_reads_need_known_bands(client: Client) -> None:
    lazy = client.image(image())
    values, _ = lazy.read(GRID, ["b"])
    assert (values.dtype, values.shape) == (np.int16, (1, 3, 4))
    np.testing.assert_array_equal(lazy.read(GRID, ["c", "b"])[0][1], B)
    with pytest.raises(EngineError, match="did not match any bands"):
        lazy.read(GRID, ["q"])
    with pytest.raises(EngineError, match="Image has no bands"):
        client.image(image().select([])).read(GRID)


def test_threads_read_the_same_pixels(client: Client) -> None:
    lazy = client.image(ramp().add(1).reproject("EPSG:5070", None, 30))
    expected = lazy.read(DEGREES)[0]
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: lazy.read(DEGREES)[0], range(12)):
            np.testing.assert_array_equal(found, expected)


@given(st.integers(-(2**40), 2**40), st.integers(-(2**40), 2**40))
def test_a_whole_range_has_the_smallest_type_that_holds_it(one: int, two: int) -> None:
    low, high = min(one, two), max(one, two)
    dtype = BandType("int", low, high).dtype
    assert np.iinfo(dtype).min <= low
    assert high <= np.iinfo(dtype).max
    smaller = [name for name in ("uint8", "int8", "uint16", "int16", "uint32", "int32") if np.dtype(name).itemsize < dtype.itemsize]
    assert not any(np.iinfo(name).min <= low and high <= np.iinfo(name).max for name in smaller)


@pytest.mark.parametrize(
    ("dtype", "expected"), [("uint8", ("int", 0, 255)), ("bool", ("int", 0, 255)), ("int16", ("int", -32768, 32767)), ("float32", ("float", None, None)), ("float64", ("double", None, None))]
)  # fmt: skip
def test_a_numpy_type_has_its_full_range(dtype: str, expected: tuple[Any, ...]) -> None:
    kind = BandType.of(dtype)
    assert (kind.precision, kind.min, kind.max) == expected


def test_the_grid_of_an_image_is_that_of_the_last_clip_or_of_the_first_band() -> None:
    lattice = Projection(GRID.crs, GRID.transform)
    band = Band("k", BandType.of("uint8"), Constant(1, "uint8"), lattice, Window(0, 0, 3, 4))
    assert LazyImage([band]).grid == GRID
    assert LazyImage([replace(band, region=Window(1, 1, 9, 9))]).grid == lattice.grid(Window(1, 1, 9, 9))
    assert LazyImage([replace(band, window=None)]).grid is None
    assert LazyImage([]).grid is None


def test_the_footprint_is_a_property_or_the_rectangle_of_the_first_band() -> None:
    band = Band("k", BandType.of("uint8"), Constant(1, "uint8"), Projection(GRID.crs, GRID.transform), Window(0, 0, 3, 4))
    point = Geometry("Point", (1.0, 2.0))
    assert LazyImage([band]).footprint == Geometry.rectangle(GRID.bounds_xyxy, GRID.crs)
    assert LazyImage([band], {"system:footprint": point}).footprint is point
    assert LazyImage([replace(band, window=None)]).footprint is None


def test_bands_are_made_when_they_are_first_needed() -> None:
    calls: list[int] = []

    def bands() -> list[Band]:
        calls.append(1)
        return [Band("k", BandType.of("uint8"), Constant(1, "uint8"))]

    lazy = LazyImage(bands, {"a": 1}).with_properties({"a": 2})
    assert (calls, lazy.properties) == ([], {"a": 2})
    assert (lazy.names, lazy.band("k").name, len(calls)) == (("k",), "k", 1)
