"""Encoded patches handed over through files, or as messages where the disk is another's."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.chunks import Chunks, of_bytes
from pipeline.cutting import Encoded
from pipeline.spool import Left, Spool

PATCHES = st.lists(st.lists(st.tuples(st.binary(min_size=1, max_size=9), st.binary(min_size=1, max_size=5)), min_size=1), max_size=4)


def encoded(pieces: list[list[tuple[bytes, bytes]]]) -> Encoded:
    count = sum(map(len, pieces))
    small: dict[str, npt.NDArray[np.int32]] = {"row": np.arange(count, dtype=np.int32)}
    images, labels = ([of_bytes([patch[n] for patch in piece]) for piece in pieces] for n in (0, 1))
    return Encoded(images, labels, small, Counter({"unlabelled": 2}))


def chunks(found: list[Chunks]) -> list[bytes]:
    return [one.part(n, n + 1).data.tobytes() for one in found for n in range(len(one))]


def same(one: Encoded, other: Encoded) -> bool:
    return (chunks(one.image), chunks(one.label), one.dropped) == (chunks(other.image), chunks(other.label), other.dropped)


@settings(max_examples=25)
@given(pieces=PATCHES)
def test_what_is_left_is_taken_as_it_was(pieces: list[list[tuple[bytes, bytes]]], tmp_path_factory: pytest.TempPathFactory) -> None:
    spool, whole = Spool.begin(tmp_path_factory.mktemp("work") / "spool"), encoded(pieces)
    left = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(spool)).leave(whole)))  # noqa: S301 - our own
    assert isinstance(left, Left)
    assert len(pickle.dumps(left)) < 2000 + 40 * len(whole)  # no patch travels
    assert same(spool.take(left), whole)
    assert [path.name for path in spool.folder.iterdir()] == ["token"]
    spool.end()
    assert not spool.folder.exists()


@pytest.mark.parametrize("harm", ["another disk", "another run", "gone"])
def test_a_worker_that_does_not_see_the_writers_folder_sends_the_bytes(tmp_path: Path, harm: str) -> None:
    spool, whole = Spool.begin(tmp_path / "spool"), encoded([[(b"image", b"l")], [(b"more", b"ab"), (b"x", b"y")]])
    if harm == "another disk":
        worker = Spool(tmp_path / "elsewhere", spool.token)
    elif harm == "another run":
        worker, spool = spool, Spool.begin(tmp_path / "spool")
    else:
        worker = spool
        spool.end()
    sent = worker.leave(whole)
    assert isinstance(sent, Encoded)
    assert (len(sent.image), len(sent.label)) == (1, 1)  # one array each: dask sends those without copying
    assert same(spool.take(sent), whole)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "token"]


def test_a_run_begins_with_an_empty_folder(tmp_path: Path) -> None:
    left = Spool.begin(tmp_path / "spool").leave(encoded([[(b"a", b"b")]]))
    assert isinstance(left, Left)
    spool = Spool.begin(tmp_path / "spool")
    with pytest.raises(FileNotFoundError, match=left.name):
        spool.take(left)
    assert [path.name for path in spool.folder.iterdir()] == ["token"]
