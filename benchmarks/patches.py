"""Building a patch store against its floor: GDAL reading the same shards, and the codec writing the same patches from memory, with as many threads.

    python -m benchmarks.patches [--parts 16] [--bands 7] [--dtype uint16] [--whole] [--workers] [--keep DIR]

The input is 1/PARTS of the study `corn-belt-2016` (PARTS = 1: all of it), written as Earth Engine writes shards (LZW, tiles of
256 px, pixel-interleaved). A block of 2560 x 2560 simulated pixels with noise is repeated over the region, so that
making the input does not outlast measuring it. With --bands N its 7 bands are repeated up to N: peak memory is wanted below
1.5 GiB for any number. Each build is a process of its own; imports are not counted.
The floor is GDAL reading each tile once, and Blosc (zstd 1; bits of the image shuffled) writing the patches to files of 1,024.
--whole also measures 1/1, twice, and compares it with 1/PARTS; --workers compares one and two dask worker processes, which
have finished their imports before the clock starts, in alternating pairs. With each pair the ratio of reading with two threads to
reading with one is printed: far from 2, the machine had no two free cores.
`check_share_of_cpu` is the share of a build's CPU time that goes into checking values (wanted: at most 0.03).
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import rasterio
from numcodecs import Blosc, blosc

from benchmarks import at_least_one
from cropcam.pipeline.encoding import OFFSET, SCALE
from cropcam.pipeline.grid import PixelGrid, Window, tiles
from cropcam.pipeline.landscape import reflectance, truth
from cropcam.pipeline.rasters.mosaic import RasterMosaic
from cropcam.pipeline.runtime.atomic import atomic_path
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.study.study import Study, load_study, parse_study

ROOT = Path(__file__).parents[1]
BLOCK_PX, SHARD_PX = 2560, 12_800
NOISE = 0.004  # of reflectance, as left in a median composite
SIMULATED, FILE_PATCHES, HELD_BYTES = 7, 1024, 2**28  # bands; patches per file of the floor's codec; images that it holds


class Kind(NamedTuple):
    """The image: how many bands, and the type of its values."""

    bands: int = SIMULATED
    dtype: str = "uint16"


POSTER = Kind()


def study(parts: int, kind: Kind = POSTER) -> Study:
    """The study of the poster with an image of that kind, its sides divided by the square root of `parts`."""
    values = load_study("corn-belt-2016").to_dict()
    west, south, east, north = values["area"]["bounds"]
    by = parts**0.5
    values["area"]["bounds"] = [west, north - (north - south) / by, west + (east - west) / by, north]
    if kind != POSTER:
        names = [f"band_{number}" for number in range(1, kind.bands + 1)]
        nodata, scale = (-9999, 1.0) if kind.dtype == "float32" else (-128, 1 / 127) if kind.dtype == "int8" else (0, SCALE)
        sensor = {
            "title": f"{kind.bands} bands of {kind.dtype}",
            "dtype": kind.dtype,
            "scale": scale,
            "nodata": nodata,
            "bands": {name: {} for name in names},
        }
        sensor["collections"] = [{"id": "benchmark", "bands": {name: name for name in names}}]
        values["image"] |= {"sensor": sensor, "bands": names, "collections": ["benchmark"], "mask": []}
    return parse_study(values)


@cache
def block() -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """Simulated DN (7, y, x) and CDL codes (y, x)."""
    grid = study(1).grid.window(Window(4000, 12_000, BLOCK_PX, BLOCK_PX))
    dn, codes = np.empty((7, BLOCK_PX, BLOCK_PX), np.uint16), np.empty((BLOCK_PX, BLOCK_PX), np.uint8)
    rng = np.random.default_rng(0)
    for window in tiles((BLOCK_PX, BLOCK_PX), (512, 512)):
        part = grid.window(window)
        values = reflectance(part, [datetime.date(2016, 7, 20)])[0]
        values = values + rng.normal(0, NOISE, values.shape)
        dn[:, *window.slices] = np.clip(np.floor((values - OFFSET) / SCALE + 0.5), 1, 65535)
        codes[window.slices] = truth(part)
    return dn, codes


def write_shards(folder: Path, grid: PixelGrid, kind: Kind) -> None:
    """The region in shards, by repeating the block; on the disk when it returns, so that writing back disturbs no measurement."""
    (dn, codes), repeated = block(), np.arange(kind.bands) % SIMULATED
    if kind.dtype == "float32":
        dn = (dn * np.float32(SCALE) + np.float32(OFFSET)).astype(np.float32)  # type: ignore[assignment]
    elif kind.dtype == "int8":
        dn = np.clip(dn / 128.0 - 127, -127, 127).astype(np.int8)  # type: ignore[assignment]
    folder.mkdir(parents=True, exist_ok=True)
    options = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "lzw", "num_threads": "all_cpus"}
    for window in tiles(grid.shape_yx, (SHARD_PX, SHARD_PX)):
        place = grid.window(window)
        profile = {"driver": "GTiff", "crs": grid.crs, "transform": rasterio.Affine(*place.transform), "bigtiff": "if_safer"}
        profile |= {"width": place.width, "height": place.height, **options}
        name = f"{window.row:010d}-{window.col:010d}.tif"
        image, labels = folder / f"image-{name}", folder / f"labels-{name}"
        with (
            rasterio.open(image, "w", count=kind.bands, dtype=kind.dtype, interleave="pixel", **profile) as image_file,
            rasterio.open(labels, "w", count=1, dtype="uint8", **profile) as label_file,
        ):
            for rows in tiles(window[2:], (256, BLOCK_PX)):
                at = np.s_[rows.row % BLOCK_PX : rows.row % BLOCK_PX + rows.height, : rows.width]
                where = rasterio.windows.Window(rows.col, rows.row, rows.width, rows.height)
                image_file.write(dn[:, *at][repeated], window=where)
                label_file.write(codes[at], 1, window=where)
    os.sync()


def read_seconds(folder: Path, threads: int) -> float:
    """GDAL reading every shard in rows of tiles, each tile once."""

    def read(job: tuple[Path, Window]) -> int:
        path, rows = job
        with rasterio.open(path) as file:
            return int(file.read(window=rasterio.windows.Window(rows.col, rows.row, rows.width, rows.height)).nbytes)

    jobs = []
    for path in sorted(folder.glob("*.tif")):
        with rasterio.open(path) as file:
            jobs += [(path, rows) for rows in tiles(file.shape, (256, file.width))]
    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        sum(pool.map(read, jobs))
    return time.perf_counter() - started


def codec_seconds(store: Path, count: int, threads: int) -> float:
    """The codec writing as many patches from memory."""
    opened = open_store(store)
    held_N = np.arange(min(count, 4 * FILE_PATCHES, HELD_BYTES // opened.images(np.arange(1)).nbytes))
    held = {"image": (opened.images(held_N), Blosc.BITSHUFFLE), "label": (opened.labels(held_N), Blosc.NOSHUFFLE)}
    blosc.use_threads = False  # of its own

    def write(number: int, folder: Path) -> None:
        for name, (values, shuffle) in held.items():
            codec = Blosc("zstd", clevel=1, shuffle=shuffle)
            with (folder / f"{name}-{number}").open("wb") as file:
                for patch in range(number * FILE_PATCHES, min((number + 1) * FILE_PATCHES, count)):
                    file.write(codec.encode(values[patch % len(values)]))

    with tempfile.TemporaryDirectory(dir=store.parent) as folder:
        started = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(partial(write, folder=Path(folder)), range(-(-count // FILE_PATCHES))))
        return time.perf_counter() - started


def build_here(wanted: Study, folder: Path, store: Path, scheduler: str | None) -> None:
    """One build in this process: seconds, patches and peak memory as JSON on stdout."""
    from cropcam.pipeline.patches.build import from_shards  # noqa: PLC0415 - before the clock starts

    if scheduler:
        import_module("distributed")  # likewise
    before, started = time.process_time(), time.perf_counter()
    summary = from_shards(wanted, folder, store, scheduler=scheduler)
    seconds = time.perf_counter() - started
    status = Path("/proc/self/status").read_text()  # getrusage would count the memory of the parent
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 2**20
    cpu_s = time.process_time() - before
    figures = {"seconds": seconds, "patches": summary.count, "cpu_s": round(cpu_s, 2), "peak_GiB": round(peak, 3)}
    print(json.dumps(figures | {"check_share_of_cpu": round(check_seconds(wanted, folder) / cpu_s, 4)}))


def check_seconds(wanted: Study, folder: Path) -> float:
    """CPU seconds of what a build does to check values: the look at some windows of every shard, and each block's own."""
    from cropcam.pipeline.rasters.checked import checked  # noqa: PLC0415
    from cropcam.pipeline.rasters.export_shards import open_image_shards  # noqa: PLC0415
    from cropcam.pipeline.rasters.plausible import block_fault  # noqa: PLC0415

    source: RasterMosaic = open_image_shards(folder, wanted)
    if source.meaning is None:
        return 0.0
    started = time.process_time()
    checked(source, source.meaning)
    sampled = time.process_time() - started
    side = min(BLOCK_PX, *source.grid.shape_yx)
    values, encoding = source.read(Window(0, 0, side, side)), source.encoding
    started = time.process_time()
    block_fault(values, encoding, source.meaning.ranges)
    return sampled + (time.process_time() - started) * source.grid.height * source.grid.width / side**2


