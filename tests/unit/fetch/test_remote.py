from __future__ import annotations

from cropcam.pipeline.fetch.cloud_storage import CloudStorageRemote
from cropcam.pipeline.fetch.drive import DriveRemote
from cropcam.pipeline.fetch.remote import Remote
from support.cutting_server import Place


def test_every_place_is_a_remote() -> None:
    """Checked by mypy as well; the names are those of the protocol."""
    names = [name for name in vars(Remote) if not name.startswith("_")]
    assert sorted(names) == ["again", "files", "nothing_found", "service", "session"]
    for kind in (DriveRemote, CloudStorageRemote):
        assert all(hasattr(kind, name) for name in names)
    assert all(hasattr(Place(b""), name) for name in names)
