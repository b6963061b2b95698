"""Collections linked by a property, and images brought to larger pixels, through the real client's objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ee
import numpy as np
import pytest

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.grid import PixelGrid
from support import scenes
from support.scenes import Client, write_asset
from support.small_images import GRID, RAMP, RAMP_GRID, ramp, write_small_images

SCORES = "T/scores"
COARSE = PixelGrid(RAMP_GRID.crs, (90.0, 0.0, 400_000.0, 0.0, -90.0, 4_500_000.0), 13, 10)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("linked")
    write_small_images(folder)
    for number, index in enumerate(("A", "B")):
        write_asset(
            folder / f"T/scenes/{index}", {"red": np.full(GRID.shape_yx, number + 1, np.uint16)}, GRID, {"red": 0}, cover=number, day=7
        )
    score = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    score[1, 1] = -np.inf
    write_asset(folder / f"{SCORES}/B", {"cs": score, "red": score}, GRID, {"cs": -np.inf, "red": -np.inf}, cover=40, version="2", day=7)
    with scenes.client(folder) as found:
        yield found


def linked(**arguments: Any) -> Any:
    return ee.ImageCollection("T/scenes").linkCollection(ee.ImageCollection(SCORES), **arguments)


def test_bands_and_properties_are_added_by_index(client: Client) -> None:
    made = linked(linkedBands=["cs"], linkedProperties=["version", "cover"])
    first, second = (ee.Image(made.toList(2).get(i)) for i in (0, 1))
    assert client.value(first.bandNames()) == client.value(second.bandNames()) == ["red", "cs"]
    found = client.pixels(second, GRID)
    expected = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(np.ma.getmaskarray(found[1]), np.arange(12).reshape(3, 4) == 5)
    np.testing.assert_array_equal(found[1].filled(9), np.where(np.arange(12).reshape(3, 4) == 5, 9, expected))
    assert (found[0] == 2).all()
    assert client.value(second.toDictionary(["cover", "version"])) == {"cover": 40, "version": "2"}
    # without a match bands are masked and properties null
    assert np.ma.getmaskarray(client.pixels(first, GRID)[1]).all()
    assert client.value(first.get("cover")) is None
    assert client.value(first.propertyNames().contains("version")) is False


def test_bands_of_the_same_name_are_replaced(client: Client) -> None:
    second = ee.Image(linked(linkedBands="red").toList(2).get(1))
    assert client.value(second.bandNames()) == ["red"]
    expected = np.ma.masked_equal(np.linspace(0, 1, 12, dtype=np.float32), np.float32(5 / 11)).reshape(3, 4)
    np.testing.assert_array_equal(client.pixels(second, GRID)[0].filled(9), expected.filled(9))
    by_day = linked(linkedBands=["cs"], matchPropertyName="day")
    assert client.pixels(ee.Image(by_day.first()), GRID)[1].count() == 11
    assert client.value(ee.Image(linked().first()).bandNames()) == ["red"]
    with pytest.raises(EngineError, match="Band pattern 'nir' did not match"):
        client.value(ee.Image(linked(linkedBands=["nir"]).toList(2).get(1)))


def test_the_footprint_stays_that_of_the_image(client: Client) -> None:
    first = ee.Image(linked(linkedBands=["cs"]).first()).unmask(-3.5)
    beyond = PixelGrid(GRID.crs, GRID.transform, 6, 3)
    found = client.pixels(first, beyond)[1]
    assert (found[:, :4] == -3.5).all()
    assert np.ma.getmaskarray(found)[:, 4:].all()


@pytest.mark.parametrize("kind", ["mean", "mode"])
def test_larger_pixels_by_reproject_and_by_the_requested_grid(client: Client, kind: str) -> None:
    made = ramp().mod(5).reduceResolution(getattr(ee.Reducer, kind)())
    blocks = (RAMP % 5)[:, :39].reshape(10, 3, 13, 3).transpose(0, 2, 1, 3).reshape(10, 13, 9)
    expected = blocks.mean(2) if kind == "mean" else [[np.bincount(cell).argmax() for cell in row] for row in blocks]
    np.testing.assert_array_equal(client.pixels(made, COARSE)[0], expected)
    there = made.reproject(COARSE.crs, list(COARSE.transform))
    np.testing.assert_array_equal(client.pixels(there, COARSE)[0], expected)
    np.testing.assert_array_equal(client.pixels(there, RAMP_GRID)[0][:, :39], np.repeat(np.repeat(expected, 3, 0), 3, 1))
    assert client.value(made.bandNames()) == ["a"]
    assert client.value(made.projection()) == client.value(ramp().projection())


def test_masked_input_does_not_count(client: Client) -> None:
    odd = RAMP % 2 == 1
    made = ramp().updateMask(ramp().mod(2)).updateMask(ramp().gt(120)).reduceResolution(ee.Reducer.mean())
    found = client.pixels(made, COARSE)[0]
    kept = np.ma.MaskedArray(RAMP.astype(float), ~(odd & (RAMP > 120)))[:, :39]
    expected = kept.reshape(10, 3, 13, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(found.filled(0), expected.filled(0))
    assert np.ma.getmaskarray(found)[0].all()


def test_an_image_without_a_projection_has_no_pixels_to_combine(client: Client) -> None:
    composite = ee.ImageCollection([ramp()]).median()
    for made in (composite, ee.Image(3)):
        with pytest.raises(EngineError, match=r"does not have a valid default projection\. Use setDefaultProjection\(\) first"):
            client.value(made.reduceResolution(ee.Reducer.mean()))
    there = composite.setDefaultProjection(RAMP_GRID.crs, list(RAMP_GRID.transform)).reduceResolution(ee.Reducer.mean())
    expected = RAMP[:, :39].reshape(10, 3, 13, 3).mean(axis=(1, 3))
    np.testing.assert_array_equal(client.pixels(there, COARSE)[0], expected)


def test_too_many_pixels_are_refused_unless_best_effort_is_asked_for(client: Client) -> None:
    few = {"reducer": ee.Reducer.mean(), "maxPixels": 8}
    with pytest.raises(EngineError, match=r"Too many input pixels per output pixel\. Found 9, but maxPixels only allows 8"):
        client.pixels(ramp().reduceResolution(**few), COARSE)
    expected = RAMP[:, :39].reshape(10, 3, 13, 3).mean(axis=(1, 3))
    np.testing.assert_array_equal(client.pixels(ramp().reduceResolution(**few, bestEffort=True), COARSE)[0], expected)
    for most in (0, 65_537):
        with pytest.raises(EngineError, match="maxPixels must be between 1 and 65536"):
            client.value(ramp().reduceResolution(ee.Reducer.mean(), maxPixels=most))
    with pytest.raises(EngineError, match=r"reduceResolution with Reducer\.max"):
        client.value(ramp().reduceResolution(ee.Reducer.max()))
