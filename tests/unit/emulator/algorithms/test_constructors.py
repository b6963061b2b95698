"""Algorithms that make values: assets, constants, coordinates, projections, pixel types, conditions."""

from __future__ import annotations

from typing import Any

import ee
import numpy as np
import pytest

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.grid import PixelGrid
from support.scenes import LANDSAT, Client
from support.small_images import GRID, data_types, ramp


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: ee.Algorithms.If(ee.Number(0), "yes", "no"), "no"),
        (lambda: ee.Algorithms.IsEqual(3, 3), True),
        (lambda: ee.PixelType(ee.PixelType.uint8()), {"type": "PixelType", "precision": "int", "min": 0, "max": 255}),
    ],
)  # fmt: skip
def test_conditions_and_pixel_types(client: Client, made: Any, expected: Any) -> None:
    assert client.value(made()) == expected


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: ee.Image("NO/SUCH").bandNames(), r"Image\.load: Image asset 'NO/SUCH' not found \(does not exist or caller"),
        (lambda: ee.ImageCollection("NO/SUCH").size(), r"ImageCollection\.load: ImageCollection asset 'NO/SUCH' not found"),
        (lambda: ee.Image(LANDSAT), "is not an Image"),
        (lambda: ee.ImageCollection(f"{LANDSAT}/LC08_A").size(), "is not an ImageCollection"),
    ],
)  # fmt: skip
def test_assets_that_are_missing_or_of_another_kind_are_refused(client: Client, made: Any, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        client.value(made())


def test_constants_and_coordinates(client: Client) -> None:
    assert data_types(client, ee.Image(5)) == [("int", 5, 5)]
    assert data_types(client, ee.Image(5.0)) == [("int", 5, 5)]
    assert data_types(client, ee.Image(0.5))[0][0] == "double"
    assert client.image(ee.Image(5)).grid is None
    assert (client.pixels(ee.Image(7), GRID) == 7).all()
    lonlat = client.pixels(ee.Image.pixelLonLat(), GRID)
    assert lonlat.shape == (2, 3, 4)
    assert (lonlat[0] < -80).all()
    assert (lonlat[1] > 40).all()
    np.testing.assert_allclose(client.pixels(ee.Image.pixelArea(), GRID), 900)
    degree = PixelGrid("EPSG:4326", (0.01, 0.0, 0.0, 0.0, -0.01, 0.01), 1, 1)
    assert client.pixels(ee.Image.pixelArea(), degree).item() == pytest.approx(1113.19 * 1105.74, rel=1e-4)
    x = client.pixels(ee.Image.pixelCoordinates(ee.Projection(GRID.crs, list(GRID.transform))), GRID)
    np.testing.assert_allclose(x[0, 0], [0.5, 1.5, 2.5, 3.5])


def test_operations_on_projections(client: Client) -> None:
    assert client.value(ramp().projection().nominalScale()) == 30
    assert client.value(ee.Projection("EPSG:4326").nominalScale()) == pytest.approx(111_319.490793)
    assert client.value(ramp().projection().crs()) == "EPSG:32616"
    assert client.value(ee.Projection("EPSG:32616").atScale(10)) == {
        "type": "Projection",
        "crs": "EPSG:32616",
        "transform": [10.0, 0.0, 0.0, 0.0, -10.0, 0.0],
    }
    assert client.value(ramp().projection().translate(2, 3))["transform"] == [30.0, 0.0, 400_060.0, 0.0, -30.0, 4_499_910.0]
    assert client.value(ramp().projection().scale(2, 2))["transform"][0] == 60
    assert "elt_0_2" in client.value(ramp().projection().transform())
    assert client.value(ramp().projection().wkt()).startswith("PROJCS")
    assert client.value(ee.Image(1).projection())["crs"] == "EPSG:4326"
    with pytest.raises(EngineError, match="A sheared or rotated CRS transform is not implemented"):
        client.value(ramp().reproject("EPSG:32616", [30, 1, 0, 0, -30, 0]))
