"""Google's unmodified clients of Drive and Cloud Storage against the embedded engine, on loopback."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from google.api_core import exceptions as storage_errors
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage import transfer_manager
from google.cloud.storage.exceptions import DataCorruption
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaIoBaseDownload

from cropcam.pipeline.emulator import Fault, Faults, Limits, Server, serve
from cropcam.pipeline.emulator.access import DRIVE_READ, STORAGE_READ, Access, Account
from cropcam.pipeline.grid import PixelGrid
from support.rasters import random_dn, write_raster

DATA = np.random.default_rng(4).bytes(1_500_000)
FOLDER = "application/vnd.google-apps.folder"
GRID = PixelGrid("EPSG:32616", (30.0, 0.0, 410_000.0, 0.0, -30.0, 4_475_700.0), 64, 48)
Serve = Callable[..., Server]


def write(path: Path, data: bytes = DATA) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    write_raster(tmp_path / "archive/X/B1.tif", random_dn((1, *GRID.shape_yx)), GRID)
    write(tmp_path / "archive/X/asset.json", b'{"bands": ["B1"], "properties": {}}')
    return tmp_path / "archive"


@pytest.fixture
def served(archive: Path, tmp_path: Path) -> Iterator[Serve]:
    """Starts a server whose Drive has the folder "crops" and whose bucket is "bucket-1"; each holds a.tif and b.tif."""
    for name, data in (("a.tif", DATA), ("b.tif", b"small")):
        write(tmp_path / "out/drive/crops" / name, data)
        write(tmp_path / "out/gs/bucket-1/maps" / name, data)
    started: list[Server] = []

    def start(*faults: Fault, orders: Faults | None = None, **options: Any) -> Server:
        started.append(serve(archive, out=tmp_path / "out", faults=orders or Faults.of(*faults), **options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


def drive_of(server: Server, credentials: Any = None) -> Any:
    endpoint = {"api_endpoint": f"{server.url}/drive/v3/"}
    return build("drive", "v3", credentials=credentials or AnonymousCredentials(), static_discovery=True, client_options=endpoint)


def storage_of(server: Server, credentials: Any = None) -> storage.Client:
    return storage.Client("project", credentials or AnonymousCredentials(), client_options={"api_endpoint": server.url})


def listed(drive: Any, query: str = "mimeType = 'image/tiff'", **asked: Any) -> list[dict[str, Any]]:
    """All pages of a list."""
    found, request = [], drive.files().list(q=query, fields="nextPageToken,files(id,name,size,md5Checksum,parents,createdTime)", **asked)
    while request is not None:
        page = request.execute()
        found += page["files"]
        request = drive.files().list_next(request, page)
    return found


def downloaded(drive: Any, file_id: str, chunk: int = 400_000, retries: int = 0) -> bytes:
    """The bytes of a file, by the client's own downloader."""
    received, done = io.BytesIO(), False
    download = MediaIoBaseDownload(received, drive.files().get_media(fileId=file_id), chunksize=chunk)
    while not done:
        _, done = download.next_chunk(num_retries=retries)
    return received.getvalue()


def reason_of(error: HttpError) -> tuple[int, str]:
    return error.status_code, error.error_details[0]["reason"]


def blob_of(server: Server, name: str = "maps/a.tif") -> Any:
    blob = storage_of(server).bucket("bucket-1").get_blob(name)
    assert blob is not None
    return blob


def test_drive_lists_and_downloads_a_folder_found_by_name(served: Serve) -> None:
    drive = drive_of(served())
    (folder,) = listed(drive, f"name = 'crops' and mimeType = '{FOLDER}' and 'root' in parents and trashed = false")
    files = listed(drive, f"'{folder['id']}' in parents and trashed = false", orderBy="name", pageSize=1)
    assert [(file["name"], file["size"]) for file in files] == [("a.tif", str(len(DATA))), ("b.tif", "5")]
    assert files[0]["md5Checksum"] == hashlib.md5(DATA).hexdigest()  # noqa: S324
    assert downloaded(drive, files[0]["id"]) == DATA
    assert downloaded(drive, files[1]["id"]) == b"small"
    assert drive.about().get(fields="user(me)").execute() == {"user": {"me": True}}


def test_drive_keeps_its_ids_over_restarts_and_sees_changes_by_hand(served: Serve, tmp_path: Path) -> None:
    server = served()
    before = {file["name"]: file["id"] for file in listed(drive_of(server))}
    server.stop()
    (tmp_path / "out/drive/crops/b.tif").unlink()
    write(tmp_path / "out/drive/crops/c.tif")
    drive = drive_of(served())
    after = {file["name"]: file["id"] for file in listed(drive)}
    assert (after["a.tif"], set(after)) == (before["a.tif"], {"a.tif", "c.tif"})
    with pytest.raises(HttpError, match="File not found") as caught:
        drive.files().get(fileId=before["b.tif"]).execute()
    assert reason_of(caught.value) == (404, "notFound")


