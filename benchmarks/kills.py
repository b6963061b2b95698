"""SIGKILLs at random moments, each followed by a rerun: no task twice, the same bytes.

    python -m benchmarks.kills [exports] [--kills N] [--seed N] [--size-px N] [--per-set N]
    python -m benchmarks.kills store [--kills N] [--seed N] [--per-set N] [--cluster]

`exports`: the embedded engine runs in this process; every export runs in its own process, which is killed. Half of the sets go to
Drive, half directly to a folder. The last run of each set is not killed. Then the tasks of the set at the engine
are counted, and its files are compared with the files of an undisturbed run.

`store`: building a patch store of 35 blocks, at most `--per-set` kills per store. Half of the kills come at a random moment, half as
soon as a random number of zarr shards have appeared. `between_shards_and_rows` counts the kills that left a block whose image is
written and whose rows of the tables are not, and that no kill before left so. The last run of each store is not killed; then its
folder is compared with that of an undisturbed run: every file, hidden ones and those beside the store too. With `--cluster` a
dask cluster of two workers builds, and outlives the killed runs.
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
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from benchmarks import at_least_one
from cropcam.pipeline.study.study import Study, load_study, parse_study

ROOT = Path(__file__).parents[1]
CELL_PX = 256
STORE = "patches.zarr"
REGION_PX, PATCH_PX = (2100, 1500), 10  # blocks of 320 px; the last row and column are partial


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
    from cropcam.pipeline.earthengine.export_run import Options, Pace
    from cropcam.pipeline.earthengine.exports import export as run
    from cropcam.pipeline.earthengine.plan import plan
    from cropcam.pipeline.earthengine.session import open_session

    print("ready", flush=True)
    session = open_session(None, url)
    if kind == "pixels":
        deliver(study, session, Path(place) / "shards", window_px=CELL_PX, shard_px=2 * CELL_PX, workers=4)
    else:
        run(plan(study, Drive(Path(place).name), cell_px=CELL_PX), session, Path(place) / "exports.json", Options(pace=Pace(0.1)))


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
        raise RuntimeError(f"it failed: {errors.decode()[-2000:]}")


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every file in a folder, hidden leftovers too."""
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


def write_inputs(folder: Path) -> None:
    """An image of two bands with nodata, labels, and a study file."""
    from cropcam.pipeline.grid import PixelGrid
    from support.rasters import UTM, random_codes, random_dn, write_raster

    values = load_study("demo").to_dict()
    values["image"] |= {"bands": ["SR_B4", "SR_B5"]}
    values["patches"] |= {"size_px": PATCH_PX}
    values["splits"] |= {"block_patches": [7, 7], "gap_patches": 1}
    grid = PixelGrid(UTM.crs, UTM.transform, *REGION_PX)
    dn = random_dn((2, *grid.shape_yx))
    dn[:, 300:420, 100:700] = 0
    write_raster(folder / "image.tif", dn, grid, tiled=True, blockxsize=256, blockysize=256)
    write_raster(folder / "cdl.tif", random_codes(grid.shape_yx), grid)
    (folder / "study.toml").write_text(parse_study(values).to_toml())


def build_store(inputs: Path, place: Path, scheduler: str | None) -> None:
    """One whole build, in the process that is killed."""
    from cropcam.pipeline.patches.build import from_rasters

    study = load_study(str(inputs / "study.toml"))
    print("ready", flush=True)
    from_rasters(study, [inputs / "image.tif"], [inputs / "cdl.tif"], place / STORE, scheduler=scheduler)


def start_build(inputs: Path, place: Path, scheduler: str) -> subprocess.Popen[bytes]:
    """One build in a process of its own, its imports done."""
    words = ["-m", "benchmarks.kills", "--build", str(inputs), str(place), scheduler]
    process = subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if process.stdout:
        process.stdout.readline()
    return process


def shards(store: Path) -> set[tuple[int, int]]:
    """The blocks whose image is written."""
    return {(int(path.parent.name), int(path.name)) for path in store.glob("image/c/0/*/*") if path.name.isdigit()}


