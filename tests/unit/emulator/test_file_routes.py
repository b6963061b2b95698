"""Paths of Drive and Cloud Storage."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropcam.pipeline.emulator.access import DRIVE_READ_SCOPES, STORAGE_READ_SCOPES
from cropcam.pipeline.emulator.file_routes import FILE_ROUTES, MEDIA_ROUTES, Files
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.routes import find


@pytest.mark.parametrize(
    ("target", "name", "path"),
    [
        ("/drive/v3/files?q=x", "drive:list", {}),
        ("/drive/v3/about?fields=user", "drive:about", {}),
        ("/drive/v3/files/1aB-_?fields=id", "drive:get", {"id": "1aB-_"}),
        ("/drive/v3/files/1aB-_?alt=json", "drive:get", {"id": "1aB-_"}),
        ("/drive/v3/files/1aB-_?alt=media", "drive:media", {"id": "1aB-_"}),
        ("/storage/v1/b/my.bucket?projection=noAcl", "gs:bucket", {"bucket": "my.bucket"}),
        ("/storage/v1/b/b1/o?prefix=a%2F", "gs:list", {"bucket": "b1"}),
        ("/storage/v1/b/b1/o/a%2Fx%20y.tif", "gs:get", {"bucket": "b1", "name": "a/x y.tif"}),
        ("/storage/v1/b/b1/o/a%2Fo%2Fx.tif?alt=media", "gs:media", {"bucket": "b1", "name": "a/o/x.tif"}),
        ("/download/storage/v1/b/b1/o/x.tif?alt=media&generation=5", "gs:media", {"bucket": "b1", "name": "x.tif"}),
    ],
)
def test_each_path_has_its_route(target: str, name: str, path: dict[str, str]) -> None:
    route, found, _ = find("GET", target)
    assert (route.name, found, route.is_of_files, route.is_counted) == (name, path, True, False)
    assert route.scopes == (DRIVE_READ_SCOPES if name.startswith("drive") else STORAGE_READ_SCOPES)


def test_every_route_of_files_has_a_name_of_its_own() -> None:
    names = [route.name for route in (*FILE_ROUTES, *MEDIA_ROUTES)]
    assert sorted(names) == ["drive:about", "drive:get", "drive:list", "drive:media", "gs:bucket", "gs:get", "gs:list", "gs:media"]


def test_both_services_list_one_folder(tmp_path: Path) -> None:
    files = Files(tmp_path, Limits())
    for where in ("drive/crops", "gs/bucket"):
        (tmp_path / where).mkdir(parents=True)
        (tmp_path / where / "x.tif").write_bytes(b"x")
    assert {entry.path for entry in files.drive.files()} == {"drive/crops", "drive/crops/x.tif"}
    assert list(files.storage.objects("bucket")) == ["x.tif"]