def input_folder(parts: int, kind: Kind, place: Path) -> Path:
    """The folder of the shards, which `--keep` keeps."""
    return place / (f"shards-{parts}" if kind == POSTER else f"shards-{parts}-of-{kind.bands}-bands-{kind.dtype}")


def build(parts: int, kind: Kind, place: Path, store: Path, scheduler: str | None = None) -> dict[str, Any]:
    """One build in a process of its own, of a store that is not there."""
    os.sync()  # earlier writes would be written back meanwhile
    subprocess.run(["rm", "-rf", str(store)], check=True)
    words = [sys.executable, "-m", "benchmarks.patches", "--cut", str(input_folder(parts, kind, place)), str(store)]
    words += ["--parts", str(parts), "--bands", str(kind.bands), "--dtype", kind.dtype]
    words += ["--scheduler", scheduler] if scheduler else []
    text = subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    measured: dict[str, Any] = json.loads(text.splitlines()[-1])
    return measured


def compared(parts: int, kind: Kind, place: Path, repeats: int) -> dict[str, Any]:
    """Builds and the floor, alternating, on one input."""
    threads, folder = len(os.sched_getaffinity(0)), input_folder(parts, kind, place)
    store = folder.with_name(folder.name.replace("shards", "store") + ".zarr")
    if not folder.exists():
        started = time.perf_counter()
        with atomic_path(folder) as temp_path:
            write_shards(temp_path, study(parts).grid, kind)
        print(f"1/{parts}: shards written in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    runs, floors = [], []
    for _ in range(repeats):
        runs.append(build(parts, kind, place, store))
        os.sync()
        floors.append((read_seconds(folder, threads), codec_seconds(store, runs[-1]["patches"], threads)))
        print(f"1/{parts}: build {runs[-1]['seconds']:.2f} s, read {floors[-1][0]:.2f} s, codec {floors[-1][1]:.2f} s", file=sys.stderr)
    count = runs[0]["patches"]
    ratios = [sum(floor) / run["seconds"] for floor, run in zip(floors, runs, strict=True)]
    size = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    return {
        "patches": count,
        "bands": kind.bands,
        "dtype": kind.dtype,
        "threads": threads,
        "build_s": round(median(run["seconds"] for run in runs), 2),
        "read_s": round(median(read for read, _ in floors), 2),
        "codec_s": round(median(codec for _, codec in floors), 2),
        "patches_per_s": round(count / median(run["seconds"] for run in runs)),
        "of_floor": round(median(ratios), 3),
        "of_reading_alone": round(median(read / run["seconds"] for (read, _), run in zip(floors, runs, strict=True)), 3),
        "cpu_ms_per_patch": round(1000 * median(run["cpu_s"] for run in runs) / count, 3),
        "peak_GiB": max(run["peak_GiB"] for run in runs),
        "check_share_of_cpu": round(median(run["check_share_of_cpu"] for run in runs), 4),
        "store_GB": round(size / 1e9, 3),
        "input_GB": round(sum(path.stat().st_size for path in folder.iterdir()) / 1e9, 3),
    }


def with_workers(count: int, parts: int, kind: Kind, place: Path) -> float:
    """Seconds of a build on `count` dask worker processes of one thread each."""
    from distributed import Client, LocalCluster  # noqa: PLC0415 - only for this

    with (
        LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None, memory_limit=0) as cluster,  # type: ignore[no-untyped-call]
        Client(cluster) as client,  # type: ignore[no-untyped-call]
    ):
        client.run(import_module, "cropcam.pipeline.patches.build")  # type: ignore[no-untyped-call]
        seconds: float = build(parts, kind, place, place / f"workers-{count}.zarr", cluster.scheduler_address)["seconds"]
    return seconds


