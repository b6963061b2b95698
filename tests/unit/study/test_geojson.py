"""GeoJSON as it is written: nested, with heights, with what is no polygon."""

from __future__ import annotations

from typing import Any

import pytest

from cropcam.pipeline.study.geojson import content, has_own_crs

RING = [[5, 45], [6, 45], [6, 46]]


def test_polygons_are_found_wherever_they_stand() -> None:
    hole = [[5.1, 45.1, 300], [5.2, 45.1, 300], [5.2, 45.2, 300], [5.1, 45.1, 300]]
    several = {"type": "MultiPolygon", "coordinates": [[RING], [RING, hole], []]}
    value: dict[str, Any] = {"type": "GeometryCollection", "geometries": [several, {"type": "LineString", "coordinates": []}]}
    found = content(
        {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": value}, {"type": "Feature", "geometry": None}]}
    )
    closed = [[5.0, 45.0], [6.0, 45.0], [6.0, 46.0], [5.0, 45.0]]
    assert found.polygons == [[closed], [closed, [[5.1, 45.1], [5.2, 45.1], [5.2, 45.2], [5.1, 45.1]]]]
    assert found.left_out() == "2 of its 4 geometries are no polygons and are left out: 1 LineString, 1 without a geometry"
    assert content({"type": "Polygon", "coordinates": [RING]}).left_out() == ""


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1], r"is not GeoJSON with polygons: \[1\] has no type"),
        ({"type": "Topology"}, "is not GeoJSON with polygons: {'type': 'Topology'} has no type"),
        ({"type": "FeatureCollection"}, "is not GeoJSON with polygons: None is no list"),
        ({"type": "Polygon", "coordinates": [[5, 45], [6, 45], [6, 46]]}, "is not GeoJSON with polygons: 5 is no position"),
        ({"type": "Polygon", "coordinates": [[["5", "45"]] * 4]}, r"\['5', '45'\] is no position"),
        ({"type": "Polygon", "coordinates": [[[True, 45]] * 4]}, r"\[True, 45\] is no position"),
        (
            {"type": "Polygon", "coordinates": [[RING[0], RING[1], RING[0]]]},
            "holds no polygon: a ring of 3 positions; it has at least four",
        ),
        (
            {"type": "Polygon", "coordinates": [[[41, -94]] * 4]},
            r"position \[41, -94\]; RFC 7946 wants longitude and latitude: longitude comes first$",
        ),
        (
            {"type": "Polygon", "coordinates": [[[1e300, 4e6]] * 4]},
            r"position \[1e\+300, 4000000.0\]; RFC 7946 wants longitude and latitude$",
        ),
        ({"type": "Polygon", "coordinates": [[[10**18, 4]] * 4]}, "coordinates are not degrees"),
    ],
)
def test_what_is_no_geojson_is_refused(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        content(value)


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("urn:ogc:def:crs:OGC:1.3:CRS84", False),
        ("urn:ogc:def:crs:EPSG::4326", False),
        ("EPSG:4326", False),
        ("urn:ogc:def:crs:EPSG::32616", True),
    ],
)
def test_a_crs_member(name: str, own: bool) -> None:
    assert has_own_crs({"crs": {"type": "name", "properties": {"name": name}}}) is own
    assert not any(map(has_own_crs, ({}, [], {"crs": None}, {"crs": {"properties": 3}}, {"crs": {"properties": {"name": 3}}})))
