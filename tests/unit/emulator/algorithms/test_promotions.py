"""Promotion of arguments to the type that an algorithm expects."""

from __future__ import annotations

from typing import Any

import pytest

from cropcam.pipeline.emulator import algorithms  # noqa: F401 - registers the promotions
from cropcam.pipeline.emulator.constants import constant_image
from cropcam.pipeline.emulator.elements import Collection, Date, DateRange, Feature, Images
from cropcam.pipeline.emulator.geometry import Geometry
from cropcam.pipeline.emulator.images import BandType, LazyImage
from cropcam.pipeline.emulator.projections import Projection
from cropcam.pipeline.emulator.reducers import Reducer
from cropcam.pipeline.emulator.registry import NotPromotable, promote
from support.expressions import call

POINT = Geometry("Point", (1.0, 2.0))
FEATURE, IMAGE = Feature(POINT, {"a": 1}), constant_image(3)
IMAGES = Collection("ImageCollection", [IMAGE])


def test_numbers_and_names_are_promoted() -> None:
    bands = call("Image.add", image1=3, image2=[1, 2.5])["bands"]
    assert [band["data_type"] for band in bands] == [
        {"type": "PixelType", "precision": "int", "min": 4, "max": 4},
        {"type": "PixelType", "precision": "double"},
    ]
    assert call("Projection.nominalScale", proj="EPSG:32616") == 1.0
    assert call("Date.millis", date="2016-05-01") == 1_462_060_800_000


@pytest.mark.parametrize(
    ("value", "target", "expected"),
    [
        ("2016-05-01", Date, Date(1_462_060_800_000)),
        (5.9, Date, Date(5)),
        ("EPSG:32616", Projection, Projection("EPSG:32616")),
        (FEATURE, Geometry, POINT),
        (3.0, int, 3),
        (3, bool, True),
        ("a", list[str], ["a"]),
        ((1, 2), list, [1, 2]),
        ({"a": 1}, dict[str, Any], {"a": 1}),
    ],
)
def test_values_of_another_type_are_converted(value: Any, target: Any, expected: Any) -> None:
    found = promote(value, target)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "target"), [(IMAGE, LazyImage), (FEATURE, Feature), (POINT, Geometry), (IMAGES, Images), (Date(5), Date), (BandType("float"), BandType)]
)  # fmt: skip
def test_values_of_the_right_type_stay_as_they_are(value: Any, target: Any) -> None:
    assert promote(value, target) is value


def test_geometries_become_features_and_elements_become_collections() -> None:
    assert promote(POINT, Feature).geometry is POINT
    assert promote(FEATURE, Collection).elements == (FEATURE,)
    found = promote([IMAGE, IMAGE], Images)
    assert (found.kind, found.elements) == ("ImageCollection", (IMAGE, IMAGE))
    mixed = promote([FEATURE, IMAGES], Collection)
    assert (mixed.kind, mixed.elements) == ("FeatureCollection", (FEATURE, IMAGES))


@pytest.mark.parametrize(
    ("value", "target", "name"),
    [
        ("x", LazyImage, "Image"),
        ([IMAGE, 3], Collection, "FeatureCollection"),
        ([FEATURE], Images, "ImageCollection"),
        (3, Feature, "Feature"),
        (Feature(None), Geometry, "Geometry"),
        (IMAGE, Geometry, "Geometry"),
        (32616, Projection, "Projection"),
        (True, Date, "Date"),
        (2.5, int, "Integer"),
        ("3", float, "Float"),
        (3, str, "String"),
        ([1], list[str], "List<String>"),
        ("ab", list, "List<Object>"),
        (Date(5), DateRange, "DateRange"),
        ("mean", Reducer, "Reducer"),
    ],
)
def test_other_values_are_refused_by_the_name_of_the_type(value: Any, target: Any, name: str) -> None:
    with pytest.raises(NotPromotable, match=name):
        promote(value, target)
