"""Images as values: types of bands, descriptions, reads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.grid import Window
from cropcam.pipeline.parallel import ordered
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
    for found in ordered(lambda _: lazy.read(DEGREES)[0], range(12), workers=4):
        np.testing.assert_array_equal(found, expected)
