"""Collections, filters, dates, numbers, lists, dictionaries, text: through the real client's objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ee
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cropcam.pipeline.emulator.errors import EngineError
from support import scenes
from support.scenes import EAST, LANDSAT, LANDSAT_9, Client


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with scenes.client(scenes.write_archive(tmp_path_factory.mktemp("archive"))) as found:
        yield found


def landsat() -> Any:
    return ee.ImageCollection(LANDSAT)


def indices(client: Client, collection: Any) -> list[str]:
    return [found.removeprefix("LC08_") for found in client.value(collection.aggregate_array("system:index"))]


ALL = ["A", "B", "C", "D", "E", "EARLY", "FAR", "LATE"]


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
def test_filters(client: Client, chosen: Any, expected: list[str]) -> None:
    assert sorted(indices(client, landsat().filter(chosen(ee.Filter)))) == sorted(expected)


def test_filters_by_place(client: Client) -> None:
    far = ee.Geometry.Point([446_300, 4_544_700], "EPSG:32616").transform("EPSG:4326")
    assert indices(client, landsat().filterBounds(far)) == ["FAR"]
    assert "FAR" not in indices(client, landsat().filterBounds(ee.Geometry.Rectangle([-90.1, 40.9, -89.9, 41.1])))
    assert indices(client, landsat().filterBounds(ee.FeatureCollection([ee.Feature(far)]))) == ["FAR"]
    assert len(indices(client, landsat().filter(ee.Filter.intersects(".geo", far).Not()))) == 7
    with pytest.raises(EngineError, match="Exactly one of leftField and leftValue"):
        client.value(ee.ApiFunction.call_("Collection.filter", landsat(), ee.ApiFunction.call_("Filter.eq", "CLOUD_COVER")))


def test_order_limit_first_merge(client: Client) -> None:
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


def test_a_collection_is_described_with_its_images(client: Client) -> None:
    found = client.value(landsat().limit(2))
    assert (found["type"], found["id"], len(found["features"])) == ("ImageCollection", LANDSAT, 2)
    assert found["features"][0]["id"] == f"{LANDSAT}/LC08_A"
    assert [band["id"] for band in found["features"][0]["bands"]] == ["SR_B4", "SR_B5", "QA_PIXEL", "QA_RADSAT"]


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


def test_what_xee_asks_for_to_open_and_to_read(client: Client) -> None:
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


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: ee.Date("2016-02-29").advance(1, "year").format("YYYY-MM-dd"), "2017-02-28"),
        (lambda: ee.Date("2016-01-31").advance(1, "month").format("d MMM yy"), "29 Feb 16"),
        (lambda: ee.Date("2016-01-31").advance(-2, "months").format(), "2015-11-30T00:00:00"),
        (lambda: ee.Date("2016-01-01T06:30:00").advance(0.5, "day").format("HH:mm 'on' EEE"), "18:30 on Fri"),
        (lambda: ee.Date("2016-07-01").difference("2016-05-01", "day"), 61.0),
        (lambda: ee.Date("2016-07-14").get("month"), 7),
        (lambda: ee.Date("2016-07-14").getRelative("day", "year"), 195),
        (lambda: ee.Date("2016-07-14").getRelative("month", "year"), 6),
        (lambda: ee.Date("2016-07-14").getRange("month"), {"type": "DateRange", "dates": [1467331200000, 1470009600000]}),
        (lambda: ee.Date.fromYMD(2016, 7, 14).millis(), 1468454400000),
        (lambda: ee.Date(5), {"type": "Date", "value": 5}),
        (lambda: ee.DateRange("2016-01-01", "2016-01-02").contains("2016-01-02"), False),
        (lambda: ee.DateRange("2016-01-01", "2016-01-02").start(), {"type": "Date", "value": 1451606400000}),
        (lambda: ee.Number(7).divide(2), 3.5),
        (lambda: ee.Number(7).mod(4), 3),
        (lambda: ee.Number(7).add(2).multiply(3), 27),
        (lambda: ee.Number(2.5).round(), 3),
        (lambda: ee.Number(-2.7).toInt(), -2),
        (lambda: ee.Number(300).toByte(), 255),
        (lambda: ee.Number(2).pow(10), 1024),
        (lambda: ee.Number(3).gt(2).And(1), 1),
        (lambda: ee.Number(3.0).format("%05d"), "00003"),
        (lambda: ee.Number(3.14159).format("%.2f"), "3.14"),
        (lambda: ee.Number.parse("12"), 12),
        (lambda: ee.List.sequence(1, 4), [1, 2, 3, 4]),
        (lambda: ee.List.sequence(0, 1, None, 3), [0, 0.5, 1]),
        (lambda: ee.List([3, 1, 2]).sort().reverse(), [3, 2, 1]),
        (lambda: ee.List([3, 1, 2]).sort([1, 3, 2]), [3, 2, 1]),
        (lambda: ee.List([1, 2, 3]).slice(1), [2, 3]),
        (lambda: ee.List([1, 2, 3]).get(-1), 3),
        (lambda: ee.List([1, [2, [3]]]).flatten(), [1, 2, 3]),
        (lambda: ee.List([1, 1, 2]).distinct().cat([5]).add(6), [1, 2, 5, 6]),
        (lambda: ee.List([1, 2]).zip([3, 4]), [[1, 3], [2, 4]]),
        (lambda: ee.List([1, 2, 3]).map(lambda x: ee.Number(x).multiply(2)), [2, 4, 6]),
        (lambda: ee.List([1, 2, 3]).iterate(lambda x, s: ee.Number(x).add(s), 10), 16),
        (lambda: ee.List([1, 2, 3]).reduce(ee.Reducer.mean()), 2.0),
        (lambda: ee.List([1, 5, 3]).filter(ee.Filter.gt("item", 2)), [5, 3]),
        (lambda: ee.List([1, 2, 3]).set(-1, 9).insert(0, 7).remove(2), [7, 1, 9]),
        (lambda: ee.List([1, 2, 1]).indexOf(2), 1),
        (lambda: ee.List([1, 2, 1]).frequency(1), 2),
        (lambda: ee.List(["a", "b"]).join("-"), "a-b"),
        (lambda: ee.List.repeat(0, 3), [0, 0, 0]),
        (lambda: ee.Dictionary({"b": 2, "a": 1}).keys(), ["a", "b"]),
        (lambda: ee.Dictionary({"b": 2, "a": 1}).values(), [1, 2]),
        (lambda: ee.Dictionary.fromLists(["a"], [1]).set("b", 2).combine({"a": 5}), {"a": 5, "b": 2}),
        (lambda: ee.Dictionary({"a": 1}).get("b", 9), 9),
        (lambda: ee.Dictionary({"a": 1, "b": 2}).select(["b"]).rename(["b"], ["c"]), {"c": 2}),
        (lambda: ee.Dictionary({"a": 1}).map(lambda _, v: ee.Number(v).add(1)), {"a": 2}),
        (lambda: ee.Dictionary({"a": 1, "b": 2}).remove(["a"]).contains("a"), False),
        (lambda: ee.Dictionary({"x": 4}).toImage().bandNames(), ["x"]),
        (lambda: ee.String("LC08_x").slice(0, 4).cat("!").toLowerCase(), "lc08!"),
        (lambda: ee.String("a1b2").replace("[0-9]", "#", "g"), "a#b#"),
        (lambda: ee.String("a,b").split(","), ["a", "b"]),
        (lambda: ee.String("a_12").match("_([0-9]+)"), ["_12", "12"]),
        (lambda: ee.String("abc").index("c"), 2),
        (lambda: ee.String("abab").rindex("b"), 3),
        (lambda: ee.String("a").compareTo("b"), -1),
        (lambda: ee.String("ab").toUpperCase().equals("AB"), True),
        (lambda: ee.List([1, 2]).contains(2), True),
        (lambda: ee.List([1, 2]).containsAll([2, 3]), False),
        (lambda: ee.List([1, 2]).equals([1, 2]), True),
        (lambda: ee.List([1, 2, 1]).removeAll([1]), [2]),
        (lambda: ee.List([1, 2, 1]).replaceAll(1, 5), [5, 2, 5]),
        (lambda: ee.List([[1, 2], [3, 4]]).unzip(), [[1, 3], [2, 4]]),
        (lambda: ee.List.sequence(5, None, 2, 3), [5, 7, 9]),
        (lambda: ee.List([1, 2]).map(lambda x: ee.Algorithms.If(ee.Number(x).gt(1), x, None), True), [2]),
        (lambda: ee.Number(7).clamp(1, 5), 5),
        (lambda: ee.Number.parse("ff", 16), 255),
        (lambda: ee.Number.parse("1.5"), 1.5),
        (lambda: ee.Dictionary(["a", 1, "b", 2]), {"a": 1, "b": 2}),
        (lambda: ee.Dictionary({"a": 1}).size(), 1),
        (lambda: ee.Dictionary({"a": 1}).getNumber("a"), 1),
        (lambda: ee.Dictionary({"a": 1}).combine({"a": 2}, False), {"a": 1}),
        (lambda: ee.Date.unitRatio("day", "hour"), 24.0),
        (lambda: ee.DateRange("2016-01-01", "2016-01-01").isEmpty(), True),
        (lambda: ee.DateRange("2016-01-01", "2016-01-02").end().millis(), 1451692800000),
        (lambda: ee.Feature(None, {"a": 1}).set("b", 2).toDictionary(), {"a": 1, "b": 2}),
        (lambda: ee.Feature(None, {"a": 1}).getNumber("a"), 1),
        (lambda: ee.Feature(None, {"a": "x"}).getString("a"), "x"),
        (lambda: ee.Feature(None, {"a": 1, "b": 2}).copyProperties(ee.Feature(None, {"c": 3, "d": 4}), None, ["d"]).toDictionary(), {"a": 1, "b": 2, "c": 3}),
        (lambda: ee.Feature(ee.Geometry.Point([1, 2])).setGeometry(ee.Geometry.Point([3, 4])).geometry().coordinates(), [3, 4]),
        (lambda: ee.FeatureCollection([ee.Feature(None, {"a": i}) for i in (3, 1)]).sort("a").first().get("a"), 1),
        (lambda: ee.FeatureCollection([ee.FeatureCollection([ee.Feature(None, {"a": i})]) for i in (3, 1)]).flatten().size(), 2),
        (lambda: ee.FeatureCollection([ee.Feature(None, {"a": i}) for i in (3, 1)]).aggregate_mean("a"), 2.0),
        (lambda: ee.FeatureCollection([ee.Feature(None, {"a": i}) for i in (3, 1)]).reduceColumns(ee.Reducer.max(), ["a"]), {"max": 3}),
        (lambda: ee.String(" a ").trim().length(), 1),
        (lambda: ee.String.encodeJSON(ee.Dictionary({"a": [1]})), '{"a":[1]}'),
        (lambda: ee.String('{"a": 2}').decodeJSON(), {"a": 2}),
        (lambda: ee.Algorithms.If(ee.Number(0), "yes", "no"), "no"),
        (lambda: ee.Algorithms.IsEqual(3, 3), True),
        (lambda: ee.PixelType(ee.PixelType.uint8()), {"type": "PixelType", "precision": "int", "min": 0, "max": 255}),
    ],
)  # fmt: skip
def test_values(client: Client, made: Any, expected: Any) -> None:
    assert client.value(made()) == expected


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: ee.Date("yesterday"), "Invalid date string 'yesterday'"),
        (lambda: ee.Date(0).advance(1, "eon"), "Unknown date unit 'eon'"),
        (lambda: ee.Date(0).advance(0.5, "month"), "by a fraction of a month is not implemented"),
        (lambda: ee.Date(0).format("YYYY 'of' G"), "pattern 'G' is not implemented"),
        (lambda: ee.List([1]).get(3), "List index must be between 0 and 0"),
        (lambda: ee.Dictionary({"a": 1}).get("b"), "does not contain key: 'b'"),
        (lambda: ee.Number.parse("x"), "Cannot parse 'x'"),
        (lambda: ee.Dictionary.fromLists(["a"], [1, 2]), "1 keys and 2 values"),
        (lambda: ee.Dictionary({"a": 1, "b": 2}).rename(["a"], ["b"]), "A new key is there already"),
        (lambda: ee.Dictionary(3), "A dictionary or a list of keys and values is required"),
        (lambda: ee.List([1]).sort([1, 2]), "1 elements and 2 keys"),
        (lambda: ee.List.sequence(1), "Either 'end' or 'count' is required"),
        (lambda: ee.Number(1).format("%q"), "pattern '%q' is not implemented"),
        (lambda: ee.Feature(None, {"a": 1}).getString("a"), "Property 'a' is not of type String"),
        (lambda: ee.Image(1).date(), "does not have a 'system:time_start' property"),
        (lambda: ee.Reducer.max(2), "of 2 inputs is not implemented"),
        (lambda: ee.Reducer.toList(2), "of tuples is not implemented"),
        (lambda: ee.ImageCollection(LANDSAT).reduceColumns(ee.Reducer.max(), ["a", "b"]), "takes 1 inputs, 2 selectors"),
        (lambda: ee.Geometry.Point([1, 2]).transform("EPSG:4326").bounds().coordinates().get(5), "List index must be"),
        (lambda: ee.String("x").decodeJSON(), "not JSON"),
        (lambda: ee.String("x").match("("), "Invalid regular expression"),
        (lambda: ee.Image("NO/SUCH").bandNames(), r"Image\.load: Image asset 'NO/SUCH' not found \(does not exist or caller"),
        (lambda: ee.ImageCollection("NO/SUCH").size(), r"ImageCollection\.load: ImageCollection asset 'NO/SUCH' not found"),
        (lambda: ee.Image(LANDSAT), "is not an Image"),
        (lambda: ee.ImageCollection(f"{LANDSAT}/LC08_A").size(), "is not an ImageCollection"),
        (lambda: ee.Image(1).resample("bilinear"), "Image.resample to 'bilinear'"),
    ],
)
def test_refusals(client: Client, made: Any, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        client.value(made())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(-9, 9), max_size=6), st.integers(-7, 7), st.none() | st.integers(-7, 7))
def test_slices_are_python_s(client: Client, values: list[int], start: int, end: int | None) -> None:
    assert client.value(ee.List(values).slice(start, end)) == values[start:end]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dates(), st.integers(-50, 50))
def test_months_advance_and_come_back_from_the_first(client: Client, day: Any, months: int) -> None:
    from datetime import date

    first = date(min(max(day.year, 1900), 2100), day.month, 1)
    there = ee.Date(first.isoformat()).advance(months, "month")
    assert client.value(there.advance(-months, "month").format("YYYY-MM-dd")) == first.isoformat()
    assert client.value(there.get("day")) == 1
