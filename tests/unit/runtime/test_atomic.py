"""Complete or absent: what a failed or killed writer leaves."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.atomic import locked, written_aside


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    final = tmp_path / "map.tif"
    final.write_text("old")
    with pytest.raises(RuntimeError, match="stop"), written_aside(final) as aside:  # noqa: PT012 - the block is the point
        aside.write_text("half")
        raise RuntimeError("stop")
    assert final.read_text() == "old"
    with written_aside(final) as aside:
        assert aside.suffix == ".tif"
        aside.write_text("new")
    assert final.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["map.tif"]


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    with written_aside(tmp_path / "s.zarr") as aside:
        aside.mkdir()
        with pytest.raises(DataError, match=r"s\.zarr: another process is writing it"), locked(tmp_path / "s.zarr"):
            pass
    assert (tmp_path / "s.zarr").is_dir()


def test_a_killed_writers_lock_and_leavings_do_not_count(tmp_path: Path) -> None:
    final = tmp_path / "s.zarr"
    code = f"""
import pathlib, time
from cropcam.pipeline.runtime.atomic import written_aside
with written_aside(pathlib.Path({str(final)!r})) as aside:
    aside.mkdir(); (aside / "stale").write_text("x"); print("ready", flush=True); time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    time.sleep(0.05)
    with written_aside(final) as aside:
        aside.mkdir()
        (aside / "fresh").write_text("y")
    assert [path.name for path in final.iterdir()] == ["fresh"]
    assert [path.name for path in tmp_path.iterdir()] == ["s.zarr"]


def test_a_lock_that_was_removed_while_it_was_being_taken_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, flock, calls = tmp_path / ".s.zarr.lock", fcntl.flock, []

    def late(file: object, how: int) -> None:
        calls.append(how)
        if len(calls) == 1:
            lock.unlink()  # the one who held it ends between our open and our lock
        flock(file, how)  # type: ignore[arg-type]

    monkeypatch.setattr(fcntl, "flock", late)
    with locked(tmp_path / "s.zarr"):
        assert lock.exists()
        with pytest.raises(DataError, match="another process is writing it"), locked(tmp_path / "s.zarr"):
            pass
    assert len(calls) == 3
    assert not lock.exists()
