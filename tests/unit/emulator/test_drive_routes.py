"""Drive's routes, asked without a socket."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from cropcam.pipeline.emulator.access import Account
from cropcam.pipeline.emulator.byte_ranges import FileSlice
from cropcam.pipeline.emulator.catalogue import Catalogue
from cropcam.pipeline.emulator.drive import ROOT_ID, Drive
from cropcam.pipeline.emulator.drive_routes import DriveRoutes
from cropcam.pipeline.emulator.fault_injection import Fault
from cropcam.pipeline.emulator.file_responses import FileError
from cropcam.pipeline.emulator.responses import Response
from cropcam.pipeline.emulator.routing import Request


class Caller:
    """A Drive of one folder "crops" with the files a.tif, b.tif and again a.tif, written in this order."""

    def __init__(self, tmp_path: Path) -> None:
        ticks = itertools.count(10**18, 10**9)
        self.drive = Drive(Catalogue(tmp_path, lambda: next(ticks)))
        self.routes = DriveRoutes(self.drive)
        folder = self.drive.folder("crops")
        assert folder is not None
        self.folder = folder.id
        self.ids = []
        for number, name in enumerate(("a.tif", "b.tif", "a.tif")):
            (tmp_path / "temp").write_bytes(bytes(1000 + number))
            self.ids.append(self.drive.add(folder, name, tmp_path / "temp").id)

    def request(self, path: dict[str, str] | None = None, fault: str = "", account: Account | None = None, **query: str) -> Request:
        order = Fault("*", fault) if fault else None  # type: ignore[arg-type]
        return Request("http://x/", path or {}, query, {}, account=account or Account(), fault=order)

    def list(self, fault: str = "", account: Account | None = None, **query: str) -> dict[str, Any]:
        return value(self.routes.list_files(self.request({}, fault, account, **query)))

    def get(self, item: str, fault: str = "", **query: str) -> dict[str, Any]:
        return value(self.routes.get(self.request({"id": item}, fault, **query)))


def value(response: Response) -> dict[str, Any]:
    (body,) = response.parts
    assert isinstance(body, bytes)
    found: dict[str, Any] = json.loads(body)
    return found


@pytest.fixture
def caller(tmp_path: Path) -> Caller:
    return Caller(tmp_path)


def names(found: dict[str, Any]) -> list[str]:
    return [file["name"] for file in found["files"]]


def test_a_list_has_four_fields_of_each_file_unless_others_are_asked_for(caller: Caller) -> None:
    found = caller.list()
    assert (found["kind"], found["incompleteSearch"], len(found["files"])) == ("drive#fileList", False, 4)
    assert set(found["files"][0]) == {"kind", "id", "name", "mimeType"}
    assert caller.list(fields="files(name,size)", q="name = 'b.tif'") == {"files": [{"name": "b.tif", "size": "1001"}]}
    full = caller.list(fields="*", q="name = 'b.tif'")["files"][0]
    assert (full["parents"], full["trashed"], full["md5Checksum"]) == (
        [caller.folder],
        False,
        caller.get(caller.ids[1], fields="*")["md5Checksum"],
    )


def test_equal_names_coexist_in_a_folder(caller: Caller) -> None:
    found = caller.list(q=f"'{caller.folder}' in parents and name = 'a.tif'", fields="files(id,size)")
    assert found == {"files": [{"id": caller.ids[2], "size": "1002"}, {"id": caller.ids[0], "size": "1000"}]}
    assert names(caller.list(q="'root' in parents")) == ["crops"]
    assert caller.get(caller.folder, fields="parents") == {"parents": [ROOT_ID]}


@pytest.mark.parametrize("size", [1, 2, 3, 4, 100])
def test_pages_follow_each_other(caller: Caller, size: int) -> None:
    found, token = [], {}
    while True:
        page = caller.list(pageSize=str(size), fields="nextPageToken,files(id)", **token)
        found += [file["id"] for file in page["files"]]
        if "nextPageToken" not in page:
            break
        assert len(page["files"]) == size
        token = {"pageToken": page["nextPageToken"]}
    assert sorted(found) == sorted([*caller.ids, caller.folder])


@pytest.mark.parametrize(
    ("order", "sizes"),
    [
        ("createdTime", ["1000", "1001", "1002"]),
        ("createdTime desc", ["1002", "1001", "1000"]),
        ("name,quotaBytesUsed desc", ["1002", "1000", "1001"]),
        ("name desc, modifiedTime", ["1001", "1000", "1002"]),
        ("folder,quotaBytesUsed", ["1000", "1001", "1002"]),
    ],
)
def test_a_list_is_in_the_order_asked_for(caller: Caller, order: str, sizes: list[str]) -> None:
    found = caller.list(q="mimeType = 'image/tiff'", orderBy=order, fields="files(size)")
    assert [file["size"] for file in found["files"]] == sizes


@pytest.mark.parametrize(
    ("query", "location", "reason"),
    [
        ({"q": "name like 'x'"}, "q", "invalid"),
        ({"orderBy": "size"}, "orderBy", "invalid"),
        ({"orderBy": "name up"}, "orderBy", "invalid"),
        ({"pageToken": "x"}, "pageToken", "invalid"),
        ({"pageSize": "0"}, "pageSize", "invalid"),
        ({"fields": "files(md5)"}, "fields", "invalidParameter"),
        ({"fields": "items"}, "fields", "invalidParameter"),
        ({"fields": "files("}, "fields", "invalidParameter"),
    ],
)
def test_a_parameter_that_drive_does_not_know_is_refused(caller: Caller, query: dict[str, str], location: str, reason: str) -> None:
    with pytest.raises(FileError, match=r"Invalid") as caught:
        caller.list(**query)
    assert (caught.value.code, caught.value.location, caught.value.reason) == (400, location, reason)


def test_a_file_is_found_by_its_id_alone(caller: Caller) -> None:
    assert caller.get(caller.ids[0]) == {"kind": "drive#file", "id": caller.ids[0], "name": "a.tif", "mimeType": "image/tiff"}
    assert caller.get("root", fields="id,name") == {"id": ROOT_ID, "name": "My Drive"}
    with pytest.raises(FileError, match=r"File not found: 1abc\.") as caught:
        caller.get("1abc")
    assert (caught.value.code, caught.value.reason, caught.value.location) == (404, "notFound", "fileId")


def test_the_bytes_of_a_file_are_a_slice_that_the_request_holds_open(caller: Caller) -> None:
    request = caller.request({"id": caller.ids[1]})
    response = caller.routes.media(request)
    (body,) = response.parts
    assert isinstance(body, FileSlice)
    assert (len(body), response.media_type, body.file.closed) == (1001, "image/tiff", False)
    request.held.close()
    assert body.file.closed


def test_a_folder_has_no_bytes(caller: Caller) -> None:
    with pytest.raises(FileError, match="Only files with binary content can be downloaded") as caught:
        caller.routes.media(caller.request({"id": caller.folder}))
    assert (caught.value.code, caught.value.reason) == (403, "fileNotDownloadable")
    with pytest.raises(FileError, match=r"File not found: x\."):
        caller.routes.media(caller.request({"id": "x"}))


def test_about_needs_fields_and_names_the_user(caller: Caller) -> None:
    me = Account("me@example.com")
    with pytest.raises(FileError, match=r"The 'fields' parameter is required for this method\.") as caught:
        caller.routes.about(caller.request())
    assert caught.value.reason == "required"
    found = value(caller.routes.about(caller.request(account=me, fields="user(emailAddress),storageQuota(limit,usage)")))
    assert found == {"user": {"emailAddress": "me@example.com"}, "storageQuota": {"limit": str(15 * 2**30), "usage": "3003"}}


def test_a_service_account_sees_a_drive_of_its_own(caller: Caller) -> None:
    robot = Account("robot@project.iam.gserviceaccount.com", "service_account")
    assert caller.list(account=robot)["files"] == []
    with pytest.raises(FileError, match="File not found"):
        caller.routes.get(caller.request({"id": caller.ids[0]}, account=robot))
    quota = value(caller.routes.about(caller.request(account=robot, fields="storageQuota")))["storageQuota"]
    assert (quota["limit"], quota["usage"]) == ("0", "0")


@pytest.mark.parametrize("kind", ["grow", "replace"])
def test_a_list_shows_a_file_as_it_was_on_order(caller: Caller, kind: str) -> None:
    asked: dict[str, str] = {"q": "name = 'b.tif'", "fields": "files(id,size,md5Checksum,modifiedTime)"}
    before, now = caller.list(kind, **asked)["files"][0], caller.list(**asked)["files"][0]
    assert before["id"] == now["id"]
    assert int(now["size"]) - int(before["size"]) == (500 if kind == "grow" else 0)
    assert before["md5Checksum"] != now["md5Checksum"]
    assert before["modifiedTime"] < now["modifiedTime"]
    assert caller.get(caller.ids[1], kind, fields="md5Checksum") == {"md5Checksum": before["md5Checksum"]}
