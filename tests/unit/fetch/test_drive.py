from __future__ import annotations

import datetime
import hashlib
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.oauth2.credentials import Credentials

from cropcam.pipeline.emulator import Access, Account, Fault, Faults, Server
from cropcam.pipeline.emulator.access import DRIVE_READ, EARTH_ENGINE
from cropcam.pipeline.errors import EarthEngineError
from cropcam.pipeline.fetch import drive
from cropcam.pipeline.fetch.drive import DriveRemote
from cropcam.pipeline.fetch.media import read_range
from support.homecoming import PATIENCE


def remote(server: Server, folder: str = "it's", credentials: Any = None) -> DriveRemote:
    return DriveRemote(folder, credentials or AnonymousCredentials(), server.url, PATIENCE)


def put(server: Server, folder: str, **files: bytes) -> None:
    place = server.out / "drive" / folder
    place.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (place / f"{name}.tif").write_bytes(content)


def content(found: DriveRemote, file: Any) -> bytes:
    came = bytearray()
    read_range(found, file, 0, file.size, lambda part, _: came.extend(part))
    return bytes(came)


def test_files_are_listed_page_by_page_with_their_digests(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    put(server, "it's", a=b"one", b=b"two", c=b"three")
    put(server, "another", d=b"four")
    monkeypatch.setattr(drive, "_PAGE", 2)
    found = remote(server)
    files = {file.name: file for file in found.files()}
    assert sorted(files) == ["a.tif", "b.tif", "c.tif"]
    assert files["c.tif"].digest == f"sha256:{hashlib.sha256(b'three').hexdigest()}"
    assert (files["c.tif"].size, content(found, files["c.tif"])) == (5, b"three")


def test_a_file_without_sha256_has_its_md5(server: Server) -> None:
    entry = {"id": "1", "name": "a.tif", "size": "5", "md5Checksum": "AB", "modifiedTime": "2026-01-01T00:00:00.000Z"}
    file = remote(server)._file(entry, "f")
    assert file is not None
    assert file.digest == "md5:ab"
    assert remote(server)._file({key: value for key, value in entry.items() if key != "md5Checksum"}, "f") is None


def test_the_folders_of_destination_uris_count_too(server: Server) -> None:
    put(server, "it's", a=b"one")
    put(server, "another", d=b"four")
    found = remote(server)
    (folder,) = found._list("name = 'another'")
    uris = [
        f"https://drive.google.com/#folders/{folder['id']}",
        f"https://drive.google.com/drive/folders/{folder['id']}",
        "https://drive.google.com/#folders/gone",
    ]
    assert sorted(file.name for file in found.files(uris)) == ["a.tif", "d.tif"]


def test_a_file_is_seen_as_it_is_now(server: Server) -> None:
    put(server, "it's", a=b"one")
    found = remote(server)
    (file,) = found.files()
    assert found.again(file) == file
    put(server, "it's", a=b"other")
    newer = found.again(file)
    assert newer is not None
    assert newer.version != file.version
    (server.out / "drive/it's/a.tif").unlink()
    assert found.again(file) is None


def test_a_token_that_expires_is_refreshed_once(server: Server, access: Access, faults: Faults) -> None:
    put(server, "it's", a=b"one")
    tokens = iter(["first", "second", "third"])
    asked: list[list[str]] = []

    def refresh(_request: object, scopes: list[str]) -> tuple[str, datetime.datetime]:
        asked.append(scopes)
        return next(tokens), datetime.datetime(2100, 1, 1)

    credentials = Credentials(None, refresh_handler=refresh, scopes=[DRIVE_READ])  # type: ignore[no-untyped-call]
    access.grant("first", Account("me@example.com", scopes=(DRIVE_READ,)))
    found = remote(server, credentials=credentials)
    (file,) = found.files()
    access.grant("first", Account("me@example.com", scopes=(DRIVE_READ,), is_expired=True))
    access.grant("second", Account("me@example.com", scopes=(DRIVE_READ,)))
    assert content(found, file) == b"one"
    faults.order([vars(Fault("drive:list", status=401))])
    access.grant("third", Account("me@example.com", scopes=(DRIVE_READ,)))
    assert len(found.files()) == 1
    assert asked == [[DRIVE_READ]] * 3


def test_a_token_without_the_scope_says_so(server: Server, access: Access) -> None:
    access.grant("t", Account("me@example.com", scopes=(EARTH_ENGINE,)))
    with pytest.raises(EarthEngineError, match=r"listing drive:it's: .*the login does not hold the scope for Google Drive; log in again"):
        remote(server, credentials=Credentials("t")).files()  # type: ignore[no-untyped-call]


def test_an_empty_place_of_a_service_account_is_explained(server: Server, tmp_path: Path) -> None:
    class Robot(AnonymousCredentials):
        service_account_email = "a@b"

    assert tmp_path.is_dir()
    assert remote(server, credentials=Robot()).files() == []
    assert "share drive:it's with it" in remote(server, credentials=Robot()).nothing_found()
    assert "earthengine authenticate" in remote(server).nothing_found()
