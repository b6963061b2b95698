"""A store that is cut in spite of SIGKILL, changed inputs, a second process, and a cluster that loses workers."""

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

import dask
import numpy as np
import pytest
import xarray as xr

from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.patches import from_rasters
from cropcam.pipeline.store.schema import open_store
from cropcam.pipeline.study.study import load_study
from support.kill_runs import GRID, LIMIT_S, fingerprint, inputs, kill_and_finish, start
from support.rasters import random_dn, write_raster

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inputs, and `whole.zarr` cut from them without interruption."""
    place = tmp_path_factory.mktemp("kills")
    inputs(place)
    finish(place, "whole.zarr")
    return place


def finish(folder: Path, name: str, **options: Any) -> None:
    """Cut a store to its end in this process, with the parts and zarr shards that a killed process has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cropcam.pipeline.parts._BAND_BYTES", 1)
        patch.setattr("cropcam.pipeline.store.schema.PATCHES_PER_SHARD", 64)
        study = load_study(str(folder / "study.toml"))
        from_rasters(study, [folder / "image.tif"], [folder / "cdl.tif"], folder / name, **options)


@pytest.fixture(scope="module")
def half(folder: Path) -> Path:
    """The hidden folder of an attempt that was killed half-way."""
    return killed_half_way(folder, "half.zarr")


def test_three_kills_end_with_the_same_bytes(folder: Path) -> None:
    shards = kill_and_finish(folder, "killed.zarr", kills=3)
    assert fingerprint(folder / "killed.zarr") == fingerprint(folder / "whole.zarr")
    assert shards == sorted(shards)  # finished zarr shards are never lost
    assert shards[-1] > shards[0]
    assert not (folder / ".killed.zarr.partial").exists()


def killed_half_way(folder: Path, name: str) -> Path:
    """An attempt killed when some zarr shards and the digests stand; its hidden folder."""
    partial = folder / f".{name}.partial"
    with start(folder, name, delay_s=0.05) as process:
        while process.poll() is None and not (
            (partial / "digests.json").exists() and (partial / "journal.jsonl").exists() and len(journal(partial)) > 20
        ):
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    return partial


def journal(partial: Path) -> list[bytes]:
    return (partial / "journal.jsonl").read_bytes().splitlines()


def test_a_run_killed_before_it_adds_anything_loses_nothing(folder: Path, half: Path) -> None:
    partial = shutil.copytree(half, folder / ".idle.zarr.partial")
    before = len(journal(partial))
    for _ in range(2):
        with start(folder, "idle.zarr", delay_s=LIMIT_S) as process:  # rewinds the journal, then adds no part
            assert process.stdout is not None
            assert [process.stdout.readline().strip() for _ in range(2)] == ["ready", "adding"]
            process.send_signal(signal.SIGKILL)
        assert 0 < len(journal(partial)) <= before
    finish(folder, "idle.zarr")
    assert fingerprint(folder / "idle.zarr") == fingerprint(folder / "whole.zarr")


@pytest.mark.parametrize("harm", ["torn line", "damaged shard", "lost shard", "half-written shard", "half-written metadata"])
def test_a_damaged_remainder_is_worked_again(folder: Path, half: Path, harm: str) -> None:
    name = f"harmed-{harm.replace(' ', '-')}.zarr"
    partial = shutil.copytree(half, folder / f".{name}.partial")
    shard = partial / "store.zarr" / "image" / "c" / "2" / "0" / "0" / "0"
    if harm == "torn line":
        with (partial / "journal.jsonl").open("ab") as file:
            file.write(b'{"part": 99, "cou')
    elif harm == "damaged shard":
        shard.write_bytes(shard.read_bytes()[:-9] + b"123456789")
    elif harm == "lost shard":
        shard.unlink()
    elif harm == "half-written shard":
        (shard.parent / ".0.part").write_bytes(b"of a run on threads, which a cluster goes on with")
    else:
        (partial / "store.zarr" / "zarr.json").write_text("{")
    finish(folder, name)
    assert fingerprint(folder / name) == fingerprint(folder / "whole.zarr")


