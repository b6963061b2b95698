"""Label files are identified by their sha256."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from cropcam.model.labels.files import check_label_file, resolve_label_file
from cropcam.pipeline.errors import ConfigError, DataError


def test_a_file_is_checked_against_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "p.csv").write_bytes(b"lon,lat,class")
    monkeypatch.chdir(tmp_path)
    digest = hashlib.sha256(b"lon,lat,class").hexdigest()
    assert resolve_label_file("p.csv", "--points") == (str((tmp_path / "p.csv").resolve()), digest)
    assert check_label_file("p.csv", digest) == check_label_file("p.csv", "") == digest


def test_a_changed_file_is_refused_with_both_digests(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(b"new")
    now = hashlib.sha256(b"new").hexdigest()[:12]
    with pytest.raises(
        DataError, match=rf"p\.csv: changed since the run began \(sha256 aaaaaaaaaaaa then, {now} now\); put that file back"
    ):
        check_label_file(str(tmp_path / "p.csv"), "a" * 64)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"p\.csv: No such file or directory; the run's labels come from it"):
        check_label_file(str(tmp_path / "p.csv"), "")
    with pytest.raises(ConfigError, match=r"--areas .*p\.csv: No such file or directory; name a file that can be read"):
        resolve_label_file(str(tmp_path / "p.csv"), "--areas")


def test_the_last_changes_of_a_geopackage_are_part_of_its_digest(tmp_path: Path) -> None:
    name, other = "f.gpkg", "f.gpkg-wal"
    (tmp_path / name).write_bytes(b"shapes")
    (tmp_path / "f.txt").write_bytes(b"notes")
    alone = check_label_file(str(tmp_path / name), "")
    assert alone == hashlib.sha256(b"shapes").hexdigest()
    (tmp_path / other).write_bytes(b"corn")
    first = check_label_file(str(tmp_path / name), "")
    (tmp_path / other).write_bytes(b"soybean")
    assert len({alone, first, check_label_file(str(tmp_path / name), "")}) == 3
    with pytest.raises(DataError, match=rf"{name}: changed since the run began"):
        check_label_file(str(tmp_path / name), first)


def test_a_pipe_and_a_folder_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(DataError, match=r"is a folder, a pipe or a device; the run's labels come from it"):
            check_label_file(str(path), "")
        with pytest.raises(ConfigError, match=r"is a folder, a pipe or a device; name a file that can be read"):
            resolve_label_file(str(path), "--points")
