"""Atomic output and locks: failed writers, killed writers, several writers, planted links."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime import atomic
from cropcam.pipeline.runtime.atomic import (
    atomic_path,
    atomic_write,
    clear_partial_files,
    exclusive_lock,
    kept_if_filled,
    publish,
    remove,
    temporary_path,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def child(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process that has printed its first line; killed at the end."""
    command = [sys.executable, "-c", f"import sys, time, pathlib\nfrom cropcam.pipeline.runtime.atomic import *\n{code}"]
    with subprocess.Popen([*command, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(10)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    final = tmp_path / "map.tif"
    final.write_text("old")
    with pytest.raises(RuntimeError, match="stop"), atomic_path(final) as temp_path:  # noqa: PT012 - the block is the point
        temp_path.write_text("half")
        raise RuntimeError("stop")
    assert final.read_text() == "old"
    with atomic_path(final) as temp_path:
        assert temp_path.suffix == ".tif"
        temp_path.write_text("new")
    assert final.read_text() == "new"
    assert names(tmp_path) == ["map.tif"]


def test_a_folder_replaces_a_folder(tmp_path: Path) -> None:
    final = tmp_path / "s.zarr"
    for content in ("old", "new"):
        with atomic_path(final) as temp_path:
            temp_path.mkdir()
            (temp_path / content).write_text("x")
    assert names(final) == ["new"]
    assert names(tmp_path) == ["s.zarr"]


def test_a_file_does_not_replace_a_folder(tmp_path: Path) -> None:
    final = tmp_path / "folder"
    final.mkdir()
    with pytest.raises(OSError, match="directory"), atomic_path(final) as temp_path:
        temp_path.write_text("x")
    assert names(tmp_path) == ["folder"]


def test_an_old_folder_of_a_killed_process_is_removed(tmp_path: Path) -> None:
    for name in (".s.zarr.old", "s.zarr", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text("x")
    publish(tmp_path / "new", tmp_path / "s.zarr")
    assert names(tmp_path / "s.zarr") == ["new"]
    assert names(tmp_path) == ["s.zarr"]


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "s.zarr") as temp_path:
        temp_path.mkdir()
        with pytest.raises(DataError, match=r"s\.zarr: another process is writing it"), exclusive_lock(tmp_path / "s.zarr"):
            pass
    assert (tmp_path / "s.zarr").is_dir()


def test_the_message_of_a_lock_can_be_chosen(tmp_path: Path) -> None:
    with exclusive_lock(tmp_path / "run"), pytest.raises(DataError, match=r"run: busy"), exclusive_lock(tmp_path / "run", "busy"):
        pass


def test_a_killed_process_leaves_neither_a_lock_nor_a_partial_folder(tmp_path: Path) -> None:
    final = tmp_path / "s.zarr"
    code = """
with atomic_path(pathlib.Path(sys.argv[1])) as temp_path:
    temp_path.mkdir(); (temp_path / "stale").write_text("x"); print("ready", flush=True); time.sleep(60)
"""
    with child(code, final) as process:
        with pytest.raises(DataError, match="another process is writing it"), atomic_path(final):
            pass
        kill(process)
    with atomic_path(final) as temp_path:
        temp_path.mkdir()
        (temp_path / "fresh").write_text("y")
    assert names(final) == ["fresh"]
    assert names(tmp_path) == ["s.zarr"]


def test_a_lock_file_removed_before_it_was_locked_excludes_no_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, flock, calls = tmp_path / ".s.zarr.lock", fcntl.flock, []

    def late(file: object, how: int) -> None:
        calls.append(how)
        if len(calls) == 1:
            lock.unlink()  # the holder ends between the opening and the locking of the file
        flock(file, how)  # type: ignore[arg-type]

    monkeypatch.setattr(fcntl, "flock", late)
    with exclusive_lock(tmp_path / "s.zarr"):
        assert lock.exists()
        with pytest.raises(DataError, match="another process is writing it"), exclusive_lock(tmp_path / "s.zarr"):
            pass
    assert len(calls) == 3
    assert not lock.exists()


def test_three_processes_never_hold_one_lock_together(tmp_path: Path) -> None:
    """One opens the file before the holder removes it; a third comes after that."""
    second = """
import fcntl
flock = fcntl.flock
def late(file, how):
    fcntl.flock = flock
    print("ready", flush=True)
    sys.stdin.readline()
    flock(file, how)
fcntl.flock = late
with exclusive_lock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""
    run = tmp_path / "run"
    with exclusive_lock(run):
        process_of_second = child(second, run)
        process = process_of_second.__enter__()
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        print("lock", file=process.stdin, flush=True)
        assert process.stdout.readline() == "held\n"
        with pytest.raises(DataError, match="another process"), exclusive_lock(run):
            pass
    finally:
        process_of_second.__exit__(None, None, None)


COUNTER = """
print("ready", flush=True)
path, total = pathlib.Path(sys.argv[1]), 0
while total < 200:
    try:
        with exclusive_lock(path):
            path.with_suffix(".held").touch(exist_ok=False)
            path.write_text(str(int(path.read_text()) + 1))
            path.with_suffix(".held").unlink()
            total += 1
    except Exception as error:
        if "another process" not in str(error): raise
"""


def test_locks_of_racing_processes_exclude_each_other(tmp_path: Path) -> None:
    path = tmp_path / "counter"
    path.write_text("0")
    with child(COUNTER, path) as first, child(COUNTER, path) as second, child(COUNTER, path) as third:
        assert [process.wait(60) for process in (first, second, third)] == [0, 0, 0]
    assert path.read_text() == "600"
    assert names(tmp_path) == ["counter"]


@pytest.mark.parametrize("name", [".s.lock", ".s.partial"])
def test_planted_links_are_neither_followed_nor_truncated(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / name).symlink_to(victim)
    if name.endswith(".lock"):
        with pytest.raises(DataError, match=r"\.s\.lock: is a symbolic link"), exclusive_lock(tmp_path / "s"):
            pass
    else:
        atomic_write(tmp_path / "s", "new")
        assert (tmp_path / "s").read_text() == "new"
        assert not (tmp_path / "s").is_symlink()
    assert victim.read_text() == "precious"


def test_a_planted_link_to_a_folder_is_removed_and_the_folder_stays(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("x")
    (tmp_path / ".s.partial").symlink_to(victim)
    with atomic_path(tmp_path / "s") as temp_path:
        temp_path.mkdir()
    assert names(victim) == ["precious"]
    assert names(tmp_path) == ["s", "victim"]


def test_a_hard_link_in_the_place_of_a_lock_or_a_partial_file_keeps_its_content(tmp_path: Path) -> None:
    for name in ("lock", "partial"):
        (tmp_path / name).write_text("precious")
        (tmp_path / f".s.{name}").hardlink_to(tmp_path / name)
    with exclusive_lock(tmp_path / "s"):
        atomic_write(tmp_path / "s", "new")
    assert [(tmp_path / name).read_text() for name in ("lock", "partial")] == ["precious", "precious"]
    assert names(tmp_path) == ["lock", "partial", "s"]


@pytest.mark.parametrize("sync", [True, False])
def test_a_written_file_has_the_content_and_the_usual_rights(tmp_path: Path, sync: bool) -> None:
    (tmp_path / "usual").touch()
    path = tmp_path / "new" / "file"
    for content in ("text: \u00fc", b"bytes"):
        atomic_write(path, content, sync=sync)
        assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode
    assert names(path.parent) == ["file"]


def test_a_failed_write_names_the_file_and_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(_number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/file'"):
        atomic_write(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_an_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_number: int) -> None:
        raise KeyboardInterrupt("stop")

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt, match="stop"):
        atomic_write(tmp_path / "file", "new")
    assert names(tmp_path) == []


STUCK = """
import os
def stop(number):
    print("ready", flush=True)
    sys.stdin.readline()
os.fsync = stop
atomic_write(pathlib.Path(sys.argv[1]), "first")
"""


def test_the_partial_file_of_a_killed_process_is_replaced(tmp_path: Path) -> None:
    with child(STUCK, tmp_path / "file") as process:
        kill(process)
    assert names(tmp_path) == [".file.partial"]
    atomic_write(tmp_path / "file", "second")
    assert names(tmp_path) == ["file"]


def test_the_second_writer_of_a_file_waits_for_the_first(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with child(STUCK, path) as process:
        writer = threading.Thread(target=atomic_write, args=(path, "second"))
        writer.start()
        writer.join(0.2)
        assert writer.is_alive()
        assert process.stdin is not None
        print("go on", file=process.stdin, flush=True)
        assert process.wait(10) == 0
        writer.join(10)
    assert path.read_text() == "second"
    assert names(tmp_path) == ["file"]


def test_threads_that_write_one_file_leave_one_of_their_contents(tmp_path: Path) -> None:
    contents = [str(number) * 10_000 for number in range(8)]

    def write(content: str) -> None:
        for _ in range(20):
            atomic_write(tmp_path / "file", content, sync=False)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (tmp_path / "file").read_text() in contents
    assert names(tmp_path) == ["file"]


def test_partial_files_are_cleared_but_for_those_being_written(tmp_path: Path) -> None:
    (tmp_path / ".stale.json.partial").write_text("half")
    (tmp_path / ".folder.partial").mkdir()
    (tmp_path / ".keep").write_text("")
    with child(STUCK, tmp_path / "file"):
        clear_partial_files(tmp_path)
        assert names(tmp_path) == [".file.partial", ".folder.partial", ".keep"]


def test_a_temporary_path_is_absent_before_and_after(tmp_path: Path) -> None:
    stale = tmp_path / ".s.partial"
    stale.mkdir()
    (stale / "x").write_text("")
    with temporary_path(tmp_path / "s") as temp_path:
        assert temp_path == stale
        assert not stale.exists()
        stale.write_text("half")
    assert names(tmp_path) == []


def test_remove_takes_a_link_and_leaves_its_target(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "file").write_text("")
    for name in ("link", "file", "absent"):
        remove(tmp_path / name)
    assert names(tmp_path) == ["target"]
    remove(tmp_path / "target")
    assert names(tmp_path) == []


def test_a_file_taken_for_a_stale_one_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flock, calls = fcntl.flock, []

    def late(file: object, how: int) -> None:
        calls.append(how)
        if len(calls) == 1:
            (tmp_path / ".file.partial").unlink()  # another writer finds it before it is locked
        flock(file, how)  # type: ignore[arg-type]

    monkeypatch.setattr(atomic.fcntl, "flock", late)
    atomic_write(tmp_path / "file", "new")
    assert len(calls) == 2
    assert (tmp_path / "file").read_text() == "new"


def refused(folder: Path, content: bytes = b"") -> None:
    """A block that is refused, perhaps after it has written something."""
    with kept_if_filled(folder):
        if content:
            (folder / "part").write_bytes(content)
        raise DataError("refused")


def test_a_refused_block_leaves_no_empty_folder_and_nothing_that_holds_something(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="refused"):
        refused(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match="refused"):
        refused(tmp_path / "a" / "b", b"x")
    assert (tmp_path / "a" / "b" / "part").is_file()
    (tmp_path / "own").mkdir()
    with pytest.raises(DataError, match="refused"):
        refused(tmp_path / "own")
    assert (tmp_path / "own").is_dir()
    with kept_if_filled(tmp_path / "empty"):
        pass
    assert (tmp_path / "empty").is_dir()


def test_several_folders_go_again_the_innermost_first(tmp_path: Path) -> None:
    def refused_in_two() -> None:
        with kept_if_filled(tmp_path / "a", tmp_path / "a" / "b" / "c", tmp_path / "d"):
            (tmp_path / "d" / "part").write_bytes(b"x")
            raise DataError("refused")

    with pytest.raises(DataError, match="refused"):
        refused_in_two()
    assert names(tmp_path) == ["d"]
