"""Assets of the user's own on disk: parents, overwriting, deletion, changes of properties."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.own_assets import OwnAssets, check_writable_name

ROOT = "projects/my-project/assets"


@pytest.fixture
def assets(tmp_path: Path) -> OwnAssets:
    return OwnAssets(tmp_path / "assets")


def written(folder: Path, mark: str = "a", **properties: Any) -> Path:
    """A finished image that is not published yet."""
    folder.mkdir()
    (folder / "asset.json").write_text(json.dumps({"bands": [], "properties": properties, "mark": mark}))
    return folder


def properties(assets: OwnAssets, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((assets.path(name) / "asset.json").read_text())["properties"]
    return found


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("projects/earthengine-public/assets/x", "PERMISSION_DENIED"),
        ("projects/earthengine-legacy/assets/users/me/x", "UNIMPLEMENTED"),
        ("projects/p/assets", "INVALID_ARGUMENT"),
        ("projects/p/assets/", "INVALID_ARGUMENT"),
        ("projects/p/assets/../x", "INVALID_ARGUMENT"),
        ("projects/p/assets/a//x", "INVALID_ARGUMENT"),
        ("projects/P/assets/x", "INVALID_ARGUMENT"),
        ("projects/../assets/x", "INVALID_ARGUMENT"),
        ("x", "INVALID_ARGUMENT"),
        ("", "INVALID_ARGUMENT"),
    ],
)
def test_only_names_of_a_projects_own_assets_are_written(name: str, status: str) -> None:
    with pytest.raises(EngineError, match=r"asset") as refused:
        check_writable_name(name)
    assert refused.value.status == status
    check_writable_name("projects/my-project/assets/a/b_c-1")


def test_an_image_appears_whole_and_is_replaced_only_when_told(assets: OwnAssets, tmp_path: Path) -> None:
    name = f"{ROOT}/x"
    assets.publish(written(tmp_path / "first", "a"), name, overwrite=False)
    with pytest.raises(EngineError, match=f"^Cannot overwrite asset '{name}'.$"):
        assets.publish(written(tmp_path / "second", "b"), name, overwrite=False)
    assert "a" in (assets.path(name) / "asset.json").read_text()
    assets.publish(tmp_path / "second", name, overwrite=True)
    assert json.loads((assets.path(name) / "asset.json").read_text())["mark"] == "b"
    assert [entry.name for entry in assets.path(name).parent.iterdir()] == ["x"]


def test_a_folder_is_never_overwritten_by_an_image(assets: OwnAssets) -> None:
    assets.create(f"{ROOT}/a", {"type": "FOLDER"})
    with pytest.raises(EngineError, match="Cannot overwrite asset"):
        assets.check_target(f"{ROOT}/a", overwrite=True)


def test_a_parent_must_be_a_folder_or_collection(assets: OwnAssets, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=f"^Asset '{ROOT}/a' does not exist or doesn't allow this operation.$"):
        assets.check_target(f"{ROOT}/a/x", overwrite=False)
    with pytest.raises(EngineError, match="doesn't allow this operation") as refused:
        assets.create(f"{ROOT}/a/b", {"type": "FOLDER"})
    assert refused.value.status == "NOT_FOUND"
    assets.publish(written(tmp_path / "image"), f"{ROOT}/image", overwrite=False)
    with pytest.raises(EngineError, match="doesn't allow this operation"):
        assets.check_target(f"{ROOT}/image/x", overwrite=False)
    assets.create(f"{ROOT}/a", {"type": "IMAGE_COLLECTION"})
    assert assets.check_target(f"{ROOT}/a/x", overwrite=False) == assets.folder / ROOT / "a/x"


def test_other_types_are_not_made(assets: OwnAssets) -> None:
    with pytest.raises(EngineError, match="creation of an asset of type IMAGE is not implemented"):
        assets.create(f"{ROOT}/x", {"type": "IMAGE"})


def test_a_folder_that_holds_assets_is_not_deleted(assets: OwnAssets, tmp_path: Path) -> None:
    assets.create(f"{ROOT}/a", {"type": "FOLDER"})
    assets.publish(written(tmp_path / "image"), f"{ROOT}/a/x", overwrite=False)
    with pytest.raises(EngineError, match=f"Cannot delete asset '{ROOT}/a': it is not empty"):
        assets.delete(f"{ROOT}/a")
    assets.delete(f"{ROOT}/a/x")
    assets.delete(f"{ROOT}/a")
    assert not list((assets.folder / ROOT).iterdir())
    with pytest.raises(EngineError, match="does not exist"):
        assets.delete(f"{ROOT}/a")


@pytest.mark.parametrize(
    ("mask", "asset", "expected"),
    [
        ({"paths": ['properties."n"']}, {"properties": {"n": 2, "m": 3}}, {"n": 2, "kept": 1, "system:time_start": 5}),
        ({"paths": ["properties.n"]}, {"properties": {"n": None}}, {"kept": 1, "system:time_start": 5}),
        ("properties.n,startTime", {"startTime": "1970-01-01T00:00:01Z"}, {"kept": 1, "system:time_start": 1000}),
        ({"paths": ["properties"]}, {"properties": {"m": 3}}, {"m": 3, "system:time_start": 5}),
        ({"paths": ["end_time"]}, {"endTime": "1970-01-01T00:00:02+00:00"}, {"n": 1, "kept": 1, "system:time_start": 5, "system:time_end": 2000}),
        (None, {"properties": {"m": 3}}, {"m": 3}),
    ],
)  # fmt: skip
def test_a_patch_changes_what_its_mask_names(
    assets: OwnAssets, tmp_path: Path, mask: Any, asset: dict[str, Any], expected: dict[str, Any]
) -> None:
    assets.publish(written(tmp_path / "image", n=1, kept=1, **{"system:time_start": 5}), f"{ROOT}/x", overwrite=False)
    assets.patch(f"{ROOT}/x", {"updateMask": mask, "asset": asset})
    assert properties(assets, f"{ROOT}/x") == expected


def test_bad_patches_are_refused(assets: OwnAssets, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="does not exist"):
        assets.patch(f"{ROOT}/x", {})
    assets.publish(written(tmp_path / "image"), f"{ROOT}/x", overwrite=False)
    with pytest.raises(EngineError, match="change of an asset's bands is not implemented"):
        assets.patch(f"{ROOT}/x", {"updateMask": {"paths": ["bands"]}})
    with pytest.raises(EngineError, match="Invalid time 'soon'"):
        assets.patch(f"{ROOT}/x", {"updateMask": {"paths": ["startTime"]}, "asset": {"startTime": "soon"}})
