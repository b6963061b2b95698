"""SIGKILLs at random moments, each followed by a rerun: no task twice, the same bytes.

    python -m benchmarks.kills [exports] [--kills N] [--seed N] [--size-px N] [--per-set N] [--without-faults]
    python -m benchmarks.kills store [--kills N] [--seed N] [--per-set N] [--cluster]
    python -m benchmarks.kills commands [--kills N] [--seed N] [--per-set N] [--commands NAME ...]

`exports`: see `benchmarks.kills_exports`. `commands`: every command; see `benchmarks.kills_commands`.

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
from benchmarks.commands_table import BY_NAME
from benchmarks.killed import finish, start
from cropcam.pipeline.study.study import load_study, parse_study

STORE = "patches.zarr"
REGION_PX, PATCH_PX = (2100, 1500), 10  # blocks of 320 px; the last row and column are partial


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
    return start("benchmarks.kills", "--build", str(inputs), str(place), scheduler)


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


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("exports", "store", "commands"), default="exports")
    parser.add_argument("--kills", type=at_least_one, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size-px", type=at_least_one, default=700)
    parser.add_argument("--per-set", type=at_least_one, default=6, help="kills of one set of tasks, store or command, at most")
    parser.add_argument("--commands", nargs="+", choices=list(BY_NAME), default=list(BY_NAME), metavar="NAME", help="of `commands`")
    parser.add_argument("--inputs", type=Path, help="of `commands`: a folder in which the inputs are kept for the next call")
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--without-faults", action="store_true", help="exports: without a fault at every tenth answer")
    parser.add_argument("--build", nargs=3, metavar=("INPUTS", "PLACE", "SCHEDULER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.build:
        build_store(Path(args.build[0]), Path(args.build[1]), args.build[2] or None)
    elif args.what == "store":
        print(json.dumps(measure_store(args.kills, args.seed, args.per_set, cluster=args.cluster)))
    elif args.what == "commands":
        from benchmarks.kills_commands import measure as measure_commands

        print(json.dumps(measure_commands(args.kills, args.seed, args.per_set, args.commands, args.inputs)))
    else:
        from benchmarks.kills_exports import measure

        print(json.dumps(measure(args.kills, args.seed, args.size_px, args.per_set, with_faults=not args.without_faults)))


if __name__ == "__main__":
    main()