def blocks_left(store: Path) -> tuple[int, set[tuple[int, int]]]:
    """In an unfinished store: how many blocks are done, and those whose image is written and whose rows of the tables are not."""
    from cropcam.pipeline.grid import PatchGrid, PixelGrid
    from cropcam.pipeline.store.schema import NOT_MEASURED, Layout, opened
    from support.rasters import UTM

    layout = Layout.of(PatchGrid(PixelGrid(UTM.crs, UTM.transform, *REGION_PX), PATCH_PX), 2, 2)
    try:
        reason = opened(store, "reason", strict=False).read().result()
    except ValueError:  # killed before there was one
        return 0, set()
    done = [block for block in layout.blocks() if (reason[layout.rows(block)] != NOT_MEASURED).all()]
    return len(done), shards(store) - set(done)


def contents(place: Path) -> dict[str, str]:
    """sha256 of every file below a folder; "" for each folder."""
    found = sorted(place.rglob("*"))
    return {str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "" for path in found}


def await_shards(process: subprocess.Popen[bytes], store: Path, more: int) -> None:
    """Return as soon as so many shards have appeared, or the process has ended."""
    before = len(shards(store))
    while process.poll() is None and len(shards(store)) < before + more:
        time.sleep(0.0005)


def measure_store(kills: int, seed: int, per_set: int, *, cluster: bool) -> dict[str, Any]:
    """Kill `kills` builds; the number of stores that ended with the same files, among others."""
    rng, counts = random.Random(seed), Counter[str]()  # noqa: S311 - moments, not secrets
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as text, ExitStack() as stack:
        folder, scheduler = Path(text), ""
        if cluster:
            from distributed import LocalCluster

            workers = stack.enter_context(LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0))  # type: ignore[no-untyped-call]
            scheduler = workers.scheduler_address
        write_inputs(folder)
        for number in range(2):  # the first compiles
            undisturbed = folder / f"undisturbed-{number}"
            process, begun = start_build(folder, undisturbed, scheduler), time.monotonic()
            finish(process)
            whole_s = time.monotonic() - begun
        wanted = contents(undisturbed)
        while counts["kills"] < kills:
            place, before = folder / f"set-{counts['stores']}", set[tuple[int, int]]()
            for _ in range(rng.randint(1, min(per_set, kills - counts["kills"]))):
                process = start_build(folder, place, scheduler)
                if at_shards := rng.random() < 0.5:
                    await_shards(process, place / STORE, rng.randint(1, 6))
                else:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(timeout=rng.uniform(0.0, 1.0) * whole_s)
                process.kill()
                _, errors = process.communicate()
                if process.returncode > 0:
                    raise RuntimeError(f"a build failed: {errors.decode()[-2000:]}")
                if process.returncode == 0:
                    break  # done before it was killed
                done, between = blocks_left(place / STORE)
                counts.update(kills=1, at_shards=at_shards, with_work_to_keep=done > 0, between_shards_and_rows=bool(between - before))
                before = between
            finish(start_build(folder, place, scheduler))
            found = contents(place)
            if found != wanted:
                differing = sorted(name for name in found.keys() | wanted if found.get(name) != wanted.get(name))
                print(f"store {counts['stores']} differs: {', '.join(differing[:10])}", file=sys.stderr)
            counts.update(stores=1, equal=found == wanted, with_other_names=found.keys() != wanted.keys())
    names = ("kills", "stores", "equal", "with_other_names", "with_work_to_keep", "at_shards", "between_shards_and_rows")
    return {name: int(counts[name]) for name in names} | {
        "cluster": cluster, "undisturbed_s": round(whole_s, 2), "seconds": round(time.monotonic() - started, 1),
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("exports", "store"), default="exports")
    parser.add_argument("--kills", type=at_least_one, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size-px", type=at_least_one, default=700)
    parser.add_argument("--per-set", type=at_least_one, default=6, help="kills of one set of tasks or of one store, at most")
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--child", nargs=3, metavar=("KIND", "URL", "PLACE"), help=argparse.SUPPRESS)
    parser.add_argument("--build", nargs=3, metavar=("INPUTS", "PLACE", "SCHEDULER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        export(*args.child, small_study(args.size_px))
    elif args.build:
        build_store(Path(args.build[0]), Path(args.build[1]), args.build[2] or None)
    elif args.what == "store":
        print(json.dumps(measure_store(args.kills, args.seed, args.per_set, cluster=args.cluster)))
    else:
        print(json.dumps(measure(args.kills, args.seed, args.size_px, args.per_set)))


if __name__ == "__main__":
    main()
