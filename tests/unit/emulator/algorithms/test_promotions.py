"""Promotion of arguments to the type that an algorithm expects."""

from __future__ import annotations

from support.expressions import call


def test_numbers_and_names_are_promoted() -> None:
    bands = call("Image.add", image1=3, image2=[1, 2.5])["bands"]
    assert [band["data_type"] for band in bands] == [
        {"type": "PixelType", "precision": "int", "min": 4, "max": 4},
        {"type": "PixelType", "precision": "double"},
    ]
    assert call("Projection.nominalScale", proj="EPSG:32616") == 1.0
    assert call("Date.millis", date="2016-05-01") == 1_462_060_800_000