def test_cloud_storage_lists_and_downloads_a_prefix(served: Serve, tmp_path: Path) -> None:
    client = storage_of(served())
    blobs = list(client.list_blobs("bucket-1", prefix="maps/", page_size=1))
    assert [(blob.name, blob.size) for blob in blobs] == [("maps/a.tif", len(DATA)), ("maps/b.tif", 5)]
    assert blobs[0].download_as_bytes(if_generation_match=blobs[0].generation) == DATA  # the client checks the hash
    assert blobs[0].download_as_bytes(start=10, end=99) == DATA[10:100]
    blobs[0].download_to_filename(tmp_path / "copy.tif", checksum="crc32c")
    assert (tmp_path / "copy.tif").read_bytes() == DATA
    assert (blobs[0].storage_class, blobs[0].content_type, blobs[0].metageneration) == ("STANDARD", "image/tiff", 1)
    folders = client.list_blobs("bucket-1", delimiter="/")
    assert (list(folders), folders.prefixes) == ([], {"maps/"})
    assert client.get_bucket("bucket-1").name == "bucket-1"
    assert not client.bucket("bucket-1").blob("maps/none").exists()


def test_cloud_storages_parallel_download_finds_its_ranges(served: Serve, tmp_path: Path) -> None:
    transfer_manager.download_chunks_concurrently(
        blob_of(served()), str(tmp_path / "copy.tif"), chunk_size=200_000, max_workers=4, worker_type=transfer_manager.THREAD
    )
    assert (tmp_path / "copy.tif").read_bytes() == DATA


def test_many_downloads_at_once_have_the_right_bytes(served: Serve, tmp_path: Path) -> None:
    contents = {f"{number}.tif": np.random.default_rng(number).bytes(300_000 + number) for number in range(12)}
    for name, data in contents.items():
        write(tmp_path / "out/drive/many" / name, data)
    server = served()
    ids = {file["name"]: file["id"] for file in listed(drive_of(server)) if file["name"] in contents}
    with ThreadPoolExecutor(6) as pool:  # one client per download: httplib2 is not made for threads
        found = dict(zip(ids, pool.map(lambda item: downloaded(drive_of(server), item, 100_000), ids.values()), strict=True))
    assert found == contents


def test_a_bucket_that_is_absent_or_closed_is_refused_in_the_services_words(served: Serve) -> None:
    client = storage_of(served(limits=Limits(closed_buckets=frozenset({"theirs"}))))
    with pytest.raises(storage_errors.NotFound, match=r"The specified bucket does not exist\."):
        list(client.list_blobs("none-such"))
    with pytest.raises(storage_errors.Forbidden, match=r"does not have storage\.objects\.list access to the Google Cloud Storage bucket"):
        list(client.list_blobs("theirs"))
    with pytest.raises(storage_errors.NotFound, match="No such object: bucket-1/x"):
        client.bucket("bucket-1").blob("x").download_as_bytes()


def test_a_token_needs_the_scope_of_each_service(served: Serve) -> None:
    accounts = {"drive": Account(scopes=(DRIVE_READ,)), "gs": Account(scopes=(STORAGE_READ,)), "old": Account(is_expired=True)}
    server = served(access=Access(accounts))
    tokens = {name: Credentials(name) for name in accounts}
    assert len(listed(drive_of(server, tokens["drive"]))) == 2
    assert len(list(storage_of(server, tokens["gs"]).list_blobs("bucket-1"))) == 2
    with pytest.raises(HttpError, match=r"Request had insufficient authentication scopes\.") as caught:
        listed(drive_of(server, tokens["gs"]))
    assert reason_of(caught.value) == (403, "insufficientPermissions")
    with pytest.raises(storage_errors.Forbidden, match=r"Request had insufficient authentication scopes\."):
        list(storage_of(server, tokens["drive"]).list_blobs("bucket-1"))
    kept = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    for token in ("old", "unknown"):
        kept.request("GET", "/drive/v3/files", headers={"Authorization": f"Bearer {token}"})
        answer = kept.getresponse()
        error = json.loads(answer.read())["error"]
        assert (answer.status, error["errors"][0]["reason"]) == (401, "authError")
    kept.close()


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        (Fault("drive:list", status=403), 403, "userRateLimitExceeded"),
        (Fault("drive:list", status=403, reason="rateLimitExceeded"), 403, "rateLimitExceeded"),
        (Fault("drive:list", status=429), 429, "rateLimitExceeded"),
        (Fault("drive:list", status=503), 503, "backendError"),
    ],
)
def test_drives_client_reads_the_reason_of_an_injected_error(served: Serve, fault: Fault, status: int, reason: str) -> None:
    drive = drive_of(served(fault))
    with pytest.raises(HttpError, match=str(status)) as caught:
        listed(drive)
    assert reason_of(caught.value) == (status, reason)
    assert len(listed(drive)) == 2


