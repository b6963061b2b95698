"""Where the page's files are kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps.view.cache import cache_folder, default_cache


def test_the_users_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "cropcam" / "view"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_cache() == tmp_path / "home" / ".cache" / "cropcam" / "view"


def test_a_folder_is_made_and_stays(tmp_path: Path) -> None:
    with cache_folder(tmp_path / "a" / "b", print) as folder:
        (folder / "kept").touch()
    assert [path.name for path in folder.iterdir()] == ["kept"]


def test_without_a_cache_that_can_be_written_a_temporary_folder_serves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))  # a file: root may write to any folder
    told: list[str] = []
    with cache_folder(None, told.append) as folder:
        assert os.access(folder, os.W_OK)
    assert not folder.exists()
    assert len(told) == 1
    assert told[0].startswith(f"note: {tmp_path / 'file' / 'cropcam' / 'view'} cannot be written")


def test_a_named_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(DataError, match=r"cannot be written .*; choose another folder with --cache"),
        cache_folder(tmp_path / "file", print),
    ):
        pass
