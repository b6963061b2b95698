from __future__ import annotations

import pytest

from cropcam.pipeline.earthengine.destinations import CloudStorage, Drive
from cropcam.pipeline.earthengine.manifest import Entry
from cropcam.pipeline.earthengine.plan import plan
from cropcam.pipeline.emulator import Server
from cropcam.pipeline.fetch import places
from cropcam.pipeline.fetch.cloud_storage import CloudStorageRemote
from cropcam.pipeline.fetch.drive import DriveRemote
from cropcam.pipeline.fetch.places import arrived, open_remote
from support.exports import STUDY
from support.homecoming import PATIENCE


def test_the_kind_of_place_follows_from_its_name(server: Server) -> None:
    assert isinstance(open_remote(Drive("maps"), api_url=f"{server.url}/"), DriveRemote)
    assert isinstance(open_remote(CloudStorage("bucket-1", "a"), api_url=server.url), CloudStorageRemote)


@pytest.mark.parametrize("api_url", [None, "https://earthengine-highvolume.googleapis.com"])
def test_beyond_loopback_the_files_are_googles(monkeypatch: pytest.MonkeyPatch, api_url: str | None) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(places, "credentials_for", lambda *a, **k: asked.append((*a, k)) or "credentials")
    monkeypatch.setattr(places, "DriveRemote", lambda *a: a)
    assert open_remote(Drive("maps"), project="p", api_url=api_url) == ("maps", "credentials", None, None)  # type: ignore[comparison-overlap]
    assert asked[0][-1] == {"project": "p", "is_loopback": False}


def test_a_task_has_arrived_with_all_its_files(server: Server) -> None:
    made = plan(STUDY, Drive("maps"))
    (server.out / "drive/maps").mkdir(parents=True)
    look = arrived(open_remote(Drive("maps"), api_url=server.url, backoff=PATIENCE))
    for name in ("demo-image-r00c00.tif", "demo-image.tif"):
        assert not look(made.tasks[0], Entry("key"))
        (server.out / "drive/maps" / name).write_bytes(b"x")
    assert look(made.tasks[0], Entry("key"))
    assert not look(made.tasks[1], Entry("key"))
