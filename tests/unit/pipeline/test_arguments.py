"""What commands share about their arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropcam.pipeline.arguments import folder_argument


def test_a_folder_keeps_a_name_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert folder_argument("a/b") == Path("a/b")
    assert folder_argument(".") == tmp_path
