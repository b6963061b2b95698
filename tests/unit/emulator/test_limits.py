"""The embedded engine's HTTP side without a server: limits, request bodies, faults, listings, tiles, discovery."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.emulator import discovery, limits, listing, tiles
from cropcam.pipeline.emulator import requests as bodies
from cropcam.pipeline.emulator.block_reader import Block, block_side
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.fault_injection import EXPORT_RUN, Fault, Faults
from cropcam.pipeline.emulator.images import Band, BandType
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.pixels import Constant
from cropcam.pipeline.errors import ConfigError, EarthEngineError
from cropcam.pipeline.grid import PixelGrid, Window

EXPRESSION = {"result": "0", "values": {"0": {"constantValue": 1}}}
LIMITS = Limits()


def export_body(**changes: Any) -> dict[str, Any]:
    drive = {"folder": "crops", "filenamePrefix": "image"}
    body = {"expression": EXPRESSION, "description": "image", "requestId": "a-1", "fileExportOptions": {"driveDestination": drive}}
    return {**body, **changes}


def with_geotiff(**options: Any) -> dict[str, Any]:
    return export_body(fileExportOptions={"driveDestination": {"filenamePrefix": "image"}, "geoTiffOptions": options})


def test_a_request_of_exactly_the_limit_passes_and_one_more_row_does_not() -> None:
    # uint16 counts 3 bytes a pixel with its mask byte: 4096 x 4096 x 3 = 50,331,648
    limits.check_pixels(4096, 4096, ["uint16"], LIMITS)
    with pytest.raises(EngineError, match=r"Total request size \(50343936 bytes\) must be less than or equal to 50331648 bytes\."):
        limits.check_pixels(4096, 4097, ["uint16"], LIMITS)


def test_sides_and_bands_are_limited() -> None:
    limits.check_pixels(32_768, 1, ["uint8"], LIMITS)
    with pytest.raises(EngineError, match=r"Pixel grid dimensions \(1x32769\) must be less than or equal to 32768"):
        limits.check_pixels(1, 32_769, ["uint8"], LIMITS)
    with pytest.raises(EngineError, match=r"Number of bands \(1025\) must be less than or equal to 1024"):
        limits.check_pixels(1, 1, ["uint8"] * 1025, LIMITS)
    with pytest.raises(EngineError, match="must be positive"):
        limits.check_pixels(0, 1, ["uint8"], LIMITS)
    with pytest.raises(EngineError, match="No bands"):
        limits.check_pixels(1, 1, [], LIMITS)


def test_numbers_travel_plain_or_wrapped() -> None:
    plain = bodies.parse_export(with_geotiff(tileSize=512, noData=3) | {"maxPixels": "7", "priority": 5})
    wrapped = bodies.parse_export(
        with_geotiff(tileSize={"value": 512}, noData={"floatValue": 3}) | {"maxPixels": {"value": "7"}, "priority": {"value": 5}}
    )
    assert plain == wrapped
    assert (plain.max_pixels, plain.priority, plain.tile_px, plain.no_data) == (7, 5, 512, 3)


def test_defaults_are_the_services() -> None:
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
        ({"fileExportOptions": None, "assetExportOptions": {}}, "Drive or Cloud Storage only"),
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


def test_an_export_is_too_large_above_its_max_pixels() -> None:
    limits.check_export(10_000, 10_000, ["uint16"], 100_000_000)
    with pytest.raises(EngineError, match=r"Export too large: specified 100010000 pixels \(max: 100000000\)\. Specify higher maxPixels"):
        limits.check_export(10_001, 10_000, ["uint16"], 100_000_000)


def test_bands_of_one_export_share_a_type() -> None:
    limits.check_export(1, 1, ["uint16", "uint16"], 1)
    with pytest.raises(EngineError, match="inconsistent types: Byte and Float32"):
        limits.check_export(1, 1, ["uint8", "float32"], 1)
    with pytest.raises(EngineError, match="inconsistent types: UInt16 and Int32"):
        limits.check_export(1, 1, ["uint16", "int32"], 1)
    with pytest.raises(EngineError, match="at least one band"):
        limits.check_export(1, 1, [], 1)


@pytest.mark.parametrize(("value", "dtype"), [(-1, "uint16"), (65_536, "uint16"), (0.5, "uint8")])
def test_nodata_fits_the_type(value: float, dtype: str) -> None:
    with pytest.raises(EngineError, match="out of range for the exported data type"):
        limits.check_no_data(value, dtype)
    limits.check_no_data(value, "float32")


@pytest.mark.parametrize(("pixel_bytes", "side"), [(1, 46_592), (2, 32_768), (4, 23_296), (14, 12_544)])
def test_default_file_sides_are_those_of_files_seen_in_the_world(pixel_bytes: int, side: int) -> None:
    windows = limits.plan_files(side + 1, side + 1, pixel_bytes, None, 256, LIMITS)
    assert [(window.row, window.col) for window in windows] == [(0, 0), (0, side), (side, 0), (side, side)]


def test_what_fits_one_file_is_one_file_whatever_the_dimensions_asked() -> None:
    assert limits.plan_files(1000, 500, 14, (1024, 512), 256, LIMITS) == [Window(0, 0, 500, 1000)]


@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(1, 8), st.integers(1, 8))
def test_files_cover_the_image_once(width: int, height: int, across: int, down: int) -> None:
    windows = limits.plan_files(width, height, 2, (256 * across, 256 * down), 256, LIMITS)
    assert sum(window.height * window.width for window in windows) == width * height
    assert len({(window.row, window.col) for window in windows}) == len(windows)
    assert all(window.row % 256 == 0 and window.col % 256 == 0 for window in windows)


@pytest.mark.parametrize(
    ("size", "tile_px", "words"),
    [
        ((300, 256), 256, r"File dimensions \(300x256\) must be positive multiples of the tile size \(256\)"),
        ((256, 0), 256, "positive multiples"),
        ((131_328, 256), 256, "must be less than or equal to 131072"),
        ((131_072, 131_072), 256, r"requested is 34359738368 bytes before compression \(2 bytes per pixel\)"),
        (None, 100, "Invalid tile size 100"),
    ],
)
def test_bad_file_dimensions_are_refused(size: tuple[int, int] | None, tile_px: int, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        limits.plan_files(131_072, 131_072, 2, size, tile_px, LIMITS)


def grid_body(**changes: Any) -> dict[str, Any]:
    affine = {"scaleX": 30, "scaleY": -30, "translateX": 500_000, "translateY": 4_000_000}
    return {"dimensions": {"width": 7, "height": "5"}, "affineTransform": affine, "crsCode": "EPSG:32616", **changes}


def test_a_grid_is_read_whole_or_is_the_images_own() -> None:
    grid = PixelGrid("EPSG:32616", (30.0, 0.0, 500_000.0, 0.0, -30.0, 4_000_000.0), 7, 5)
    assert bodies.parse_grid(grid_body(), None, "unbounded") == grid
    assert bodies.parse_grid(None, grid, "unbounded") == grid


@pytest.mark.parametrize(
    ("described", "words"),
    [
        (None, "no bounds here"),
        (grid_body(dimensions=None), "needs a grid whole"),
        (grid_body(crsCode=""), "needs a grid whole"),
        (grid_body(affineTransform={"scaleX": 1, "scaleY": -1, "shearX": 0.1}), "without shear"),
        (grid_body(affineTransform={"scaleX": 1}), "can not be inverted"),
    ],
)
def test_grids_that_are_none_are_refused(described: dict[str, Any] | None, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        bodies.parse_grid(described, None, "no bounds here")


def test_faults_strike_a_counted_number_of_times() -> None:
    faults = Faults.of(Fault("tiles", count=2, after=1), Fault("*", kind="slow"))
    taken = [faults.take("tiles") for _ in range(5)]
    assert [fault.kind if fault else None for fault in taken] == ["slow", "status", "status", None, None]
    assert faults.left() == []


def test_faults_of_any_request_spare_running_tasks() -> None:
    faults = Faults.of(Fault("*"), Fault(EXPORT_RUN, kind="memory"))
    struck = faults.take(EXPORT_RUN)
    assert struck is not None
    assert struck.kind == "memory"
    assert [fault["route"] for fault in faults.left()] == ["*"]


def test_unknown_faults_are_refused() -> None:
    with pytest.raises(ConfigError, match="kind 'fire' is not known"):
        Faults().order([{"kind": "fire"}])
    with pytest.raises(ConfigError, match="unexpected keyword argument 'colour'"):
        Faults().order([{"colour": "red"}])


def test_assets_are_paged_and_filtered_by_time() -> None:
    assets = [{"id": f"L/{month}", "startTime": f"2016-{month:02}-01T00:00:00Z"} for month in range(1, 8)]
    wanted = 'startTime >= "2016-02-01T00:00:00Z" AND endTime < "2016-06-01T00:00:00Z"'
    first = listing.page(assets, "assets", {"filter": wanted, "pageSize": "3"})
    second = listing.page(assets, "assets", {"filter": wanted, "pageSize": "3", "pageToken": first["nextPageToken"]})
    assert [asset["id"] for asset in first["assets"] + second["assets"]] == ["L/2", "L/3", "L/4", "L/5"]
    assert "nextPageToken" not in second
    assert first["assets"][0]["name"] == "projects/earthengine-public/assets/L/2"


def test_other_asset_filters_are_refused_by_name() -> None:
    with pytest.raises(EngineError, match=r"properties\.CLOUD_COVER < 5.* is not implemented by the embedded engine"):
        listing.page([{"id": "x"}], "assets", {"filter": "properties.CLOUD_COVER < 5"})
    with pytest.raises(EngineError, match="Invalid time 'soon'"):
        listing.page([{"id": "x", "startTime": "2016-01-01"}], "assets", {"filter": 'startTime > "soon"'})


def test_tiles_halve_the_world_and_meet() -> None:
    world, west, east = tiles.tile_grid(0, 0, 0), tiles.tile_grid(1, 0, 1), tiles.tile_grid(1, 1, 1)
    assert world.bounds_xyxy == pytest.approx((-20_037_508.34, -20_037_508.34, 20_037_508.34, 20_037_508.34), abs=0.01)
    assert west.bounds_xyxy[2] == pytest.approx(east.bounds_xyxy[0], abs=1e-6)
    assert west.bounds_xyxy[3] == pytest.approx(0, abs=1e-6)
    with pytest.raises(EngineError, match="no tile 1/2/0"):
        tiles.tile_grid(1, 2, 0)


def test_colours_follow_range_gamma_and_palette() -> None:
    grid = PixelGrid("EPSG:3857", (1.0, 0.0, 0.0, 0.0, -1.0, 0.0), 3, 1)
    band = Band("B", BandType.of("uint16"), Constant(0, "uint16"))
    block = Block(Window(0, 0, 1, 3), np.array([[[100, 200, 300]]], np.uint16), np.array([[[True, True, False]]]), 0.0)
    grey = tiles.paint([block], grid, [band], tiles.Visualization.parse({"ranges": [{"min": 100, "max": 300}], "gamma": {"value": 1}}))
    assert grey.tolist() == [[[0, 0, 0, 255], [128, 128, 128, 255], [0, 0, 0, 0]]]
    style = {"ranges": [{"min": 100, "max": 300}], "paletteColors": ["000000", "red", "#ffffff"]}
    assert tiles.paint([block], grid, [band], tiles.Visualization.parse(style))[0, 1].tolist() == [255, 0, 0, 255]
    bright = tiles.paint([block], grid, [band], tiles.Visualization(((100, 300),), gamma=2.0))
    assert bright[0, 1, 0] == 180  # sqrt(0.5) * 255


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"paletteColors": ["no colour"]}, "Invalid palette colour 'no colour'"),
        ({"ranges": [{"min": 1, "max": 1}]}, "min and max must differ"),
        ({"gamma": 0}, "gamma must be positive"),
    ],
)
def test_bad_visualizations_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(EngineError, match=words):
        tiles.Visualization.parse(options)


def test_coarse_grids_are_read_in_small_blocks() -> None:
    native = PixelGrid("EPSG:32616", (30.0, 0.0, 400_000.0, 0.0, -30.0, 4_600_000.0), 7000, 7000)
    band = Band("B", BandType.of("uint16"), Constant(0, "uint16"), window=None)
    assert block_side(native, [band]) == 512
    placed = Band("B", BandType.of("uint16"), Constant(0, "uint16"), window=Window(0, 0, 7000, 7000))
    assert placed.grid is not None
    fine = PixelGrid(placed.grid.crs, placed.grid.transform, 600, 600)
    a, b, c, d, e, f = fine.transform
    assert block_side(fine, [placed]) == 512
    assert block_side(PixelGrid(fine.crs, (a * 64, b, c, d, e * 64, f), 100, 100), [placed]) == 32


def test_the_wheels_discovery_document_is_served_as_v1() -> None:
    """Canary: fails where a new client no longer ships the files, or ships others."""
    document = json.loads(discovery.discovery_document("http://127.0.0.1:1/"))
    assert (document["version"], document["rootUrl"], document["id"]) == ("v1", "http://127.0.0.1:1/", "earthengine:v1")
    methods = document["resources"]["projects"]["resources"]["image"]["methods"]
    assert methods["computePixels"]["path"] == "v1/{+project}/image:computePixels"
    assert "v1alpha" not in json.dumps(document)


def test_the_wheels_algorithms_are_the_services_list() -> None:
    """Canary, as above."""
    names = {entry["name"] for entry in json.loads(discovery.algorithms())["algorithms"]}
    assert {"algorithms/ImageCollection.load", "algorithms/reduce.median", "algorithms/Image.remap"} <= names
    assert len(names) > 900


def test_a_client_without_the_files_is_named_with_the_pinned_version(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        version = "9.9.9"
        files: tuple[Any, ...] = ()

    monkeypatch.setattr("importlib.metadata.distribution", lambda _: Other())
    with pytest.raises(
        EarthEngineError, match=r"earthengine-api 9\.9\.9 does not ship ee/tests/x\.json.*install earthengine-api==1\.7\.50"
    ):
        discovery._shipped("x.json")
