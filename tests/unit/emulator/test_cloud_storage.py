"""Buckets and objects over folders."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from cropcam.pipeline.emulator.catalogue import Catalogue, Entry
from cropcam.pipeline.emulator.cloud_storage import CloudStorage, etag, md5_base64
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.limits import Limits


def storage(tmp_path: Path, **limits: object) -> CloudStorage:
    return CloudStorage(Catalogue(tmp_path), Limits(**limits))  # type: ignore[arg-type]


def add(made: CloudStorage, tmp_path: Path, name: str, data: bytes = b"pixels", bucket: str = "bucket") -> Entry:
    (tmp_path / "temp").write_bytes(data)
    return made.add(bucket, name, tmp_path / "temp")


def test_an_object_lies_at_its_name_and_is_replaced_by_the_next(tmp_path: Path) -> None:
    made = storage(tmp_path)
    first, second = add(made, tmp_path, "a/image.tif"), add(made, tmp_path, "a/image.tif", b"again")
    assert (tmp_path / "gs/bucket/a/image.tif").read_bytes() == b"again"
    assert second.generation > first.generation
    assert made.object("bucket", "a/image.tif") == second
    assert list(made.objects("bucket")) == ["a/image.tif"]
    assert made.object("bucket", "a") is made.object("bucket", "b") is made.object("other", "a/image.tif") is None


def test_objects_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    made = storage(tmp_path)
    for name in ("b", "a/b", "a-b", "a.b", "Z"):
        add(made, tmp_path, name)
    assert list(made.objects("bucket")) == sorted(["b", "a/b", "a-b", "a.b", "Z"])
    assert list(made.objects("none")) == []


def test_an_object_is_described_as_the_service_does(tmp_path: Path) -> None:
    made, data = storage(tmp_path), b"pixels"
    entry = add(made, tmp_path, "a b/ä.tif", data)
    described = made.describe("bucket", "a b/ä.tif", entry, "http://host/")
    assert described["md5Hash"] == md5_base64(entry) == base64.b64encode(hashlib.md5(data).digest()).decode()  # noqa: S324
    assert (described["size"], described["name"], described["contentType"]) == ("6", "a b/ä.tif", "image/tiff")
    assert described["id"] == f"bucket/a b/ä.tif/{entry.generation}"
    assert described["selfLink"] == "http://host/storage/v1/b/bucket/o/a%20b%2F%C3%A4.tif"
    assert described["mediaLink"] == (
        f"http://host/download/storage/v1/b/bucket/o/a%20b%2F%C3%A4.tif?generation={entry.generation}&alt=media"
    )
    assert described["etag"] == etag(entry)
    assert abs(entry.generation * 1000 - entry.modified_ns) < 10**6  # microseconds since 1970, as the service counts


def test_a_bucket_is_a_folder(tmp_path: Path) -> None:
    made = storage(tmp_path)
    add(made, tmp_path, "x")
    assert [made.has(name) for name in ("bucket", "other", "bucket/x", "..", "")] == [True, False, False, False, False]
    assert (made.bucket("bucket", "http://host/")["name"], made.bucket("bucket", "http://host/")["kind"]) == ("bucket", "storage#bucket")


def test_exports_make_a_bucket_unless_told_otherwise(tmp_path: Path) -> None:
    storage(tmp_path).check_writable("bucket")
    strict = storage(tmp_path, make_buckets=False, closed_buckets=frozenset({"theirs"}))
    with pytest.raises(EngineError, match=r"The specified bucket does not exist\.") as caught:
        strict.check_writable("bucket")
    assert caught.value.status == "NOT_FOUND"
    add(storage(tmp_path), tmp_path, "x")
    strict.check_writable("bucket")
    with pytest.raises(EngineError, match=r"does not have storage\.objects\.create access") as caught:
        strict.check_writable("theirs")
    assert caught.value.status == "PERMISSION_DENIED"
    assert (strict.is_closed("theirs"), strict.is_closed("bucket")) == (True, False)


@pytest.mark.parametrize(("name", "folder"), [("image", ""), ("a/b/image", "a/b")])
def test_the_uri_of_a_task_is_the_page_of_its_folder(name: str, folder: str) -> None:
    assert CloudStorage.uri("bucket", name) == f"https://console.developers.google.com/storage/browser/bucket/{folder}"
