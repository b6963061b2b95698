"""Request bodies: defaults, numbers plain or wrapped, grids, refusals."""

from __future__ import annotations

from typing import Any

import pytest
from pyproj import CRS

from cropcam.pipeline.emulator import requests as bodies
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.grid import PixelGrid

EXPRESSION = {"result": "0", "values": {"0": {"constantValue": 1}}}


WKT = CRS.from_user_input("ESRI:102008").to_wkt("WKT1_GDAL")


def export_body(**changes: Any) -> dict[str, Any]:
    drive = {"folder": "crops", "filenamePrefix": "image"}
    body = {"expression": EXPRESSION, "description": "image", "requestId": "a-1", "fileExportOptions": {"driveDestination": drive}}
    return {**body, **changes}


def with_geotiff(**options: Any) -> dict[str, Any]:
    return export_body(fileExportOptions={"driveDestination": {"filenamePrefix": "image"}, "geoTiffOptions": options})


def test_numbers_are_plain_or_wrapped() -> None:
    plain = bodies.parse_export(with_geotiff(tileSize=512, noData=3) | {"maxPixels": "7", "priority": 5})
    wrapped = bodies.parse_export(
        with_geotiff(tileSize={"value": 512}, noData={"floatValue": 3}) | {"maxPixels": {"value": "7"}, "priority": {"value": 5}}
    )
    assert plain == wrapped
    assert (plain.max_pixels, plain.priority, plain.tile_px, plain.no_data) == (7, 5, 512, 3)


def test_defaults_are_those_of_the_service() -> None:
    request = bodies.parse_export(export_body())
    assert (request.max_pixels, request.priority, request.tile_px) == (100_000_000, 100, 256)
    assert (request.no_data, request.file_size, request.skip_empty, request.cloud_optimized) == (None, None, False, False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"requestId": "x" * 61}, "Invalid request ID"),
        ({"requestId": "under_score"}, "Invalid request ID"),
        ({"priority": 10_000}, "Invalid priority 10000"),
        ({"priority": -1}, "Invalid priority -1"),
        ({"priority": {"value": 1.5}}, "priority must be an integer"),
        ({"maxPixels": "many"}, "maxPixels must be a number, not 'many'"),
        ({"description": "x" * 101}, "Illegal task description"),
        ({"description": "a b"}, "Illegal task description 'a b'"),
        ({"description": ""}, "Illegal task description ''"),
        ({"expression": {}}, "no expression"),
        ({"fileExportOptions": None, "assetExportOptions": {}}, "Invalid asset name ''"),
        ({"fileExportOptions": {"fileFormat": "TF_RECORD_IMAGE"}}, "GEO_TIFF only, not TF_RECORD_IMAGE"),
        ({"fileExportOptions": {"fileFormat": "GEO_TIFF"}}, "needs a driveDestination or a cloudStorageDestination"),
        ({"fileExportOptions": {"driveDestination": {"filenamePrefix": "a/b"}}}, "Illegal file name prefix 'a/b'"),
        ({"fileExportOptions": {"driveDestination": {"filenamePrefix": ""}}}, "Illegal file name prefix ''"),
        (
            {"fileExportOptions": {"cloudStorageDestination": {"bucket": "crops", "filenamePrefix": "../../etc/x"}}},
            "Illegal file name prefix",
        ),
        ({"fileExportOptions": {"cloudStorageDestination": {"bucket": "crops", "filenamePrefix": "/x"}}}, "Illegal file name prefix"),
        ({"fileExportOptions": {"cloudStorageDestination": {"bucket": "..", "filenamePrefix": "x"}}}, "Invalid Cloud Storage bucket"),
    ],
)
def test_bad_exports_are_refused_before_a_task_starts(change: dict[str, Any], words: str) -> None:
    with pytest.raises(EngineError, match=words):
        bodies.parse_export(export_body(**change))


def test_a_bucket_prefix_may_hold_slashes() -> None:
    bucket = {"cloudStorageDestination": {"bucket": "my-bucket.example", "filenamePrefix": "a/b/image-1_2"}}
    request = bodies.parse_export(export_body(fileExportOptions=bucket))
    assert (request.kind, request.place, request.prefix) == ("gs", "my-bucket.example", "a/b/image-1_2")


def grid_body(**changes: Any) -> dict[str, Any]:
    affine = {"scaleX": 30, "scaleY": -30, "translateX": 500_000, "translateY": 4_000_000}
    return {"dimensions": {"width": 7, "height": "5"}, "affineTransform": affine, "crsCode": "EPSG:32616", **changes}


def test_a_grid_is_named_by_wkt_where_it_has_no_code() -> None:
    assert bodies.parse_grid(grid_body(crsCode="", crsWkt=WKT), None, "unbounded").crs == WKT
    utm = CRS.from_epsg(32616).to_wkt("WKT1_GDAL")
    assert bodies.parse_grid(grid_body(crsCode=None, crsWkt=utm), None, "unbounded").crs == "EPSG:32616"


def test_a_grid_is_complete_or_that_of_the_image() -> None:
    grid = PixelGrid("EPSG:32616", (30.0, 0.0, 500_000.0, 0.0, -30.0, 4_000_000.0), 7, 5)
    assert bodies.parse_grid(grid_body(), None, "unbounded") == grid
    assert bodies.parse_grid(None, grid, "unbounded") == grid


@pytest.mark.parametrize(
    ("described", "words"),
    [
        (None, "no bounds here"),
        (grid_body(dimensions=None), "needs a grid whole"),
        (grid_body(crsCode=""), "needs a grid whole"),
        (grid_body(crsCode="ESRI:102008"), "could not be parsed: 'ESRI:102008'"),
        (grid_body(crsCode="+proj=utm +zone=16 +datum=WGS84"), "could not be parsed: '\\+proj"),
        (grid_body(crsCode=WKT), "could not be parsed: 'PROJCS"),
        (grid_body(crsCode="", crsWkt="EPSG:32616"), "could not be parsed: 'EPSG:32616'"),
        (grid_body(crsWkt=WKT), "oneof field 'crs' is already set"),
        (grid_body(affineTransform={"scaleX": 1, "scaleY": -1, "shearX": 0.1}), "without shear"),
        (grid_body(affineTransform={"scaleX": 1}), "can not be inverted"),
    ],
)
def test_bad_grids_are_refused(described: dict[str, Any] | None, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        bodies.parse_grid(described, None, "no bounds here")
