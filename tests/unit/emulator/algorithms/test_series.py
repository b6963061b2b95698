"""Algorithms on collections, through the real client's objects."""

from __future__ import annotations

from typing import Any

import ee
import numpy as np
import pytest

from cropcam.pipeline.emulator.errors import EngineError
from support.scenes import ALL, EAST, LANDSAT, LANDSAT_9, Client, indices, landsat


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: ee.FeatureCollection([ee.Feature(None, {"a": i}) for i in (3, 1)]).sort("a").first().get("a"), 1),
        (lambda: ee.FeatureCollection([ee.FeatureCollection([ee.Feature(None, {"a": i})]) for i in (3, 1)]).flatten().size(), 2),
    ],
)  # fmt: skip
def test_operations_on_feature_collections(client: Client, made: Any, expected: Any) -> None:
    assert client.value(made()) == expected


def test_order_limit_first_and_merge(client: Client) -> None:
    assert indices(client, landsat()) == ALL
    assert indices(client, landsat().sort("system:time_start")) == ["EARLY", "A", "B", "C", "FAR", "E", "D", "LATE"]
    assert indices(client, landsat().sort("system:time_start", False).limit(2)) == ["LATE", "D"]
    assert indices(client, landsat().limit(3, "CLOUD_COVER", False)) == ["E", "D", "C"]
    assert client.value(landsat().first().get("system:index")) == "LC08_A"
    both = landsat().merge(ee.ImageCollection(LANDSAT_9))
    assert client.value(both.size()) == 9
    assert client.value(both.aggregate_array("system:index"))[-1] == "2_LC09_A"
    assert client.value(landsat().filter(ee.Filter.eq("CLOUD_COVER", -1)).first()) is None
    assert client.value(landsat().distinct("CLOUD_COVER").size()) == 5
    assert client.value(landsat().toList(2, 3).length()) == 2
    assert client.value(landsat().aggregate_max("CLOUD_COVER")) == 40
    assert client.value(landsat().aggregate_histogram("CLOUD_COVER"))["10"] == 4


def test_maps_and_iterations(client: Client) -> None:
    mapped = landsat().map(lambda i: i.select("SR_B4").add(1).set("twice", ee.Number(i.get("CLOUD_COVER")).multiply(2)))
    assert client.value(mapped.aggregate_array("twice")) == [0, 20, 40, 60, 80, 20, 20, 20]
    assert client.value(mapped.aggregate_array("system:index"))[0] == "LC08_A"
    total = landsat().iterate(lambda image, so_far: ee.Number(so_far).add(ee.Number(image.get("CLOUD_COVER"))), 0)
    assert client.value(total) == 130
    features = landsat().map(lambda i: ee.Feature(None, {"cover": i.get("CLOUD_COVER")}))
    assert client.value(features)["type"] == "FeatureCollection"
    outer = ee.FeatureCollection([ee.Feature(None, {"limit": 10}), ee.Feature(None, {"limit": 30})])
    counts = outer.map(lambda f: f.set("n", landsat().filter(ee.Filter.gte("CLOUD_COVER", f.get("limit"))).size()))
    assert client.value(counts.aggregate_array("n")) == [7, 2]
    with pytest.raises(EngineError, match="A mapped algorithm must return a Feature or Image"):
        client.value(landsat().map(lambda i: i.get("CLOUD_COVER")).size())


def test_requests_of_xee_to_open_and_to_read(client: Client) -> None:
    collection = landsat().filterDate("2016-05-01", "2016-10-01")
    columns = ["system:id", "system:time_start"]
    rows = collection.reduceColumns(ee.Reducer.toList().repeat(2), columns).get("list")
    asked = ee.List([collection.size(), rows, collection.first(), collection.first().projection(), collection.toDictionary()])
    size, table, first, projection, _ = client.value(asked)
    assert (size, first["id"], projection["crs"]) == (6, f"{LANDSAT}/LC08_A", "EPSG:32616")
    assert table[0][0] == f"{LANDSAT}/LC08_A"
    assert len(table[1]) == 6
    computed = ee.ImageCollection([collection.median().set("system:time_start", 7)])
    assert client.value(computed.reduceColumns(ee.Reducer.toList().repeat(2), columns).get("list")) == [[], [7]]
    part = ee.ImageCollection(collection.toList(2, 1))

    def stacked(image: Any, so_far: Any) -> Any:
        band = ee.Image(image).select(["SR_B4"])
        return ee.Image(so_far).addBands(band.unmask(0).updateMask(band.mask()), ["SR_B4"])

    found = client.image(ee.Image(part.iterate(stacked, ee.Image())).slice(1))
    assert found.names == ("SR_B4", "SR_B4_1")
    np.testing.assert_array_equal(found.read(EAST)[0][1], client.pixels(ee.Image(f"{LANDSAT}/LC08_C"), EAST).filled(0)[0])
