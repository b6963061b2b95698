"""The warnings of a training: logged, kept once, written, read with distrust."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cropcam.model.runs.cautions import CAUTIONS, CautionLog, read_cautions
from cropcam.pipeline.errors import DataError


def test_a_log_keeps_its_warnings_each_once(tmp_path: Path) -> None:
    lines: list[str] = []
    log = CautionLog(lines.append)
    for text in ("120 patches", "warning: band 3 is constant", "warning: band 3 is constant"):
        log(text)
    log.caution("no better than guessing")
    assert lines == ["120 patches", "warning: band 3 is constant", "warning: band 3 is constant", "warning: no better than guessing"]
    log.write(tmp_path)
    assert read_cautions(tmp_path) == ["band 3 is constant", "no better than guessing"]
    assert json.loads((tmp_path / CAUTIONS).read_text()) == log.texts


def test_a_run_of_an_earlier_version_has_none(tmp_path: Path) -> None:
    assert read_cautions(tmp_path) == []


@pytest.mark.parametrize("text", ['{"a": 1}', '["a", 1]', '"a"'])
def test_a_file_that_is_something_else_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / CAUTIONS).write_text(text)
    with pytest.raises(DataError, match=r"cautions\.json: is no list of texts; delete it, or train the run again$"):
        read_cautions(tmp_path)
    (tmp_path / CAUTIONS).write_text("[")
    with pytest.raises(DataError, match=r"cautions\.json, line 1, column 2: not JSON: .*; delete it"):
        read_cautions(tmp_path)
