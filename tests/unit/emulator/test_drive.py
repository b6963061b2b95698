"""Drive's rules of folders and names."""

from __future__ import annotations

import itertools
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.emulator.catalogue import Catalogue
from cropcam.pipeline.emulator.drive import FOLDER_TYPE, ROOT_ID, Drive, local_name, media_type, rfc3339


@pytest.fixture
def drive(tmp_path: Path) -> Drive:
    ticks = itertools.count(10**18, 10**9)
    return Drive(Catalogue(tmp_path, lambda: next(ticks)))


def temp(tmp_path: Path, data: bytes = b"pixels") -> Path:
    (tmp_path / "temp").write_bytes(data)
    return tmp_path / "temp"


def test_a_folder_is_made_once_and_found_again(drive: Drive, tmp_path: Path) -> None:
    folder = drive.folder("crops")
    assert folder is not None
    assert drive.folder("crops") == folder
    assert drive.uri(folder) == f"https://drive.google.com/#folders/{folder.id}"
    described = drive.describe(folder)
    assert (described["name"], described["mimeType"], described["parents"]) == ("crops", FOLDER_TYPE, [ROOT_ID])
    assert "size" not in described
    assert (tmp_path / "drive/crops").is_dir()


def test_the_newest_of_several_folders_is_taken(drive: Drive, tmp_path: Path) -> None:
    made = [drive.folder("crops", always_new=True) for _ in range(3)]
    assert [entry.path for entry in made if entry] == ["drive/crops", "drive/crops (1)", "drive/crops (2)"]
    assert drive.folder("crops") == made[2]
    (tmp_path / "drive/crops (2)").rmdir()
    assert drive.folder("crops") == made[1]
    assert [item.name for item in drive.files()] == ["crops", "crops"]
    assert drive.folder("crops (1)") not in made  # its name is another one


def test_a_folder_is_found_at_any_level(drive: Drive, tmp_path: Path) -> None:
    (tmp_path / "drive/project/maps").mkdir(parents=True)
    folder = drive.folder("maps")
    assert folder is not None
    assert folder.path == "drive/project/maps"
    parent = drive.folder("project")
    assert parent is not None
    assert drive.describe(folder)["parents"] == [parent.id]


def test_files_of_one_name_lie_side_by_side(drive: Drive, tmp_path: Path) -> None:
    folder = drive.folder("crops")
    added = [drive.add(folder, "image.tif", temp(tmp_path, bytes([number]))) for number in range(3)]
    assert [entry.path for entry in added] == [f"drive/crops/image{end}.tif" for end in ("", " (1)", " (2)")]
    described = [drive.describe(entry) for entry in added]
    assert {(item["name"], item["size"], item["mimeType"]) for item in described} == {("image.tif", "1", "image/tiff")}
    assert len({item["id"] for item in described}) == len({item["md5Checksum"] for item in described}) == 3
    assert "md5Checksum" not in drive.describe(added[0], checksums=False)
    assert [item.path for item in drive.files() if not item.is_folder] == [entry.path for entry in reversed(added)]


def test_the_root_takes_files_without_a_folder(drive: Drive, tmp_path: Path) -> None:
    assert drive.folder("") is None
    entry = drive.add(None, "image.tif", temp(tmp_path))
    assert entry.path == "drive/image.tif"
    assert drive.describe(entry)["parents"] == [ROOT_ID]
    assert drive.uri(None).endswith(ROOT_ID)
    assert drive.item(entry.id) == entry
    assert drive.item("other") is None


def test_an_object_of_a_bucket_is_no_file_of_drive(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    entry = catalogue.publish(catalogue.reserve("gs/bucket/x", "x"), temp(tmp_path))
    assert Drive(catalogue).item(entry.id) is None


@pytest.mark.parametrize(
    ("folder", "name"), [("crops", "crops"), ("a/b", "a%2Fb"), ("50%", "50%25"), ("..", "%2E."), (".a", "%2Ea"), ("v1.0", "v1.0")]
)
def test_a_drive_folder_is_one_local_folder(drive: Drive, tmp_path: Path, folder: str, name: str) -> None:
    made = drive.folder(folder)
    assert made is not None
    assert (made.path, made.name) == (f"drive/{name}", folder)
    assert Drive(Catalogue(tmp_path)).folder(folder) == made


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=20))
def test_a_local_name_is_one_visible_folder_that_gives_the_name_again(folder: str) -> None:
    name = local_name(folder)
    assert unquote(name) == folder
    assert "/" not in name
    assert not name.startswith(".")


def test_types_and_times_are_written_as_the_services_write_them() -> None:
    assert [media_type(name) for name in ("a.tif", "a.TIF", "a.csv", "tif", "")] == [
        "image/tiff", "image/tiff", "text/csv", "image/tiff", "application/octet-stream",
    ]  # fmt: skip
    assert rfc3339(1_700_000_000_123_999_999) == "2023-11-14T22:13:20.123Z"
