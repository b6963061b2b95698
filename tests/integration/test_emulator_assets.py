"""Exports to assets, folders and collections through the unmodified client: written, read back, listed, changed, deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ee
import numpy as np
import pytest
from google.auth.credentials import AnonymousCredentials

from cropcam.pipeline.emulator import Limits, Server, serve
from cropcam.pipeline.grid import PixelGrid, Window
from support.scenes import write_asset

GRID = PixelGrid("EPSG:32616", (30.0, 0.0, 400_000.0, 0.0, -30.0, 4_500_000.0), 700, 600)
PART = GRID.window(Window(10, 20, 300, 530))
RED = np.arange(GRID.width * GRID.height).reshape(GRID.shape_yx).astype(np.uint16)
MASK = RED % 7 != 0
ROOT = "projects/my-project/assets"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    write_asset(folder / "T/scene", {"red": RED, "codes": (RED % 250).astype(np.uint8)}, GRID, {}, **{"system:time_start": 5000, "n": 3})
    return folder


@pytest.fixture
def server(archive: Path, tmp_path: Path) -> Iterator[Server]:
    fetch = ee.deprecation._FetchDataCatalogStac
    ee.deprecation._FetchDataCatalogStac = dict
    with serve(archive, out=tmp_path / "out") as running:
        try:
            ee.Initialize(AnonymousCredentials(), url=running.url, project="my-project")
            yield running
        finally:
            ee.deprecation._FetchDataCatalogStac = fetch
            ee.Reset()


def scene() -> Any:
    """A scene with masked pixels, a 16-bit and an 8-bit band."""
    image = ee.Image("T/scene")
    return image.updateMask(image.select("red").mod(7).neq(0))


def export(name: str, image: Any = None, **options: Any) -> dict[str, Any]:
    """Export to an asset and wait for the end of the task."""
    task = ee.batch.Export.image.toAsset(
        image or scene(), "keep", f"{ROOT}/{name}", crs=PART.crs, crsTransform=list(PART.transform), dimensions=f"{PART.width}x{PART.height}",
        **options,
    )  # fmt: skip
    task.start()
    operation = f"projects/my-project/operations/{task.id}"
    done: dict[str, Any] = ee.data._execute_cloud_call(
        ee.data._get_cloud_projects().operations().wait(name=operation, body={"timeout": "60s"})
    )
    return done


def read(name: str, grid: PixelGrid) -> np.ndarray:
    """Pixels of an asset with the bands and their masks (4, y, x)."""
    a, b, c, d, e, f = grid.transform
    affine = {"scaleX": a, "shearX": b, "translateX": c, "shearY": d, "scaleY": e, "translateY": f}
    found = ee.Image(name)
    request = {
        "expression": found.addBands(found.mask()),
        "fileFormat": "NUMPY_NDARRAY",
        "grid": {"dimensions": {"width": grid.width, "height": grid.height}, "affineTransform": affine, "crsCode": grid.crs},
    }
    record = ee.data.computePixels(request)
    return np.stack([record[field] for field in record.dtype.names])


@pytest.mark.usefixtures("server")
def test_an_image_is_exported_and_read_like_any_other(tmp_path: Path) -> None:
    done = export("composite", overwrite=False, pyramidingPolicy={".default": "mean", "codes": "sample"})
    metadata = done["metadata"]
    assert (metadata["state"], metadata["type"]) == ("SUCCEEDED", "EXPORT_IMAGE")
    assert metadata["destinationUris"] == [f"https://code.earthengine.google.com/?asset={ROOT}/composite"]
    rows, cols = slice(10, 310), slice(20, 550)
    expected = np.stack([RED * MASK, RED % 250 * MASK, MASK, MASK])[:, rows, cols]
    np.testing.assert_array_equal(read(f"{ROOT}/composite", PART), expected)
    raw = ee.data.getPixels({"assetId": f"{ROOT}/composite", "fileFormat": "NUMPY_NDARRAY"})
    np.testing.assert_array_equal(raw["red"], expected[0])
    about = ee.data.getAsset(f"{ROOT}/composite")
    assert (about["type"], about["name"], about["id"]) == ("IMAGE", f"{ROOT}/composite", f"{ROOT}/composite")
    assert about["bands"][0]["grid"]["dimensions"] == {"width": 530, "height": 300}
    assert about["bands"][0]["grid"]["affineTransform"]["translateX"] == PART.transform[2]
    assert (about["startTime"], about["properties"]["n"]) == ("1970-01-01T00:00:05Z", 3)
    assert int(about["sizeBytes"]) > 1000
    assert ee.Image(f"{ROOT}/composite").bandNames().getInfo() == ["red", "codes"]
    stored = json.loads((tmp_path / "out/assets" / ROOT / "composite/asset.json").read_text())
    assert [band["pyramidingPolicy"] for band in stored["bands"]] == ["MEAN", "SAMPLE"]
    assert not list((tmp_path / "out/.partial").iterdir())


@pytest.mark.usefixtures("server")
def test_an_asset_keeps_the_pyramid_it_was_given() -> None:
    assert export("levels", pyramidingPolicy={".default": "sample"})["metadata"]["state"] == "SUCCEEDED"
    coarse = PixelGrid(PART.crs, (60.0, 0.0, PART.transform[2], 0.0, -60.0, PART.transform[5]), 265, 150)
    expected = np.stack([RED * MASK, RED % 250 * MASK, MASK, MASK])[:, 10:310:2, 20:550:2]
    np.testing.assert_array_equal(read(f"{ROOT}/levels", coarse), expected)


@pytest.mark.usefixtures("server")
def test_an_asset_is_overwritten_only_when_told_to() -> None:
    assert export("composite")["metadata"]["state"] == "SUCCEEDED"
    image = ee.Image(f"{ROOT}/composite").select("red")
    refused = export("composite", ee.Image(7).toUint16().rename("red"))
    assert (refused["metadata"]["state"], refused["error"]["code"]) == ("FAILED", 3)
    assert refused["error"]["message"] == f"Cannot overwrite asset '{ROOT}/composite'."
    corner = PART.window(Window(0, 0, 1, 8))
    before = read(f"{ROOT}/composite", corner)
    assert before[0, 0, 2] == RED[10, 22]
    assert export("composite", ee.Image(7).toUint16().rename("red"), overwrite=True)["metadata"]["state"] == "SUCCEEDED"
    after = read(f"{ROOT}/composite", corner)
    assert (after[0] == 7).all()
    assert image.getInfo()["bands"][0]["id"] == "red"  # an expression of before reads the new asset


@pytest.mark.filterwarnings("ignore:getInfo:DeprecationWarning")
@pytest.mark.usefixtures("server")
def test_folders_and_collections_are_made_filled_and_deleted() -> None:
    missing = export("a/b/image")
    assert missing["metadata"]["state"] == "FAILED"
    assert missing["error"]["message"] == f"Asset '{ROOT}/a/b' does not exist or doesn't allow this operation."
    assert ee.data.createFolder(f"{ROOT}/a") | {"id": None} == {"type": "FOLDER", "name": f"{ROOT}/a", "id": None, "properties": {}}
    made = ee.data.createAsset({"type": "ImageCollection"}, f"{ROOT}/a/b", {"title": "median"})
    assert (made["type"], made["properties"]) == ("IMAGE_COLLECTION", {"title": "median"})
    assert ee.ImageCollection(f"{ROOT}/a/b").size().getInfo() == 0
    assert export("a/b/image")["metadata"]["state"] == "SUCCEEDED"
    assert ee.ImageCollection(f"{ROOT}/a/b").first().get("system:index").getInfo() == "image"
    assert [asset["id"] for asset in ee.data.listAssets(f"{ROOT}/a/b")["assets"]] == [f"{ROOT}/a/b/image"]
    assert [asset["type"] for asset in ee.data.listAssets(ROOT)["assets"]] == ["FOLDER"]
    with pytest.raises(ee.EEException, match=f"Cannot overwrite asset '{ROOT}/a'"):
        ee.data.createFolder(f"{ROOT}/a")
    with pytest.raises(ee.EEException, match="is not empty"):
        ee.data.deleteAsset(f"{ROOT}/a/b")
    for name in ("a/b/image", "a/b", "a"):
        ee.data.deleteAsset(f"{ROOT}/{name}")
        assert ee.data.getInfo(f"{ROOT}/{name}") is None
    with pytest.raises(ee.EEException, match="does not exist or doesn't allow this operation"):
        ee.data.deleteAsset(f"{ROOT}/a")
    assert ee.data.listAssets(ROOT)["assets"] == []


@pytest.mark.filterwarnings("ignore:setAssetProperties:DeprecationWarning")
@pytest.mark.usefixtures("server")
def test_properties_of_an_asset_are_changed() -> None:
    assert export("image")["metadata"]["state"] == "SUCCEEDED"
    ee.data.setAssetProperties(f"{ROOT}/image", {"n": None, "study": "demo", "with space": 2})
    found = ee.data.getAsset(f"{ROOT}/image")
    assert found["properties"] == {"study": "demo", "with space": 2, "system:time_start": 5000, "system:index": "image"}
    ee.data.updateAsset(f"{ROOT}/image", {"start_time": None, "startTime": "2016-05-01T00:00:00Z"}, ["start_time"])
    assert ee.data.getAsset(f"{ROOT}/image")["startTime"] == "2016-05-01T00:00:00Z"
    assert ee.Image(f"{ROOT}/image").get("study").getInfo() == "demo"


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("USDA/NASS/CDL/2031", "may not be written"),
        ("users/me/image", "legacy asset"),
        (f"{ROOT}/no good", "letters, numbers, hyphens and underscores"),
        (f"{ROOT}/../escape", "letters, numbers, hyphens and underscores"),
    ],
)
def test_names_elsewhere_are_refused(name: str, message: str) -> None:
    task = ee.batch.Export.image.toAsset(scene(), "keep", name)
    with pytest.raises(ee.EEException, match=message):
        task.start()
    with pytest.raises(ee.EEException, match=message):
        ee.data.createFolder(name)


def test_assets_outlive_the_server(archive: Path, server: Server) -> None:
    assert export("image")["metadata"]["state"] == "SUCCEEDED"
    server.stop()
    with serve(archive, out=server.out) as again:
        ee.Initialize(AnonymousCredentials(), url=again.url, project="my-project")
        assert ee.Image(f"{ROOT}/image").bandNames().getInfo() == ["red", "codes"]


@pytest.fixture
def small(archive: Path, tmp_path: Path) -> Iterator[Server]:
    """A server with little memory for each tile and each computed image."""
    fetch = ee.deprecation._FetchDataCatalogStac
    ee.deprecation._FetchDataCatalogStac = dict
    limits = Limits(output_bytes=PART.width * PART.height * 8 * 2, tile_bytes=2 * 128**2 * 8)
    with serve(archive, out=tmp_path / "out", limits=limits) as running:
        try:
            ee.Initialize(AnonymousCredentials(), url=running.url, project="my-project")
            yield running
        finally:
            ee.deprecation._FetchDataCatalogStac = fetch
            ee.Reset()


@pytest.mark.usefixtures("small")
def test_a_smaller_tile_saves_an_export_and_a_stored_image_needs_no_computing() -> None:
    failed = export("image")
    assert failed["metadata"]["state"] == "FAILED"
    assert failed["error"] == {"code": 8, "message": "User memory limit exceeded."}
    assert export("image", shardSize=128)["metadata"]["state"] == "SUCCEEDED"
    with pytest.raises(ee.EEException, match=r"Output of image computation is too large \(4 bands for 159000 pixels = 4.9 MiB > 2.4 MiB\)"):
        read(f"{ROOT}/image", PART)
    assert ee.data.getPixels({"assetId": f"{ROOT}/image", "fileFormat": "NUMPY_NDARRAY"}).shape == PART.shape_yx
