from __future__ import annotations

import pytest

from cropcam.pipeline.earthengine.destinations import CloudStorage, Drive
from cropcam.pipeline.emulator import Server
from cropcam.pipeline.fetch import places
from cropcam.pipeline.fetch.cloud_storage import CloudStorageRemote
from cropcam.pipeline.fetch.drive import DriveRemote
from cropcam.pipeline.fetch.places import open_remote


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
