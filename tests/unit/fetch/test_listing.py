from __future__ import annotations

from pathlib import Path

import pytest

from cropcam.pipeline.earthengine.destinations import Drive
from cropcam.pipeline.emulator import Fault, Faults, Server
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.fetch.listing import Listing
from cropcam.pipeline.fetch.places import open_remote
from support import homecoming
from support.exports import STUDY
from support.homecoming import NAMES, PATIENCE, put, shards


def listing(server: Server, lines: list[str]) -> Listing:
    return Listing(STUDY, open_remote(Drive("maps"), api_url=server.url, backoff=PATIENCE), homecoming.how(lines))


def test_names_tell_task_and_layer() -> None:
    pattern = Listing(STUDY, None, homecoming.how()).pattern  # type: ignore[arg-type]
    for name, groups in {
        "demo-image.tif": ("demo-image", "image"),
        "demo-labels-r00c12.tif": ("demo-labels-r00c12", "labels"),
        "demo-image-r00c12-0000000000-0000000256.tif": ("demo-image-r00c12", "image"),
        "demo-image-0000000000-0000000256.tif": ("demo-image", "image"),
    }.items():
        found = pattern.fullmatch(name)
        assert found is not None
        assert found.groups() == groups
    for name in ("demo-count.tif", "other-demo-image.tif", "demo-image-r0c0.tif", "demo-image.tif.aux.xml", "demo-image (1).tif"):
        assert not pattern.fullmatch(name)


def test_a_header_is_read_once(server: Server, tmp_path: Path, faults: Faults) -> None:
    put(shards(tmp_path / "made"), server.out / "drive/maps")
    found = listing(server, [])
    assert sorted(shard.file.name for shard in found.shards([])) == NAMES
    faults.order([vars(Fault("drive:media", status=403, reason="forbidden"))])
    assert len(found.shards([])) == 18
    assert len(faults.left()) == 1


def test_strangers_are_named_once(server: Server, tmp_path: Path) -> None:
    put(shards(tmp_path / "made"), server.out / "drive/maps")
    (server.out / "drive/maps/notes.txt").write_text("mine")
    lines: list[str] = []
    found = listing(server, lines)
    assert len(found.shards([])) == len(found.shards([])) == 18
    assert lines == ["files that are not of study demo stay where they are: notes.txt"]


def test_an_empty_place_is_refused_unless_files_are_still_to_come(server: Server) -> None:
    found = listing(server, [])
    assert found.shards([], is_optional=True) == []
    with pytest.raises(DataError, match=r"no file of study demo \(demo-image\*\.tif\) there; check the name of drive:"):
        found.shards([])
