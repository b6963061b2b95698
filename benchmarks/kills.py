"""SIGKILLs at random moments, each followed by a rerun: no task twice, the same bytes.

    python -m benchmarks.kills [exports] [--kills N] [--seed N] [--size-px N] [--per-set N]
    python -m benchmarks.kills store [--kills N] [--seed N] [--per-set N] [--cluster]

`exports`: exports and deliveries. `store`: building a patch store with `--per-set` kills per store; each store is compared with an
undisturbed one. With `--cluster` a dask cluster of two workers builds, and outlives the killed runs.

The embedded engine runs in this process; every export runs in its own process, which is killed. Half of the sets go to
Drive, half directly to a folder. The last run of each set is not killed. Then the tasks of the set at the engine
are counted, and its files are compared with the files of an undisturbed run.
"""
# ruff: noqa: PLC0415 - the processes that are killed import only what an export needs

from __future__ import annotations

import argparse
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import at_least_one
from cropcam.pipeline.study.study import Study, load_study, parse_study

ROOT = Path(__file__).parents[1]
CELL_PX = 256


def small_study(size_px: int) -> Study:
    """A square piece of the demo with one short season."""
    values = load_study("demo").to_dict()
    half = size_px * 30.0 / 111_319.490793 / 2
    values["area"] |= {"bounds": [-90.0 - half, 41.0 - half, -90.0 + half, 41.0 + half]}
    values["image"] |= {"seasons": [["2016-06-01", "2016-08-01"]]}
    return parse_study(values)


def export(kind: str, url: str, place: str, study: Study) -> None:
    """One whole export, in the process that is killed."""
    from cropcam.pipeline.earthengine.delivery import deliver
    from cropcam.pipeline.earthengine.destinations import Drive
    from cropcam.pipeline.earthengine.exports import Pace
    from cropcam.pipeline.earthengine.exports import export as run
    from cropcam.pipeline.earthengine.plan import plan
    from cropcam.pipeline.earthengine.session import open_session

    print("ready", flush=True)
    session = open_session(None, url)
    if kind == "pixels":
        deliver(study, session, Path(place) / "shards", window_px=CELL_PX, shard_px=2 * CELL_PX, workers=4)
    else:
        run(plan(study, Drive(Path(place).name), cell_px=CELL_PX), session, Path(place) / "exports.json", pace=Pace(0.1))


