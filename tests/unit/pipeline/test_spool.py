"""Encoded patches handed over through files, or as messages where the disk is another's; zarr shards put together from them."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.pipeline.chunks import of_bytes, split
from cropcam.pipeline.cluster import Answer
from cropcam.pipeline.cutting import Encoded
from cropcam.pipeline.shardfile import GrowingShard
from cropcam.pipeline.spool import Assembly, Left, Spool, SpooledShard

PATCHES = st.lists(st.lists(st.tuples(st.binary(min_size=1, max_size=9), st.binary(min_size=1, max_size=5)), min_size=1), max_size=4)


def encoded(pieces: list[list[tuple[bytes, bytes]]]) -> Encoded:
    count = sum(map(len, pieces))
    small: dict[str, npt.NDArray[np.int32]] = {"row": np.arange(count, dtype=np.int32)}
    images, labels = ([of_bytes([patch[n] for patch in piece]) for piece in pieces] for n in (0, 1))
    return Encoded(images, labels, small, Counter({"unlabelled": 2}))


class Done:
    """A future that is there already."""

    def __init__(self, found: object) -> None:
        self.found = found

    def done(self) -> bool:
        return True

    def result(self, timeout: float) -> object:
        assert timeout
        return self.found


def worker(_load: int, function: Any, *arguments: Any) -> Answer:
    """What a worker answers, to which everything travels."""
    function, arguments = pickle.loads(pickle.dumps((function, arguments)))  # noqa: S301 - our own
    return Answer(None, Done(function(*arguments)))


def blind(_load: int, _function: Any, *_arguments: Any) -> Answer:
    """What a worker on another disk answers."""
    return Answer(None, Done(None))


def travelled(spool: Spool, found: Encoded) -> Encoded | Left:
    """What comes back from a worker."""
    left = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(spool)).leave(found)))  # noqa: S301 - our own
    assert isinstance(left, Encoded | Left)
    return left


def files(spool: Spool) -> list[str]:
    return sorted(path.name for path in spool.folder.iterdir() if path.name != "token")


def written(assembly: Assembly, found: list[Left], room: int, folder: Path) -> list[bytes]:
    """Zarr shards of `room` patches of the images and the labels of these results."""
    shards = []
    for name in ("image", "label"):
        rest, number = [one for left in found for one in getattr(left, name)], 0
        while any(map(len, rest)):
            shard = assembly.shard(folder / name / str(number), room)
            now, rest = split(rest, room)
            for one in now:
                shard.append([one.data], one.sizes)
            assert shard.count <= room
            finished = shard.finish()
            assert finished.done()
            shards.append(f"{finished.result()} ".encode() + (folder / name / str(number)).read_bytes())
            number += 1
    return shards


def expected(found: list[Encoded], room: int, folder: Path) -> list[bytes]:
    """The same written by one process from memory."""
    shards = []
    for name in ("image", "label"):
        patches = [one.part(n, n + 1).data.tobytes() for whole in found for one in getattr(whole, name) for n in range(len(one))]
        for start in range(0, len(patches), room):
            shard = GrowingShard(folder / "shard", room)
            some = patches[start : start + room]
            shard.append(some, np.array([len(patch) for patch in some]))
            shards.append(f"{shard.finish()} ".encode() + (folder / "shard").read_bytes())
    return shards


@settings(max_examples=40, deadline=None)
@given(parts=st.lists(PATCHES, max_size=3), room=st.integers(1, 5), where=st.sampled_from([worker, blind]))
def test_zarr_shards_are_the_same_whoever_puts_them_together(
    parts: list[list[list[tuple[bytes, bytes]]]], room: int, where: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("work")
    found = [encoded(pieces) for pieces in parts]
    assembly = Assembly(Spool.begin(folder / "spool"), where)
    left = [assembly.take(travelled(assembly.spool, one)) for one in found]
    assert [(len(one), one.dropped) for one in left] == [(len(one), one.dropped) for one in found]
    assert len(pickle.dumps(left)) < 2000 + sum(2000 + 40 * len(one) for one in found)  # no patch travels
    assert written(assembly, left, room, folder / "store") == expected(found, room, folder)
    assert files(assembly.spool) == []  # a file goes once all its patches stand in zarr shards
    assembly.spool.end()
    assert not assembly.spool.folder.exists()


@pytest.mark.parametrize("harm", ["another disk", "another run", "gone"])
def test_a_worker_that_does_not_see_the_writers_folder_sends_the_bytes(tmp_path: Path, harm: str) -> None:
    spool, whole = Spool.begin(tmp_path / "spool"), encoded([[(b"image", b"l")], [(b"more", b"ab"), (b"x", b"y")]])
    there = spool
    if harm == "another disk":
        there = Spool(tmp_path / "elsewhere", spool.token)
    elif harm == "another run":
        spool = Spool.begin(tmp_path / "spool")
    else:
        spool.end()
    sent = there.leave(whole)
    assert isinstance(sent, Encoded)
    assert (len(sent.image), len(sent.label)) == (1, 1)  # one array each: dask sends those without copying
    assert there.assemble_there(tmp_path / "store" / "0", [], np.array([1]), 1) is None
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "token"]
    if harm != "gone":  # the writer keeps them itself
        assembly = Assembly(spool, blind)
        assert written(assembly, [assembly.take(sent)], 2, tmp_path / "store") == expected([whole], 2, tmp_path)
        assert files(spool) == []


def test_a_run_begins_with_an_empty_folder_and_workers_of_the_one_before_write_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Spool.begin(tmp_path / "spool")
    left = before.leave(encoded([[(b"a", b"b")]]))
    assert isinstance(left, Left)

    def taken_over(*_: object) -> str:
        Spool.begin(tmp_path / "spool")
        return "00000000"

    monkeypatch.setattr("cropcam.pipeline.spool.write_shard", taken_over)
    with pytest.raises(OSError, match="taken over by another run"):
        before.assemble(tmp_path / "store" / "0", [left.image[0].data], left.image[0].sizes, 1)
    with pytest.raises(FileNotFoundError, match=left.image[0].name):
        before.assemble(tmp_path / "store" / "0", [left.image[0].data], left.image[0].sizes, 1)
    assert [path.name for path in tmp_path.rglob("*")] == ["spool", "token"]


def test_a_file_that_was_cut_short_is_named(tmp_path: Path) -> None:
    assembly = Assembly(Spool.begin(tmp_path / "spool"), blind)
    left = assembly.take(assembly.spool.keep(encoded([[(b"image", b"label")]])))
    shard: SpooledShard = assembly.shard(tmp_path / "0", 1)
    shard.append([left.label[0].data], left.label[0].sizes)
    (assembly.spool.folder / left.label[0].name).write_bytes(b"image")
    with pytest.raises(OSError, match=f"shorter than it was written.*{left.label[0].name}"):
        shard.finish().result()
    assert not (tmp_path / "0").exists()
