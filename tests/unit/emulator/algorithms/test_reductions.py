"""Reducers over collections, bands and regions, through the real client's objects."""

from __future__ import annotations

from typing import Any

import ee
import numpy as np
import pytest

from cropcam.pipeline.emulator.errors import EngineError
from support.scenes import EAST, LANDSAT, Client, landsat
from support.small_images import GRID, A, B, C, image


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: ee.FeatureCollection([ee.Feature(None, {"a": i}) for i in (3, 1)]).aggregate_mean("a"), 2.0),
        (lambda: ee.FeatureCollection([ee.Feature(None, {"a": i}) for i in (3, 1)]).reduceColumns(ee.Reducer.max(), ["a"]), {"max": 3}),
    ],
)  # fmt: skip
def test_reductions_of_properties(client: Client, made: Any, expected: Any) -> None:
    assert client.value(made()) == expected


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: ee.Reducer.max(2), "of 2 inputs is not implemented"),
        (lambda: ee.Reducer.toList(2), "of tuples is not implemented"),
        (lambda: ee.ImageCollection(LANDSAT).reduceColumns(ee.Reducer.max(), ["a", "b"]), "takes 1 inputs, 2 selectors"),
    ],
)  # fmt: skip
def test_reducers_of_several_inputs_are_refused(client: Client, made: Any, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        client.value(made())


def test_reductions_name_their_bands(client: Client) -> None:
    summer = landsat().filterDate("2016-05-01", "2016-10-01").select(["SR_B4", "SR_B5"])
    assert client.value(summer.median().bandNames()) == ["SR_B4", "SR_B5"]
    assert client.value(summer.reduce(ee.Reducer.median()).bandNames()) == ["SR_B4_median", "SR_B5_median"]
    np.testing.assert_array_equal(client.pixels(summer.median(), EAST), client.pixels(summer.reduce(ee.Reducer.median()), EAST))
    described = client.value(summer.median())["bands"][0]
    assert described == {
        "id": "SR_B4",
        "data_type": {"type": "PixelType", "precision": "double"},
        "crs": "EPSG:4326",
        "crs_transform": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    }
    stack = np.ma.stack(
        [client.pixels(ee.Image(i), EAST).astype(float) for i in (f"{LANDSAT}/LC08_A", f"{LANDSAT}/LC08_C", f"{LANDSAT}/LC08_E")]
    )[:, :2]
    three = landsat().filter(ee.Filter.inList("system:index", ["LC08_A", "LC08_C", "LC08_E"])).select(["SR_B4", "SR_B5"])
    for made, expected in (
        (three.max(), stack.max(0)), (three.min(), stack.min(0)), (three.sum(), stack.sum(0)), (three.mean(), stack.mean(0)),
        (three.median(), np.ma.median(stack, 0)),
    ):  # fmt: skip
        np.testing.assert_allclose(client.pixels(made, EAST).astype(float).filled(-1), np.ma.filled(expected, -1))
    np.testing.assert_array_equal(client.pixels(three.count(), EAST).filled(9), stack.count(0))
    top = np.ma.where(~np.ma.getmaskarray(stack[2]), stack[2], np.ma.where(~np.ma.getmaskarray(stack[1]), stack[1], stack[0]))
    np.testing.assert_array_equal(client.pixels(three.mosaic(), EAST).filled(0), top.filled(0))
    assert client.value(three.toBands().bandNames())[2] == "LC08_C_SR_B4"
    assert client.value(landsat().filter(ee.Filter.eq("CLOUD_COVER", -1)).median().bandNames()) == []


def test_reductions_over_bands_and_regions(client: Client) -> None:
    over = client.pixels(image().select(["b", "c"]).reduce(ee.Reducer.max()), GRID)
    np.testing.assert_array_equal(over[0], np.maximum(B, C))
    region = ee.Geometry.Rectangle([400_000, 4_499_910, 400_120, 4_500_000], GRID.crs, False)
    find = lambda reducer, made: client.value(made.reduceRegion(reducer, region, crs=GRID.crs, crsTransform=list(GRID.transform)))  # noqa: E731
    assert find(ee.Reducer.mean(), image()) == {"a": A[A > 0].mean(), "b": B.mean(), "c": pytest.approx(float(C.mean()))}
    assert find(ee.Reducer.max(), image().select("b")) == {"b": 6}
    assert find(ee.Reducer.count(), image().select(["a", "b"])) == {"a": 11, "b": 12}
    assert find(ee.Reducer.frequencyHistogram(), image().select("b").gt(0)) == {"b": {"0": 6, "1": 6}}
    assert find(ee.Reducer.median(), image().select("b").updateMask(0)) == {"b": None}
    assert find(ee.Reducer.mode(), image().select("b").divide(4).floor()) == {"b": -1.0}
    assert find(ee.Reducer.mode(), image().select("b").updateMask(0)) == {"b": None}
    with pytest.raises(EngineError, match=r"Too many pixels in the region\. Found 15, but maxPixels allows only 10"):
        client.value(image().reduceRegion(ee.Reducer.mean(), region, 30, GRID.crs, maxPixels=10))
    few = image().select("b").reduceRegion(ee.Reducer.count(), region, 30, GRID.crs, maxPixels=10, bestEffort=True)
    assert 0 < client.value(few)["b"] <= 10


def test_the_mode_of_a_collection(client: Client) -> None:
    stack = [image().select("b").mod(3).toInt8(), image().select("b").gt(0).toInt8(), ee.Image(1).rename("b").toInt8()]
    values = np.stack([np.fmod(B, 3), B > 0, np.ones_like(B)]).astype(int)
    expected = np.array(
        [[min(set(cell), key=lambda v: (-cell.count(v), v)) for cell in row] for row in np.moveaxis(values, 0, -1).tolist()]
    )
    for made in (
        ee.ImageCollection(stack).mode(),
        ee.ImageCollection(stack).reduce(ee.Reducer.mode()),
        ee.Image.cat(stack).reduce(ee.Reducer.mode()),
    ):
        found = client.pixels(made, GRID)[0]
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.int8


def test_a_median_with_a_raw_number_is_that_of_the_collection(client: Client) -> None:
    summer = landsat().filterDate("2016-05-01", "2016-10-01").select(["SR_B4", "SR_B5"])
    made = summer.reduce(ee.Reducer.median(maxBuckets=512, minBucketWidth=1, maxRaw=5))
    assert client.value(made.bandNames()) == ["SR_B4_median", "SR_B5_median"]
    np.testing.assert_array_equal(client.pixels(made, EAST), client.pixels(summer.median(), EAST))
    with pytest.raises(
        EngineError, match=r"Reducer\.median of [345] values with maxRaw 2 \(a histogram on the service\) is not implemented"
    ):
        client.pixels(summer.reduce(ee.Reducer.median(maxRaw=2)), EAST)
    region = ee.Geometry.Rectangle([400_000, 4_499_910, 400_120, 4_500_000], GRID.crs, False)
    median = ee.Reducer.median(maxRaw=12)
    values = image().select("b").reduceRegion(median, region, crs=GRID.crs, crsTransform=list(GRID.transform))
    assert client.value(values) == {"b": np.median(B)}
    with pytest.raises(EngineError, match="of 12 values with maxRaw 11"):
        client.value(image().select("b").reduceRegion(ee.Reducer.median(maxRaw=11), region, 30, GRID.crs))
