"""A zarr shard as bytes: whatever way it grows, it is the same file, and there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.shardfile import GrowingShard, file_checksum, unpack


@settings(deadline=None, max_examples=40)
@given(runs=st.lists(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=4), min_size=1, max_size=4), spare=st.integers(0, 3))
def test_however_it_grows(tmp_path_factory: pytest.TempPathFactory, runs: list[list[bytes]], spare: int) -> None:
    folder = tmp_path_factory.mktemp("shards")
    flat = [chunk for run in runs for chunk in run]
    room = len(flat) + spare
    files = []
    for name, groups in (("one", [flat]), ("several", runs)):
        path = folder / name / "0"
        path.parent.mkdir()
        (path.parent / ".0.part").write_bytes(b"left by a killed process")
        shard = GrowingShard(path, room)
        for group in groups:
            shard.append([np.frombuffer(b"".join(group), np.uint8)], np.array([len(chunk) for chunk in group]))
            assert not path.exists()
        assert shard.count == len(flat)
        assert shard.finish() == file_checksum(path)
        assert [found.name for found in path.parent.iterdir()] == ["0"]
        files.append(path.read_bytes())
    assert files[0] == files[1]
    assert list(unpack(folder / "one" / "0", room)) == flat


def test_a_disk_that_says_no_leaves_nothing(tmp_path: Path) -> None:
    shard = GrowingShard(tmp_path / "0", 4)
    shard.append([b"abc"], np.array([3]))

    class Torn:  # no bytes: what a device would refuse in the middle
        pass

    with pytest.raises(TypeError, match="bytes-like"):
        shard.append([b"de", Torn()], np.array([2, 1]))  # type: ignore[list-item]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", [lambda data: data[:20], lambda data: data[:-1] + bytes([data[-1] ^ 1])])
def test_a_damaged_index_is_named(tmp_path: Path, damage: object) -> None:
    shard = GrowingShard(tmp_path / "0", 2)
    shard.append([b"abc"], np.array([3]))
    shard.finish()
    (tmp_path / "0").write_bytes(damage((tmp_path / "0").read_bytes()))  # type: ignore[operator]
    with pytest.raises(DataError, match=r"/0: damaged zarr shard"):
        list(unpack(tmp_path / "0", 2))
