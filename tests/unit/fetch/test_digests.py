from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.fetch.digests import Running, is_whole


def digest_of(path: Path, kind: str) -> str:
    return Running(kind).finish(path)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=6), st.randoms())
def test_what_was_not_taken_in_order_is_read(content: bytes, cuts: list[int], random: Random) -> None:
    edges = sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})
    parts = list(pairwise(edges))
    random.shuffle(parts)
    running = Running("md5")
    for start, end in parts:
        running.add(content[start:end], start)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f"
        path.write_bytes(content)
        assert running.finish(path) == digest_of(path, "md5")


def test_digests_of_known_content(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"123456789")  # the check values of both algorithms
    assert digest_of(path, "crc32c") == "crc32c:e3069283"
    assert digest_of(path, "md5") == "md5:25f9e794323b453885f5181f1b624d0b"
    assert digest_of(path, "sha256") == "sha256:15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"
    with pytest.raises(DataError, match="a digest of kind 'sha9' is not known"):
        digest_of(path, "sha9")


def test_a_file_is_whole_by_size_and_digest(tmp_path: Path) -> None:
    path = tmp_path / "f"
    assert not is_whole(path, 9, "crc32c:e3069283")
    path.write_bytes(b"123456789")
    assert is_whole(path, 9, "crc32c:e3069283")
    assert not is_whole(path, 8, "crc32c:e3069283")
    assert not is_whole(path, 9, "crc32c:e3069284")
