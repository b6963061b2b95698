"""A store that is built in spite of SIGKILL, a second process, and a cluster that loses workers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.patches import build
from cropcam.pipeline.patches.build import from_rasters
from cropcam.pipeline.study.study import load_study
from support.builds import fingerprint
from support.kill_runs import LIMIT_S, WHOLE, inputs, kill_and_finish, progress_of, same_blocks, start


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inputs, and `whole.zarr` built from them without interruption."""
    place = tmp_path_factory.mktemp("kills")
    inputs(place, gap_patches=1)
    finish(place, "whole.zarr")
    assert progress_of(place / "whole.zarr") == WHOLE
    return place


def finish(folder: Path, name: str, **options: Any) -> None:
    """Build a store to its end in this process, with the blocks that a killed process has."""
    with pytest.MonkeyPatch.context() as patch:
        same_blocks(patch)
        study = load_study(str(folder / "study.toml"))
        from_rasters(study, [folder / "image.tif"], [folder / "cdl.tif"], folder / name, **options)


def test_kills_at_random_moments_end_with_the_same_bytes(folder: Path) -> None:
    left = kill_and_finish(folder, "killed.zarr", kills=2)
    assert fingerprint(folder / "killed.zarr") == fingerprint(folder / "whole.zarr")
    done = [kill.done for kill in left]
    assert done == sorted(done)  # blocks that are done are never lost
    assert done[-1] > 0
    assert not list(folder.glob(".*"))


def test_a_kill_between_zarr_shards_and_rows(folder: Path) -> None:
    with start(folder, "between.zarr", delay_s=LIMIT_S) as process:
        assert process.stdout is not None
        assert [process.stdout.readline().strip() for _ in range(2)] == ["ready", "between"]
        process.send_signal(signal.SIGKILL)
    done, between = progress_of(folder / "between.zarr")
    assert done == 0
    assert between > 0
    finish(folder, "between.zarr")
    assert fingerprint(folder / "between.zarr") == fingerprint(folder / "whole.zarr")


def test_the_second_of_two_runs_at_once_is_refused(folder: Path) -> None:
    with start(folder, "twice.zarr", delay_s=0.03) as first:
        assert first.stdout is not None
        assert [first.stdout.readline().strip() for _ in range(2)] == ["ready", "between"]
        first.send_signal(signal.SIGSTOP)  # however long a second takes to start
        with start(folder, "twice.zarr") as second:
            error = second.stderr.read() if second.stderr else ""
        first.send_signal(signal.SIGCONT)
        assert "another process is writing it" in error
        assert first.wait(LIMIT_S) == 0
    assert fingerprint(folder / "twice.zarr") == fingerprint(folder / "whole.zarr")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers in processes of their own."""
    env = {**os.environ, "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "false"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": env, "cwd": tmp_path}
    address = tmp_path / "scheduler.json"
    words = [
        "-m",
        "distributed.cli.dask_scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
        "--scheduler-file",
        str(address),
    ]
    processes = [subprocess.Popen([sys.executable, *words], **quiet)]  # type: ignore[call-overload]
    while not address.exists() or not address.read_text().endswith("}"):
        assert processes[0].poll() is None
        time.sleep(0.05)
    where = str(json.loads(address.read_text())["address"])
    worker = ["-m", "distributed.cli.dask_worker", where, "--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard", "--no-nanny"]
    processes += [subprocess.Popen([sys.executable, *worker, "--name", name], **quiet) for name in "ab"]  # type: ignore[call-overload]
    yield where, processes
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_ends_with_the_same_store(folder: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]) -> None:
    address, processes = cluster

    def kill_one(done: int, _total: int, _note: str) -> None:
        if done == 20:
            processes[1].kill()

    finish(folder, "cluster.zarr", scheduler=address, progress=kill_one)
    assert processes[1].wait(10) == -signal.SIGKILL
    assert fingerprint(folder / "cluster.zarr") == fingerprint(folder / "whole.zarr")


@pytest.mark.slow
def test_kills_while_a_cluster_goes_on_end_with_the_same_bytes(folder: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]) -> None:
    done = [kill.done for kill in kill_and_finish(folder, "outlived.zarr", kills=1, scheduler=cluster[0])]
    assert fingerprint(folder / "outlived.zarr") == fingerprint(folder / "whole.zarr")
    assert done == sorted(done)


@pytest.mark.slow
def test_what_a_worker_finds_elsewhere_is_one_line_here(
    folder: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (folder / "image.tif").read_bytes()
    (tmp_path / "image.tif").write_bytes(whole[: len(whole) * 2 // 3])
    shutil.copy(folder / "cdl.tif", tmp_path / "cdl.tif")
    monkeypatch.chdir(tmp_path.parent)  # the workers' folder is `tmp_path`
    here, study = Path(tmp_path.name), load_study(str(folder / "study.toml"))
    with pytest.raises(DataError, match=r"image\.tif: cannot be read at rows .*: truncated or damaged") as caught:
        from_rasters(study, [here / "image.tif"], [here / "cdl.tif"], here / "s.zarr", scheduler=cluster[0])
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("*s.zarr*"))


@pytest.mark.slow
def test_a_worker_that_does_not_see_the_store_is_one_line(
    folder: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = build.begin

    def hidden(store: Path, info: Any, log: Any) -> None:
        begin(store, info, log)
        (store / ".build" / "spec.json").write_text("of another disk")

    monkeypatch.setattr(build, "begin", hidden)
    with pytest.raises(DataError, match=r"s\.zarr: is not on a disk that .* shares; give --store a folder that every worker can write"):
        finish(folder, "s.zarr", scheduler=cluster[0])
    assert not (folder / "s.zarr").exists()
