"""Filters of collections, through the real client's objects."""

from __future__ import annotations

from typing import Any

import ee
import pytest

from cropcam.pipeline.emulator.errors import EngineError
from support.scenes import ALL, Client, indices, landsat


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (lambda f: f.eq("CLOUD_COVER", 10), ["EARLY", "B", "FAR", "LATE"]),
        (lambda f: f.neq("CLOUD_COVER", 10), ["A", "C", "D", "E"]),
        (lambda f: f.lt("CLOUD_COVER", 20), ["A", "B", "EARLY", "FAR", "LATE"]),
        (lambda f: f.gte("CLOUD_COVER", 20), ["C", "D", "E"]),
        (lambda f: f.And(f.gt("CLOUD_COVER", 10), f.lte("CLOUD_COVER", 30)), ["C", "D"]),
        (lambda f: f.Or(f.eq("system:index", "LC08_A"), f.eq("CLOUD_COVER", 40)), ["A", "E"]),
        (lambda f: f.inList("CLOUD_COVER", [0, 40]), ["A", "E"]),
        (lambda f: f.inList("CLOUD_COVER", [0, 40]).Not(), ["B", "C", "D", "EARLY", "FAR", "LATE"]),
        (lambda f: f.stringEndsWith("system:index", "Y"), ["EARLY"]),
        (lambda f: f.stringContains("system:index", "8_F"), ["FAR"]),
        (lambda f: f.date("2016-05-01", "2016-10-01"), ["A", "B", "C", "D", "E", "FAR"]),
        (lambda f: f.date("2016-10-01"), ["LATE"]),
        (lambda f: f.calendarRange(7, 8, "month"), ["C", "E", "FAR"]),
        (lambda f: f.calendarRange(10, 5, "month"), ["A", "EARLY", "LATE"]),
        (lambda f: f.dayOfYear(122, 123), ["A"]),
        (lambda f: f.rangeContains("CLOUD_COVER", 20, 30), ["C", "D"]),
        (lambda f: f.notNull(["CLOUD_COVER"]), ALL),
        (lambda f: f.eq("missing", 1), []),
        (lambda f: f.lt("system:index", 3), []),
    ],
)  # fmt: skip
def test_filters_by_property(client: Client, chosen: Any, expected: list[str]) -> None:
    assert sorted(indices(client, landsat().filter(chosen(ee.Filter)))) == sorted(expected)


def test_filters_by_place(client: Client) -> None:
    far = ee.Geometry.Point([446_300, 4_544_700], "EPSG:32616").transform("EPSG:4326")
    assert indices(client, landsat().filterBounds(far)) == ["FAR"]
    assert "FAR" not in indices(client, landsat().filterBounds(ee.Geometry.Rectangle([-90.1, 40.9, -89.9, 41.1])))
    assert indices(client, landsat().filterBounds(ee.FeatureCollection([ee.Feature(far)]))) == ["FAR"]
    assert len(indices(client, landsat().filter(ee.Filter.intersects(".geo", far).Not()))) == 7
    with pytest.raises(EngineError, match="Exactly one of leftField and leftValue"):
        client.value(ee.ApiFunction.call_("Collection.filter", landsat(), ee.ApiFunction.call_("Filter.eq", "CLOUD_COVER")))