def clusters(parts: int, kind: Kind, place: Path, repeats: int) -> dict[str, Any]:
    """One and two workers, alternating, on the same input; with each pair GDAL reads with one and two threads, to see whether two cores were free."""
    folder = input_folder(parts, kind, place)
    pairs, free = [], []
    for _ in range(repeats):
        pairs.append((with_workers(1, parts, kind, place), with_workers(2, parts, kind, place)))
        free.append(read_seconds(folder, 1) / read_seconds(folder, 2))
        print(
            f"1/{parts}: one worker {pairs[-1][0]:.2f} s, two {pairs[-1][1]:.2f} s; two threads read {free[-1]:.2f} times as fast as one",
            file=sys.stderr,
        )
    ratios = [one / two for one, two in pairs]
    return {
        "workers_1_s": round(median(one for one, _ in pairs), 2),
        "workers_2_s": round(median(two for _, two in pairs), 2),
        "two_workers_over_one": round(median(ratios), 3),
        "two_workers_over_one_of_each": [round(ratio, 3) for ratio in ratios],
        "two_readers_over_one_of_each": [round(ratio, 3) for ratio in free],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=at_least_one, default=16)
    parser.add_argument("--bands", type=at_least_one, default=SIMULATED)
    parser.add_argument("--dtype", choices=("uint16", "int8", "float32"), default="uint16")
    parser.add_argument("--repeats", type=at_least_one, default=3)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--workers", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--scheduler", help="of --cut")
    parser.add_argument(
        "--cut", nargs=2, type=Path, metavar=("SHARDS", "STORE"), help="build once, of a folder that --keep kept, in this process"
    )
    args = parser.parse_args()
    kind = Kind(args.bands, args.dtype)
    if args.cut:
        build_here(study(args.parts, kind), *args.cut, args.scheduler)
        return
    with tempfile.TemporaryDirectory() as temporary:
        place = args.keep or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        figures = compared(args.parts, kind, place, args.repeats)
        if args.workers:
            figures |= clusters(args.parts, kind, place, args.repeats)
        if args.whole:
            whole = compared(1, kind, place, 2)
            figures["whole"] = whole
            figures["cost_whole_over_part"] = round(whole["build_s"] / whole["patches"] / (figures["build_s"] / figures["patches"]), 3)
            figures["peak_whole_over_part"] = round(whole["peak_GiB"] / figures["peak_GiB"], 3)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
