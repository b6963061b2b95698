from __future__ import annotations

import google_crc32c
import pytest
from google.auth.credentials import AnonymousCredentials

from cropcam.pipeline.emulator import Fault, Faults, Server
from cropcam.pipeline.errors import EarthEngineError
from cropcam.pipeline.fetch.cloud_storage import CloudStorageRemote
from cropcam.pipeline.fetch.media import read_range
from support.homecoming import PATIENCE


def remote(server: Server, prefix: str = "a/b") -> CloudStorageRemote:
    return CloudStorageRemote("bucket-1", prefix, AnonymousCredentials(), None, server.url, PATIENCE)


def put(server: Server, name: str, content: bytes) -> None:
    path = server.out / "gs/bucket-1" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_the_objects_right_below_the_prefix_are_listed(server: Server) -> None:
    for name in ("a/b/x.tif", "a/b/c/y.tif", "a/bc.tif", "z.tif"):
        put(server, name, name.encode())
    (file,) = remote(server).files()
    assert (file.name, file.key, file.size, file.folder) == ("x.tif", "a/b/x.tif", 9, "gs://bucket-1/a/b")
    assert file.digest == f"crc32c:{google_crc32c.value(b'a/b/x.tif'):08x}"
    came = bytearray()
    read_range(remote(server), file, 2, 9, lambda part, _: came.extend(part))
    assert bytes(came) == b"b/x.tif"
    assert [file.name for file in remote(server, "").files()] == ["z.tif"]


def test_an_object_is_seen_as_it_is_now(server: Server) -> None:
    put(server, "a/b/x.tif", b"one")
    (file,) = remote(server).files()
    assert remote(server).again(file) == file
    put(server, "a/b/x.tif", b"other")
    newer = remote(server).again(file)
    assert newer is not None
    assert newer.version != file.version
    (server.out / "gs/bucket-1/a/b/x.tif").unlink()
    assert remote(server).again(file) is None


def test_busy_and_closed_buckets(server: Server, faults: Faults) -> None:
    put(server, "a/b/x.tif", b"one")
    faults.order([vars(Fault("gs:list", status=503, count=2)), vars(Fault("gs:list", "disconnect", count=2))])
    assert len(remote(server).files()) == 1
    faults.order([vars(Fault("gs:list", status=403, reason="forbidden"))])
    with pytest.raises(EarthEngineError, match=r"listing gs://bucket-1/a/b/: .*Storage Object Viewer"):
        remote(server).files()
    faults.order([vars(Fault("gs:list", status=503, count=99))])
    with pytest.raises(EarthEngineError, match=r"Cloud Storage is not answering properly \(503: .*tried 8 times"):
        remote(server).files()
    assert "gsutil" in remote(server).nothing_found()
