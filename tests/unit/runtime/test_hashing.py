"""Digests: known answers, files of any length."""

from __future__ import annotations

from pathlib import Path

import pytest
from blake3 import blake3

from cropcam.pipeline.runtime.hashing import blake3_by_name, file_blake3, file_sha256, json_sha256, sha256

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4, example for "abc"
ABC_BLAKE3 = "blake3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"  # b3sum of "abc"


def test_known_answers(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert sha256(b"abc") == file_sha256(path) == ABC
    assert file_blake3(path) == ABC_BLAKE3


def test_json_digests_ignore_the_order_of_keys() -> None:
    assert json_sha256({"b": [1, 2], "a": None}) == json_sha256({"a": None, "b": [1, 2]}) == sha256(b'{"a":null,"b":[1,2]}')
    assert json_sha256([1, 2]) != json_sha256([2, 1])


@pytest.mark.parametrize("size", [0, 2**18 - 1, 2**18, 2**18 + 1, 3 * 2**18])
def test_files_of_any_length_are_read_to_their_end(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(content := bytes(range(256)) * (size // 256) + b"x" * (size % 256))
    assert file_blake3(path) == f"blake3:{blake3(content).hexdigest()}"


def test_digests_stand_under_the_names_of_their_files(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("b", "a")}
    for name, path in files.items():
        path.write_text(name)
    digests = blake3_by_name(files)
    assert digests == {name: file_blake3(path) for name, path in files.items()}
    assert list(digests) == ["b", "a"]
    assert blake3_by_name({}) == {}


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        blake3_by_name({"a": tmp_path / "absent"})
