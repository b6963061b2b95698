"""Cloud Storage's routes, asked without a socket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.emulator.access import Account
from cropcam.pipeline.emulator.byte_ranges import FileSlice
from cropcam.pipeline.emulator.catalogue import Catalogue
from cropcam.pipeline.emulator.cloud_storage import CloudStorage
from cropcam.pipeline.emulator.cloud_storage_routes import CloudStorageRoutes
from cropcam.pipeline.emulator.fault_injection import Fault
from cropcam.pipeline.emulator.file_responses import FileError
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.responses import Response
from cropcam.pipeline.emulator.routing import Request

NAMES = ("a.tif", "maps/x.tif", "maps/2016/y.tif", "maps/2016/z.tif", "maps2/q.tif", "other")


class Caller:
    """A bucket of six objects."""

    def __init__(self, folder: Path, names: tuple[str, ...] = NAMES) -> None:
        catalogue = Catalogue(folder)
        self.storage = CloudStorage(catalogue, Limits(closed_buckets=frozenset({"theirs"})))
        self.routes = CloudStorageRoutes(self.storage, catalogue)
        self.entries = {}
        for name in names:
            (folder / "temp").write_bytes(name.encode() * 100)
            self.entries[name] = self.storage.add("bucket", name, folder / "temp")

    def request(self, name: str = "", fault: str = "", bucket: str = "bucket", **query: str) -> Request:
        order = Fault("*", fault) if fault else None  # type: ignore[arg-type]
        account = Account("me@example.com")
        return Request("http://x/", {"bucket": bucket, "name": name}, query, {}, account=account, fault=order)

    def list(self, fault: str = "", **query: str) -> dict[str, Any]:
        return value(self.routes.list_objects(self.request("", fault, **query)))

    def get(self, name: str, fault: str = "", **query: str) -> dict[str, Any]:
        return value(self.routes.get(self.request(name, fault, **query)))

    def media(self, name: str, fault: str = "", **query: str) -> Response:
        request = self.request(name, fault, **query)
        with request.held:
            return self.routes.media(request)


def value(response: Response) -> dict[str, Any]:
    (body,) = response.parts
    assert isinstance(body, bytes)
    found: dict[str, Any] = json.loads(body)
    return found


def names(found: dict[str, Any]) -> list[str]:
    return [item["name"] for item in found.get("items", [])]


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Caller:
    return Caller(tmp_path_factory.mktemp("out"))


@pytest.mark.parametrize(
    ("query", "items", "prefixes"),
    [
        ({}, sorted(NAMES), None),
        ({"prefix": "maps/"}, ["maps/2016/y.tif", "maps/2016/z.tif", "maps/x.tif"], None),
        ({"prefix": "maps/", "delimiter": "/"}, ["maps/x.tif"], ["maps/2016/"]),
        ({"delimiter": "/"}, ["a.tif", "other"], ["maps/", "maps2/"]),
        ({"prefix": "none"}, [], None),
        ({"startOffset": "maps/x.tif", "endOffset": "other"}, ["maps/x.tif", "maps2/q.tif"], None),
    ],
)
def test_a_list_is_by_prefix_and_delimiter(caller: Caller, query: dict[str, str], items: list[str], prefixes: list[str] | None) -> None:
    found = caller.list(**query)
    assert (found["kind"], names(found), found.get("prefixes")) == ("storage#objects", items, prefixes)


@pytest.mark.parametrize("delimiter", ["", "/"])
@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_pages_of_a_list_follow_each_other(caller: Caller, size: int, delimiter: str) -> None:
    asked = {"maxResults": str(size)} | ({"delimiter": delimiter} if delimiter else {})
    rows: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = caller.list(**asked, **token)
        part = sorted([*names(page), *page.get("prefixes", [])])
        assert 0 < len(part) <= size
        rows += part
        if "nextPageToken" not in page:
            break
        token = {"pageToken": page["nextPageToken"]}
    whole = caller.list(**({"delimiter": delimiter} if delimiter else {}))
    assert rows == sorted([*names(whole), *whole.get("prefixes", [])])


NAME = st.lists(st.text("ab", min_size=1, max_size=2), min_size=1, max_size=3).map("/".join)


@given(st.sets(NAME, max_size=6), st.text("ab/", max_size=3))
def test_the_objects_behind_prefixes_and_the_items_are_all_objects(
    tmp_path_factory: pytest.TempPathFactory, made: set[str], prefix: str
) -> None:
    files = {name for name in made if not any(other.startswith(f"{name}/") for other in made)}  # a folder is no object here
    caller = Caller(tmp_path_factory.mktemp("out"), tuple(files))
    if not files:
        return
    flat, tree = caller.list(prefix=prefix), caller.list(prefix=prefix, delimiter="/")
    assert set(names(flat)) == {name for name in files if name.startswith(prefix)}
    below = [name for part in tree.get("prefixes", []) for name in names(caller.list(prefix=part))]
    assert sorted([*below, *names(tree)]) == names(flat)


def test_only_the_fields_asked_for_are_sent(caller: Caller) -> None:
    assert caller.list(prefix="a", fields="items(name,size),nextPageToken") == {"items": [{"name": "a.tif", "size": "500"}]}
    assert caller.get("a.tif", fields="name") == {"name": "a.tif"}
    for fields in ("items(colour)", "files", "items("):
        with pytest.raises(FileError, match="Invalid field selection"):
            caller.list(fields=fields)


def test_a_bucket_that_is_not_there_or_closed_is_refused(caller: Caller) -> None:
    for call in (caller.routes.bucket, caller.routes.list_objects, caller.routes.get):
        with pytest.raises(FileError, match=r"The specified bucket does not exist\.") as caught:
            call(caller.request("a.tif", bucket="none"))
        assert (caught.value.code, caught.value.reason) == (404, "notFound")
    text = (
        r"me@example\.com does not have storage\.objects\.list access to the Google Cloud Storage bucket\. "
        r"Permission 'storage\.objects\.list' denied on resource \(or it may not exist\)\."
    )
    with pytest.raises(FileError, match=text) as caught:
        caller.list(bucket="theirs")
    assert (caught.value.code, caught.value.reason) == (403, "forbidden")
    assert value(caller.routes.bucket(caller.request()))["id"] == "bucket"


def test_an_object_is_found_by_name_and_generation(caller: Caller) -> None:
    generation = str(caller.entries["maps/x.tif"].generation)
    assert caller.get("maps/x.tif", generation=generation, ifGenerationMatch=generation)["generation"] == generation
    for name, query in (("none", {}), ("maps", {}), ("../x", {}), ("maps/x.tif", {"generation": "5"})):
        with pytest.raises(FileError, match=f"No such object: bucket/{name}") as caught:
            caller.get(name, **query)
        assert caught.value.code == 404
    for query in ({"ifGenerationMatch": "5"}, {"ifMetagenerationMatch": "2"}):
        with pytest.raises(FileError, match="At least one of the pre-conditions") as caught:
            caller.get("maps/x.tif", **query)
        assert (caught.value.code, caught.value.reason) == (412, "conditionNotMet")
    with pytest.raises(FileError, match="Not Modified") as caught:
        caller.get("maps/x.tif", ifGenerationNotMatch=generation)
    assert caught.value.code == 304
    with pytest.raises(FileError, match=r"Invalid value 'x'\. Values must be integers\."):
        caller.get("maps/x.tif", generation="x")


def test_the_bytes_come_with_their_hashes(caller: Caller) -> None:
    entry = caller.entries["a.tif"]
    response = caller.media("a.tif")
    (body,) = response.parts
    assert isinstance(body, FileSlice)
    assert (len(body), response.code) == (500, 200)
    about = caller.get("a.tif")
    assert response.headers["X-Goog-Hash"] == f"crc32c={about['crc32c']},md5={about['md5Hash']}"
    assert response.headers["X-Goog-Generation"] == str(entry.generation)
    assert response.headers["ETag"] == about["etag"]


@pytest.mark.parametrize(
    ("name", "query", "code", "text"),
    [
        ("none", {}, 404, b"No such object: bucket/none"),
        ("a.tif", {"ifGenerationMatch": "5"}, 412, b"At least one of the pre-conditions you specified did not hold."),
        ("a.tif", {"bucket": "none"}, 404, b"The specified bucket does not exist."),
    ],
)
def test_errors_of_bytes_are_plain_text(caller: Caller, name: str, query: dict[str, str], code: int, text: bytes) -> None:
    response = caller.media(name, **query)
    assert (response.code, response.parts, response.media_type) == (code, (text,), "text/html; charset=UTF-8")


@pytest.mark.parametrize("kind", ["grow", "replace"])
def test_an_earlier_generation_is_seen_on_order_and_no_longer_served(caller: Caller, kind: str) -> None:
    (before,) = caller.list(kind, prefix="a.tif")["items"]
    now = caller.get("a.tif")
    assert int(now["size"]) - int(before["size"]) == (250 if kind == "grow" else 0)
    assert int(before["generation"]) < int(now["generation"])
    assert before["crc32c"] != now["crc32c"]
    assert before["mediaLink"] != now["mediaLink"]
    assert caller.media("a.tif", generation=before["generation"]).code == 404
    assert caller.media("a.tif", ifGenerationMatch=before["generation"]).code == 412
    assert caller.media("a.tif", kind, ifGenerationMatch=before["generation"]).code == 200