def start(kind: str, url: str, place: Path, size_px: int) -> subprocess.Popen[bytes]:
    """One export in a process of its own, at the moment before its first request."""
    place.mkdir(parents=True, exist_ok=True)
    words = ["-m", "benchmarks.kills", "--child", kind, url, str(place), "--size-px", str(size_px)]
    process = subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if process.stdout:
        process.stdout.readline()
    return process


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a run.

    Raises:
        RuntimeError: it failed.
    """
    _, errors = process.communicate(timeout=300)
    if process.returncode:
        raise RuntimeError(f"an export failed: {errors.decode()[-2000:]}")


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every GeoTIFF in a folder; hidden leftovers count as files too."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def measure(kills: int, seed: int, size_px: int, per_set: int) -> dict[str, Any]:
    """Kill `kills` runs; counts of kills, sets, tasks and failures."""
    from cropcam.pipeline.emulator import serve
    from cropcam.pipeline.landscape import simulate

    rng, study = random.Random(seed), small_study(size_px)  # noqa: S311 - moments, not secrets
    twice = wrong = sets = done = tasks = 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        simulate(study, folder / "archive", seed=seed)
        with serve(folder / "archive", out=folder / "engine") as server:

            def files(kind: str, place: Path) -> dict[str, str]:
                return digests(place / "shards" if kind == "pixels" else server.out / "drive" / place.name)

            wanted, whole_s = {}, {}
            for kind in ("drive", "pixels"):
                process = start(kind, server.url, folder / f"undisturbed-{kind}", size_px)
                begun = time.monotonic()
                finish(process)
                whole_s[kind] = time.monotonic() - begun
                wanted[kind] = files(kind, folder / f"undisturbed-{kind}")
            while done < kills:
                kind = ("drive", "pixels")[sets % 2]
                place, sets = folder / f"set-{sets}", sets + 1
                for _ in range(rng.randint(1, per_set)):
                    if done == kills:
                        break
                    process = start(kind, server.url, place, size_px)
                    try:
                        process.communicate(timeout=rng.uniform(0.0, 1.0) * whole_s[kind])
                        break
                    except subprocess.TimeoutExpired:
                        process.kill()
                        process.communicate()
                        done += 1
                finish(start(kind, server.url, place, size_px))
                wrong += files(kind, place) != wanted[kind]
            twice, tasks = _count(server.out, len(wanted["drive"]))
    return {
        "kills": done, "sets": sets, "tasks": tasks, "submitted_twice": twice, "sets_with_other_bytes": wrong,
        "undisturbed_s": {kind: round(value, 2) for kind, value in whole_s.items()}, "seconds": round(time.monotonic() - started, 1),
    }  # fmt: skip


def measure_store(kills: int, seed: int, per_set: int, *, cluster: bool) -> dict[str, Any]:
    """Kill `kills` builds, `per_set` of each store; the number of stores that ended with the same bytes, among others."""
    from distributed import LocalCluster

    from support.kill_runs import fingerprint, inputs, kill_and_finish
    from support.kill_runs import start as start_cutting

    started, equal, with_work = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as text, ExitStack() as stack:
        folder, scheduler = Path(text), ""
        if cluster:
            workers = stack.enter_context(LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0))  # type: ignore[no-untyped-call]
            scheduler = workers.scheduler_address
        inputs(folder)
        with start_cutting(folder, "whole.zarr") as process:
            process.wait()
        whole, stores = fingerprint(folder / "whole.zarr"), -(-kills // per_set)
        for number in range(stores):
            name = f"killed-{number}.zarr"
            shards = kill_and_finish(folder, name, per_set, seed + number, 0.008 * per_set, scheduler)
            equal += fingerprint(folder / name) == whole
            with_work += sum(count > 0 for count in shards)
            print(f"store {number}: zarr shards after each kill {shards}", file=sys.stderr)
    seconds = round(time.monotonic() - started, 1)
    return {
        "kills": stores * per_set, "stores": stores, "equal": equal, "kills_with_work_to_keep": with_work, "cluster": cluster, "seconds": seconds,
    }  # fmt: skip


def _count(engine: Path, expected: int) -> tuple[int, int]:
    """How many operations the engine's journal holds beyond one per task, and how many in all."""
    bodies = [json.loads(path.read_text("utf-8"))["body"] for path in (engine / "operations").glob("*.json")]
    places = Counter(
        (body["fileExportOptions"]["driveDestination"]["folder"], body["fileExportOptions"]["driveDestination"]["filenamePrefix"])
        for body in bodies
    )
    per_set = Counter(folder for folder, _ in places)
    missing = sum(expected - count for count in per_set.values())
    if missing:
        raise RuntimeError(f"{missing} tasks were never submitted")
    return sum(count - 1 for count in places.values()), len(bodies)


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=("exports", "store"), default="exports")
    parser.add_argument("--kills", type=at_least_one, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size-px", type=at_least_one, default=700)
    parser.add_argument("--per-set", type=at_least_one, help="kills of one set of tasks, at most (default 6), or of one store (default 10)")
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--child", nargs=3, metavar=("KIND", "URL", "PLACE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        export(*args.child, small_study(args.size_px))
    elif args.what == "store":
        print(json.dumps(measure_store(args.kills, args.seed, args.per_set or 10, cluster=args.cluster)))
    else:
        print(json.dumps(measure(args.kills, args.seed, args.size_px, args.per_set or 6)))


if __name__ == "__main__":
    main()
