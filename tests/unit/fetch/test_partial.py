from __future__ import annotations

import dataclasses
import errno
import os
from pathlib import Path

import pytest

from cropcam.pipeline.errors import WorkStoppedError
from cropcam.pipeline.fetch.partial import FOLDER, Partial
from support.cutting_server import Place

CONTENT = bytes(range(100))
FILE = Place(CONTENT).file()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / FOLDER).mkdir()
    return tmp_path


def write(partial: Partial, number: int, count: int) -> None:
    piece = next(piece for piece in partial.pieces() if piece.number == number)
    partial.write(piece, CONTENT[piece.have : piece.have + count], piece.have)


def test_another_process_goes_on_where_the_first_stopped(out: Path) -> None:
    first = Partial(out, FILE, 40)
    assert not first.is_anew
    assert [(piece.start, piece.have, piece.end) for piece in first.pieces()] == [(0, 0, 40), (40, 40, 80), (80, 80, 100)]
    first.open()
    write(first, 0, 40)
    write(first, 2, 7)
    second = Partial(out, FILE, 40)  # the first one was killed
    assert not second.is_anew
    assert second.have_bytes == 47
    assert [(piece.start, piece.have, piece.end) for piece in second.pieces()] == [(40, 40, 80), (80, 87, 100)]
    second.open()
    write(second, 1, 30)
    write(second, 1, 10)
    write(second, 2, 13)
    second.publish()
    assert (out / "f.tif").read_bytes() == CONTENT
    assert list((out / FOLDER).iterdir()) == []
    first.close()


@pytest.mark.parametrize("change", [{"version": "other"}, {"size": 101}, {"digest": "md5:00"}, {"key": "other"}])
def test_another_file_starts_anew(out: Path, change: dict[str, object]) -> None:
    first = Partial(out, FILE, 40)
    first.open()
    write(first, 0, 40)
    first.close()
    second = Partial(out, dataclasses.replace(FILE, **change), 40)  # type: ignore[arg-type]
    assert second.is_anew
    assert second.have_bytes == 0


def test_a_file_that_a_killed_run_had_not_begun_was_not_replaced(out: Path) -> None:
    Partial(out, FILE, 40)  # killed before the first byte
    assert not Partial(out, FILE, 40).is_anew


def test_a_damaged_record_starts_anew(out: Path) -> None:
    first = Partial(out, FILE, 40)
    first.open()
    write(first, 0, 40)
    first.close()
    state = out / FOLDER / "f.tif.state"
    state.write_bytes(state.read_bytes()[:-3])
    assert Partial(out, FILE, 40).have_bytes == 0


def test_a_file_without_bytes(out: Path) -> None:
    empty = Partial(out, Place(b"").file(), 40)
    empty.open()
    assert empty.pieces() == []
    empty.publish()
    assert (out / "f.tif").read_bytes() == b""


def test_a_full_disk_is_one_line(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    partial = Partial(out, FILE, 40)
    partial.open()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(WorkStoppedError, match=r"f\.tif: No space left on device; what is there stays: free space"):
        write(partial, 0, 40)
    partial.close()


def test_no_link_is_followed(out: Path, tmp_path: Path) -> None:
    partial = Partial(out, FILE, 40)
    (out / FOLDER / "f.tif.part").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic links"):
        partial.open()
    assert not (tmp_path / "target").exists()
