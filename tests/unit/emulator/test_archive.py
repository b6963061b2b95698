"""The archive folder as assets: ids, descriptions, listing, damage."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio

from cropcam.pipeline.emulator.archive import Archive
from cropcam.pipeline.emulator.engine import Engine
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.images import LazyImage
from cropcam.pipeline.grid import Window
from support import scenes
from support.scenes import EAST, LABELS, LANDSAT

PREFIX = "projects/earthengine-public/assets/"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def engine(folder: Path) -> Engine:
    return Engine(folder)


def load(engine: Engine, asset: str) -> object:
    arguments = {"id": {"constantValue": asset}}
    return engine.image(
        {"result": "0", "values": {"0": {"functionInvocationValue": {"functionName": "Image.load", "arguments": arguments}}}}
    )


def test_an_image_is_described_as_by_the_rest_api(engine: Engine) -> None:
    found = engine.asset(f"{LANDSAT}/LC08_A")
    assert found == engine.asset(f"{PREFIX}{LANDSAT}/LC08_A")
    assert (found["type"], found["id"], found["name"]) == ("IMAGE", f"{LANDSAT}/LC08_A", f"{PREFIX}{LANDSAT}/LC08_A")
    assert found["startTime"] == "2016-05-01T00:00:00Z"
    assert found["properties"]["CLOUD_COVER"] == 0.0
    assert found["bands"][0] == {
        "id": "SR_B4",
        "dataType": {"precision": "INT", "range": {"min": 0, "max": 65535}},
        "grid": {
            "crsCode": "EPSG:32616",
            "dimensions": {"width": 130, "height": 170},
            "affineTransform": {"scaleX": 30, "shearX": 0, "translateX": 246_015, "shearY": 0, "scaleY": -30, "translateY": 4_544_985},
        },
    }
    assert found["geometry"]["type"] == "Polygon"
    west, north = found["geometry"]["coordinates"][0][3]
    assert -90.1 < west < -89.9
    assert 40.9 < north < 41.1
    assert engine.asset(LABELS)["bands"][1]["dataType"]["range"] == {"min": 0, "max": 255}


def test_collections_and_folders_are_described_and_listed(engine: Engine) -> None:
    assert engine.asset(LANDSAT) == {"type": "IMAGE_COLLECTION", "name": PREFIX + LANDSAT, "id": LANDSAT}
    assert engine.asset("LANDSAT")["type"] == "FOLDER"
    assert [asset["id"] for asset in engine.list_assets("")] == ["LANDSAT", "USDA"]
    listed = engine.list_assets(PREFIX + LANDSAT)
    assert [asset["id"].rpartition("_")[2] for asset in listed] == ["A", "B", "C", "D", "E", "EARLY", "FAR", "LATE"]
    assert engine.list_assets(LABELS) == []


@pytest.mark.parametrize("asset", ["NO/SUCH", "../etc", "/etc", "LANDSAT/../USDA", ".hidden", "a b", "LANDSAT//LC08"])
def test_missing_assets_are_not_found(engine: Engine, asset: str) -> None:
    for request in (engine.asset, engine.list_assets):
        with pytest.raises(EngineError, match=r"does not exist or doesn.t allow this operation") as refused:
            request(asset)
        assert (refused.value.status, refused.value.code) == ("NOT_FOUND", 404)


def damaged(tmp_path: Path) -> tuple[Path, Engine]:
    scenes.write_scene(tmp_path, "T/scene", "2016-05-01", EAST, 1)
    return tmp_path / "T/scene", Engine(tmp_path)


def test_a_missing_band_is_named(tmp_path: Path) -> None:
    folder, engine = damaged(tmp_path)
    (folder / "SR_B5.tif").unlink()
    with pytest.raises(EngineError, match="Asset 'T/scene' of the archive is damaged: band 'SR_B5'") as refused:
        engine.asset("T/scene")
    assert refused.value.status == "FAILED_PRECONDITION"


def test_a_truncated_band_is_named(tmp_path: Path) -> None:
    folder, engine = damaged(tmp_path)
    path = folder / "SR_B4.tif"
    path.write_bytes(path.read_bytes()[:5000])
    image = load(engine, "T/scene")
    with pytest.raises(EngineError, match="'scene' of the archive is damaged: band 'SR_B4'"):
        image.read(EAST, ["SR_B4"])  # type: ignore[attr-defined]


def test_a_band_without_a_crs_is_named(tmp_path: Path) -> None:
    folder, engine = damaged(tmp_path)
    with rasterio.open(
        folder / "SR_B4.tif", "w", driver="GTiff", dtype="uint16", count=1, width=4, height=4, transform=rasterio.Affine(1, 0, 5, 0, -1, 5)
    ) as file:
        file.write(np.ones((1, 4, 4), np.uint16))
    with pytest.raises(EngineError, match="band 'SR_B4' has no CRS"):
        engine.asset("T/scene")


@pytest.mark.parametrize("text", ["{", "[]", '{"bands": []}', '{"bands": 3, "properties": {}}'])
def test_a_damaged_description_is_named(tmp_path: Path, text: str) -> None:
    folder, engine = damaged(tmp_path)
    (folder / "asset.json").write_text(text)
    with pytest.raises(EngineError, match=r"Asset 'T/scene' of the archive is damaged: asset\.json"):
        engine.asset("T/scene")


def test_an_asset_that_changes_is_read_again(tmp_path: Path) -> None:
    import os

    folder, engine = damaged(tmp_path)
    assert engine.asset("T/scene")["properties"]["CLOUD_COVER"] == 10
    about = json.loads((folder / "asset.json").read_text())
    about["properties"]["CLOUD_COVER"] = 50
    (folder / "asset.json").write_text(json.dumps(about))
    os.utime(folder / "asset.json", ns=(1, 1))
    assert engine.asset("T/scene")["properties"]["CLOUD_COVER"] == 50


def test_a_new_asset_changes_an_image_of_its_collection(tmp_path: Path) -> None:
    folder, engine = damaged(tmp_path)
    expression = {
        "result": "0",
        "values": {
            "0": {
                "functionInvocationValue": {"functionName": "ImageCollection.mosaic", "arguments": {"collection": {"valueReference": "1"}}}
            },
            "1": {"functionInvocationValue": {"functionName": "ImageCollection.load", "arguments": {"id": {"constantValue": "T"}}}},
        },
    }
    first = engine.image(expression)
    assert engine.image(expression) is first
    shutil.copytree(folder, tmp_path / ".later")
    assert engine.image(expression) is first  # it is under way
    (tmp_path / ".later").rename(folder.with_name("later"))
    assert engine.image(expression) is not first


def test_half_written_assets_are_not_listed(tmp_path: Path) -> None:
    folder, engine = damaged(tmp_path)
    folder.rename(folder.with_name(".scene.part"))
    (tmp_path / "T/other").mkdir()
    assert engine.asset("T")["type"] == "FOLDER"
    assert [asset["id"] for asset in engine.list_assets("T")] == ["T/other"]


def test_own_assets_go_before_those_of_the_archive(tmp_path: Path) -> None:
    archive, own = tmp_path / "archive", tmp_path / "own"
    name = "projects/my-project/assets/image"
    for root, value in ((archive, 1), (own, 2)):
        (root / name).parent.mkdir(parents=True)
        scenes.write_asset(root / name, {"a": np.full((3, 3), value, np.uint8)}, EAST.window(Window(0, 0, 3, 3)), {})
    scenes.write_asset(archive / f"{name}_shared", {"a": np.full((3, 3), 3, np.uint8)}, EAST.window(Window(0, 0, 3, 3)), {})
    engine = Engine(archive, own)
    for asset, value in ((name, 2), (f"{name}_shared", 3)):
        found = load(engine, asset)
        assert isinstance(found, LazyImage)
        assert (found.read(EAST.window(Window(0, 0, 3, 3)))[0] == value).all()
    assert [asset["id"] for asset in engine.list_assets("projects/my-project/assets")] == [name]
    assert engine.list_assets("projects/other/assets") == []
    with pytest.raises(EngineError, match="does not exist"):
        engine.list_assets("projects/other/assets/a")


def test_a_folder_may_be_an_empty_collection(folder: Path, tmp_path: Path) -> None:
    for kind in ("IMAGE_COLLECTION", "FOLDER"):
        made = tmp_path / "projects/my-project/assets" / kind
        made.mkdir(parents=True)
        (made / "folder.json").write_text(json.dumps({"type": kind, "properties": {"n": 1}}))
        name = f"projects/my-project/assets/{kind}"
        assert Engine(folder, tmp_path).asset(name) == {"type": kind, "name": name, "id": name, "properties": {"n": 1}}
    archive = Archive(folder, tmp_path)
    empty = archive.collection("projects/my-project/assets/IMAGE_COLLECTION")
    assert (list(empty.elements), empty.properties["n"]) == ([], 1)
    with pytest.raises(EngineError, match=r"ImageCollection asset .* not found"):
        archive.collection("projects/my-project/assets/FOLDER")