def test_unfinished_work_on_other_inputs_is_thrown_away_and_said(tmp_path: Path) -> None:
    study = inputs(tmp_path)
    killed_half_way(tmp_path, "s.zarr")
    write_raster(tmp_path / "image.tif", random_dn((2, *GRID.shape_yx), seed=1), GRID)
    lines: list[str] = []
    image, labels = [tmp_path / "image.tif"], [tmp_path / "cdl.tif"]
    from_rasters(study, image, labels, tmp_path / "s.zarr", log=lines.append)
    assert lines[0].startswith("starting over: unfinished work found here was begun with another ")
    assert "input image:image.tif" in lines[0]
    from_rasters(study, image, labels, tmp_path / "fresh.zarr")
    assert fingerprint(tmp_path / "s.zarr") == fingerprint(tmp_path / "fresh.zarr")


def test_the_second_of_two_runs_at_once_is_refused(folder: Path) -> None:
    with start(folder, "twice.zarr", delay_s=0.03) as first:
        while first.poll() is None and not (folder / ".twice.zarr.partial").exists():
            time.sleep(0.02)
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
    dask.config.set({"distributed.comm.timeouts.connect": "2s"})

    def kill_one(done: int, _total: int, _note: str) -> None:
        if done == 20:
            processes[1].kill()

    finish(folder, "cluster.zarr", scheduler=address, progress=kill_one)
    assert processes[1].wait(10) == -signal.SIGKILL
    assert fingerprint(folder / "cluster.zarr") == fingerprint(folder / "whole.zarr")


@pytest.mark.slow
def test_kills_while_a_cluster_goes_on_end_with_the_same_bytes(folder: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]) -> None:
    shards = kill_and_finish(folder, "outlived.zarr", kills=2, scheduler=cluster[0])
    assert fingerprint(folder / "outlived.zarr") == fingerprint(folder / "whole.zarr")
    assert shards == sorted(shards)
    assert not (folder / ".outlived.zarr.partial").exists()


@pytest.mark.slow
def test_a_damaged_file_is_named_though_a_worker_elsewhere_found_it(
    folder: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (folder / "image.tif").read_bytes()
    (tmp_path / "image.tif").write_bytes(whole[: len(whole) * 2 // 3])
    shutil.copy(folder / "cdl.tif", tmp_path / "cdl.tif")
    monkeypatch.chdir(tmp_path.parent)  # the workers' folder is `tmp_path`
    here = Path(tmp_path.name)
    with pytest.raises(DataError, match=r"image\.tif: cannot be read at rows .*: truncated or damaged"):
        from_rasters(
            load_study(str(folder / "study.toml")), [here / "image.tif"], [here / "cdl.tif"], here / "s.zarr", scheduler=cluster[0]
        )
    assert not list(tmp_path.glob("*s.zarr*"))


@pytest.mark.parametrize(
    ("address", "kind", "message"),
    [
        ("tcp://127.0.0.1:1", DataError, "no dask scheduler answers at tcp://127.0.0.1:1"),
        ("nonsense://x", ConfigError, "write it as tcp://HOST:8786"),
    ],
)
def test_a_scheduler_that_is_not_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch, address: str, kind: type[Exception], message: str
) -> None:
    monkeypatch.setattr("cropcam.pipeline.cluster._CONNECT_S", 1)
    study = load_study(str(folder / "study.toml"))
    with pytest.raises(kind, match=message):
        from_rasters(study, [folder / "image.tif"], [folder / "cdl.tif"], folder / "never.zarr", scheduler=address)
    assert not list(folder.glob("*never*"))


def test_tensorstore_reads_what_zarr_reads(folder: Path) -> None:
    tensorstore = pytest.importorskip("tensorstore", reason="tensorstore is a development dependency")
    raw, _ = open_store(folder / "whole.zarr")
    for name in ("image", "label"):
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(folder / "whole.zarr" / name)}}
        found = tensorstore.open(spec).result().read().result()
        np.testing.assert_array_equal(found, raw[name].to_numpy())
    with xr.open_zarr(folder / "whole.zarr") as decoded:
        assert decoded["image"].dtype == np.float64 or decoded["image"].dtype == np.float32
