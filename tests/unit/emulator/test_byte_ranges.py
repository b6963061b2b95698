"""Ranges of files, and their bytes over a socket."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from threading import Thread
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.emulator.byte_ranges import Change, FileSlice, RangeNotSatisfiableError, parse_range

DATA = bytes(range(256)) * 10_000  # more than one piece


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BinaryIO]:
    path = tmp_path_factory.mktemp("slices") / "file"
    path.write_bytes(DATA)
    with path.open("rb") as opened:
        yield opened


def sent(part: FileSlice, most: int) -> bytes:
    ours, theirs = socket.socketpair()
    ours.settimeout(30)

    def send() -> None:
        with ours:
            part.send(ours, most)

    sender = Thread(target=send)
    sender.start()
    with theirs:
        received = b"".join(iter(lambda: theirs.recv(2**20), b""))
    sender.join()
    return received


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("", None),
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=99-99", (99, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        ("bytes=50-1000", (50, 100)),
        ("bytes=9-5", None),
        ("bytes=0-1,5-6", None),
        ("bytes=-", None),
        ("lines=0-9", None),
        ("bytes=a-b", None),
    ],
)
def test_a_range_names_bytes_of_the_file(header: str, part: tuple[int, int] | None) -> None:
    assert parse_range(header, 100) == part


@pytest.mark.parametrize(("header", "size"), [("bytes=100-", 100), ("bytes=100-200", 100), ("bytes=0-", 0), ("bytes=-0", 100)])
def test_a_range_behind_the_end_is_refused(header: str, size: int) -> None:
    with pytest.raises(RangeNotSatisfiableError, match=f"^{size}$"):
        parse_range(header, size)


@given(st.integers(1, 1000), st.data())
def test_ranges_that_follow_each_other_are_the_whole_file(size: int, data: st.DataObject) -> None:
    cuts = sorted({0, size, *data.draw(st.lists(st.integers(0, size), max_size=5))})
    parts = [parse_range(f"bytes={start}-{stop - 1}", size) for start, stop in itertools.pairwise(cuts)]
    assert parts == list(itertools.pairwise(cuts))


@pytest.mark.parametrize(
    ("start", "size", "most"), [(0, len(DATA), len(DATA)), (7, 2_000_000, 10**9), (7, 2_000_000, 1_999_999), (0, 0, 5)]
)
def test_a_slice_sends_its_bytes_up_to_a_limit(file: BinaryIO, start: int, size: int, most: int) -> None:
    part = FileSlice(file, start, size)
    assert len(part) == size
    assert sent(part, most) == DATA[start : start + min(size, most)]
    assert sent(part, 0) == sent(part, -3) == b""


@pytest.mark.parametrize(("change", "wrong"), [("flipped", 1), ("inverted", 2_000_001)])
def test_a_changed_slice_has_wrong_bytes(file: BinaryIO, change: Change, wrong: int) -> None:
    received = sent(FileSlice(file, 5, 2_000_001, change), 10**9)
    true = DATA[5:2_000_006]
    assert len(received) == len(true)
    assert sum(a != b for a, b in zip(received, true, strict=True)) == wrong


def test_a_slice_moves_no_position_that_another_reader_uses(file: BinaryIO) -> None:
    slices = [FileSlice(file, start, 500_000) for start in range(0, 2_000_000, 500_000)]
    found: dict[int, bytes] = {}
    threads = [Thread(target=lambda part=part: found.update({part.start: sent(part, 10**9)})) for part in slices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert b"".join(found[part.start] for part in slices) == DATA[:2_000_000]