def test_the_clients_own_retries_pass_over_rates_and_broken_servers(served: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # the clients' waits
    codes = {"drive:media": (403, 500), "gs:media": (503, 429), "gs:list": (500,)}
    orders = Faults.of(*(Fault(route, status=code) for route in codes for code in codes[route]))
    server = served(orders=orders)
    (file,) = listed(drive_of(server), "name = 'a.tif'")
    assert downloaded(drive_of(server), file["id"], retries=3) == DATA
    assert [blob.download_as_bytes() == DATA for blob in storage_of(server).list_blobs("bucket-1", prefix="maps/a")] == [True]
    assert orders.left() == []


@pytest.mark.parametrize("route", ["drive:media", "gs:media"])
@pytest.mark.parametrize("kind", ["truncate", "disconnect"])
def test_a_connection_is_cut_on_order(served: Serve, route: str, kind: str) -> None:
    server = served(Fault(route, kind))
    where = f"/drive/v3/files/{_id_of(server)}" if route == "drive:media" else "/storage/v1/b/bucket-1/o/maps%2Fa.tif"
    with pytest.raises((http.client.IncompleteRead, http.client.RemoteDisconnected), match=r"bytes read|closed connection") as caught:
        _get(server, f"{where}?alt=media")
    if kind == "truncate":
        assert isinstance(caught.value, http.client.IncompleteRead)
        assert caught.value.partial == DATA[: len(DATA) // 2]
    assert _get(server, f"{where}?alt=media") == DATA


def test_a_range_is_ignored_on_order(served: Serve) -> None:
    server = served(Fault("drive:media", "no_range"))
    where = f"/drive/v3/files/{_id_of(server)}?alt=media"
    assert _get(server, where, {"Range": "bytes=5-9"}) == DATA
    assert _get(server, where, {"Range": "bytes=5-9"}) == DATA[5:10]


def test_one_wrong_byte_is_noticed_by_the_hash(served: Serve) -> None:
    server = served(Fault("gs:media", "corrupt"), Fault("drive:media", "corrupt"))
    with pytest.raises(DataCorruption, match="Checksum mismatch"):
        blob_of(server).download_as_bytes()
    assert blob_of(server).download_as_bytes() == DATA
    (file,) = listed(drive_of(server), "name = 'a.tif'")
    received = downloaded(drive_of(server), file["id"], len(DATA))
    assert sum(a != b for a, b in zip(received, DATA, strict=True)) == 1


@pytest.mark.parametrize("kind", ["grow", "replace"])
def test_an_object_listed_before_it_changed_is_found_changed(served: Serve, kind: str) -> None:
    server = served(Fault("gs:list", kind), Fault("drive:list", kind))
    (before,) = storage_of(server).list_blobs("bucket-1", prefix="maps/a")
    with pytest.raises(storage_errors.PreconditionFailed, match="At least one of the pre-conditions you specified did not hold"):
        storage_of(server).bucket("bucket-1").blob("maps/a.tif").download_as_bytes(if_generation_match=before.generation)
    with pytest.raises(storage_errors.NotFound, match="No such object"):
        before.download_as_bytes()
    (old,), (new,) = (listed(drive_of(server), "name = 'a.tif'") for _ in range(2))
    assert (old["id"], old["md5Checksum"] == new["md5Checksum"]) == (new["id"], False)
    assert int(new["size"]) - int(old["size"]) == (1000 if kind == "grow" else 0)


def test_an_object_replaced_between_two_ranges_is_noticed_by_its_generation(served: Serve) -> None:
    server = served(*(Fault(route, "replace") for route in ("gs:list", "gs:media")))
    (blob,) = storage_of(server).list_blobs("bucket-1", prefix="maps/a")
    first = blob.download_as_bytes(start=0, end=99, if_generation_match=blob.generation)
    assert first == bytes(255 - value for value in DATA[:100])
    with pytest.raises((storage_errors.PreconditionFailed, storage_errors.NotFound), match=r"No such object|pre-conditions"):
        blob.download_as_bytes(start=100, end=199, if_generation_match=blob.generation)


# --- exports, and where they are found


def test_an_export_is_found_by_the_folder_that_its_task_names(served: Serve, tmp_path: Path) -> None:
    server = served()
    (uri,) = exported(server, driveDestination={"folder": "a/b", "filenamePrefix": "image"})["destinationUris"]
    folder = uri.removeprefix("https://drive.google.com/#folders/")
    drive = drive_of(server)
    assert drive.files().get(fileId=folder, fields="name,mimeType").execute() == {"name": "a/b", "mimeType": FOLDER}
    (file,) = listed(drive, f"'{folder}' in parents")
    assert file["name"] == "image.tif"
    assert downloaded(drive, file["id"]) == (tmp_path / "out/drive/a%2Fb/image.tif").read_bytes()


def test_a_second_export_lies_beside_the_first_on_drive_under_the_same_name(served: Serve) -> None:
    server = served()
    ends = [exported(server, driveDestination={"folder": "crops", "filenamePrefix": "image"}) for _ in range(2)]
    assert ends[0]["destinationUris"] == ends[1]["destinationUris"]
    folder = ends[0]["destinationUris"][0].rpartition("/")[2]
    files = listed(drive_of(server), f"'{folder}' in parents and name = 'image.tif'")
    assert len({file["id"] for file in files}) == 2
    assert len({file["md5Checksum"] for file in files}) == 1


def test_on_order_a_task_makes_a_second_folder_of_the_name(served: Serve) -> None:
    server = served(Fault("export:folder", "new_folder"))
    ends = [exported(server, driveDestination={"folder": "crops", "filenamePrefix": f"image{number}"}) for number in range(2)]
    folders = listed(drive_of(server), f"name = 'crops' and mimeType = '{FOLDER}'", orderBy="createdTime desc")
    assert len(folders) == 2
    assert {uri.rpartition("/")[2] for end in ends for uri in end["destinationUris"]} == {folders[0]["id"]}  # the newest wins
    assert [file["name"] for file in listed(drive_of(server), f"'{folders[0]['id']}' in parents", orderBy="name")] == [
        "image0.tif",
        "image1.tif",
    ]


def test_a_second_export_replaces_an_object_by_a_new_generation(served: Serve) -> None:
    server, place = served(), {"bucket": "new-bucket", "filenamePrefix": "a/image"}
    (uri,) = exported(server, cloudStorageDestination=place)["destinationUris"]
    assert uri == "https://console.developers.google.com/storage/browser/new-bucket/a"
    (first,) = storage_of(server).list_blobs("new-bucket")
    exported(server, cloudStorageDestination=place)
    (second,) = storage_of(server).list_blobs("new-bucket")
    assert (first.name, second.name) == ("a/image.tif", "a/image.tif")
    assert second.generation > first.generation
    with pytest.raises(storage_errors.NotFound, match="No such object"):
        first.download_as_bytes()


def test_a_task_fails_where_there_is_no_bucket(served: Serve) -> None:
    server = served(limits=Limits(make_buckets=False))
    end = exported(server, cloudStorageDestination={"bucket": "new-bucket", "filenamePrefix": "image"})
    assert (end["state"], end["error"]) == ("FAILED", "The specified bucket does not exist.")


def exported(server: Server, **destination: Any) -> dict[str, Any]:
    """The metadata of an export of the archive's only image when it has ended, with its error's text."""
    load = {"functionName": "Image.load", "arguments": {"id": {"constantValue": "X"}}}
    body = {
        "expression": {"result": "0", "values": {"0": {"functionInvocationValue": load}}},
        "description": "task",
        "fileExportOptions": {"fileFormat": "GEO_TIFF", **destination},
    }
    kept = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    try:
        found: dict[str, Any] = {}
        while not found.get("done"):
            path = f"/v1/{found['name']}:wait" if found else "/v1/projects/my-project/image:export"
            kept.request("POST", path, json.dumps({"timeout": "30s"} if found else body))
            found = json.loads(kept.getresponse().read())
        metadata: dict[str, Any] = found["metadata"]
        return metadata | {"error": found.get("error", {}).get("message", "")}
    finally:
        kept.close()


def _id_of(server: Server) -> str:
    return str(listed(drive_of(server), "name = 'a.tif'")[0]["id"])


def _get(server: Server, path: str, headers: dict[str, str] | None = None) -> bytes:
    kept = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    try:
        kept.request("GET", path, headers=headers or {})
        return kept.getresponse().read()
    finally:
        kept.close()
