"""Algorithms on geometries, through the real client's objects."""

from __future__ import annotations

from typing import Any

import ee
import pytest

from cropcam.pipeline.emulator.errors import EngineError
from support.scenes import Client
from support.small_images import ramp


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: ee.Geometry.Point([1, 2]).transform("EPSG:4326").bounds().coordinates().get(5), "List index must be"),
    ],
)  # fmt: skip
def test_a_point_has_no_sixth_corner(client: Client, made: Any, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        client.value(made())


def test_operations_on_geometries(client: Client) -> None:
    rectangle = ee.Geometry.Rectangle([-90, 40, -89, 41], None, False)
    assert client.value(rectangle.bounds())["coordinates"] == [[[-90, 40], [-89, 40], [-89, 41], [-90, 41], [-90, 40]]]
    assert client.value(rectangle.coordinates())[0][2] == [-89, 41]
    assert client.value(rectangle.type()) == "Polygon"
    assert client.value(rectangle.centroid(1))["coordinates"] == pytest.approx([-89.5, 40.5])
    assert client.value(rectangle.projection())["crs"] == "EPSG:4326"
    assert client.value(ee.Geometry.Point([1, 2])) == {"type": "Point", "coordinates": [1, 2]}
    assert client.value(ee.Geometry.Point([-89.5, 40.5]).intersects(rectangle, 1)) is True
    assert client.value(ee.Geometry.LineString([[-91, 40.5], [-88, 40.5]]).intersects(rectangle, 1)) is True
    assert client.value(ee.Geometry.Point([-80, 40.5]).intersects(rectangle, 1)) is False
    moved = client.value(rectangle.transform("EPSG:5070", 1))
    assert moved["crs"]["properties"]["name"] == "EPSG:5070"
    assert client.value(ramp().geometry())["crs"]["properties"]["name"] == "EPSG:32616"
    line = ee.Geometry.LineString([[0, 0], [2, 2]])
    assert client.value(line.bounds(1))["coordinates"][0][2] == pytest.approx([2, 2])
    assert client.value(line.centroid(1))["coordinates"] == [1, 1]
    assert client.value(ee.Geometry.MultiPoint([[0, 0], [2, 4]]).bounds(1))["coordinates"][0][2] == [2, 4]
    assert client.value(ee.Geometry.MultiLineString([[[0, 0], [1, 1]], [[3, 3], [4, 4]]], None, False).bounds())["coordinates"][0][2] == [
        4,
        4,
    ]
    assert client.value(ee.Geometry.LinearRing([[0, 0], [1, 0], [1, 1]], None, False).coordinates())[-1] == [0, 0]
    assert client.value(ee.Geometry.BBox(-1, -2, 3, 4).bounds().coordinates())[0][0] == [-1, -2]
    assert client.value(rectangle.geometries().length()) == 1
    assert client.value(rectangle.geodesic()) is False
    assert client.value(rectangle.isUnbounded()) is False
    multi = ee.Geometry.MultiPolygon([[[[0, 0], [1, 0], [1, 1]]], [[[5, 5], [6, 5], [6, 6]]]], None, False)
    assert client.value(multi.bounds())["coordinates"][0][2] == [6, 6]
    both = ee.Feature(rectangle, {"k": 1})
    assert client.value(both)["properties"] == {"k": 1}
    assert client.value(ee.FeatureCollection([both]).geometry().bounds(1))["coordinates"][0][0] == [-90, 40]
    with pytest.raises(EngineError, match="is not implemented"):
        client.value(ee.Image(1).geometry())


def construct(name: str, **arguments: Any) -> Any:
    return ee.ApiFunction.apply_(name, arguments)


def test_constructors_take_points_flat_lists_and_geometries(client: Client) -> None:
    corner, opposite = ee.Geometry.Point([0, 1]), ee.Geometry.Point([2, 3])
    rectangle = construct("GeometryConstructors.Rectangle", coordinates=[corner, opposite], geodesic=False)
    assert client.value(rectangle)["coordinates"][0][2] == [2, 3]
    flat = construct("GeometryConstructors.Polygon", coordinates=[0, 0, 4, 0, 4, 4], geodesic=False)
    assert client.value(flat)["coordinates"] == [[[0, 0], [4, 0], [4, 4], [0, 0]]]
    assert (
        client.value(construct("GeometryConstructors.BBox", west=0, south=1, east=2, north=3))["coordinates"]
        == client.value(rectangle)["coordinates"]
    )
    both = construct("GeometryConstructors.MultiGeometry", geometries=[corner, rectangle])
    assert [part["type"] for part in client.value(both)["geometries"]] == ["Point", "Polygon"]
    assert client.value(both.geometries().length()) == 2
    assert client.value(both.bounds(1))["coordinates"][0][2] == [2, 3]
    for coordinates, message in (
        ([1, 2, 3], "Odd number of coordinates"),
        ([["a", "b"]], "Invalid coordinates"),
    ):
        with pytest.raises(EngineError, match=message):
            client.value(construct("GeometryConstructors.Polygon", coordinates=coordinates))
    with pytest.raises(EngineError, match="Two corner points are required"):
        client.value(construct("GeometryConstructors.Rectangle", coordinates=[0, 1]))
    with pytest.raises(EngineError, match="Only geometries can be put together"):
        client.value(construct("GeometryConstructors.MultiGeometry", geometries=[3]))
