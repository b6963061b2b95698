"""The log file: lines that a program reads, appended, whole; what is no log is left alone."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path

import pytest

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.runtime.log_file import LogFile


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_two_commands_append_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "cropcam.log"
    first, second = LogFile(path, "train"), LogFile(path, "map")
    first.write("info", "start", message="ä\nb", place=Path("x"))
    second.write("warning", "warning", message="w")
    first.write("info", "end", exit_code=0)
    first.close()
    second.close()
    found = lines(path)
    assert [(line["command"], line["event"], line["level"]) for line in found] == [
        ("train", "start", "info"),
        ("map", "warning", "warning"),
        ("train", "end", "info"),
    ]
    assert (found[0]["message"], found[0]["place"], found[2]["exit_code"], found[0]["pid"]) == ("ä\nb", "x", 0, os.getpid())
    assert datetime.datetime.fromisoformat(str(found[0]["time"])).tzinfo is not None


@pytest.mark.parametrize("content", ["notes\n", "{}\n", '[1]\n{"time": 1}\n', "\udcff"])
def test_a_file_that_is_no_log_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "notes"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"--log-file .*notes: is there already and is no log of cropcam's; name another file"):
        LogFile(path, "map")
    assert path.read_bytes() == before


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--log-file .*: No such file or directory; name another file"):
        LogFile(tmp_path / "none" / "l", "map")
    with pytest.raises(ConfigError, match=r"--log-file .*: Is a directory"):
        LogFile(tmp_path, "map")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match=r"--log-file .*pipe: is no ordinary file"):
        LogFile(tmp_path / "pipe", "map")
    log = LogFile(Path(os.devnull), "map")
    log.write("info", "start")
    log.close()
    assert log.is_whole


def test_a_full_disk_stops_no_work() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    log = LogFile(Path("/dev/full"), "map")
    log.write("info", "start")
    assert not log.is_whole
    log.close()
