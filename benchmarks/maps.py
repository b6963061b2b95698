"""Maps against their floor: the bare forward pass of the same pixels, resident in memory, in batches of the map's windows.

    python -m benchmarks.maps [--models fcn unet baseline] [--parts 16] [--pairs 3] [--shards] [--whole] [--polygons] [--kills 50] [--keep DIR]

The input is the patch store, or with --shards the GeoTIFF shards, of 1/PARTS of the study `corn-belt-2016` as `benchmarks.patches` writes them (simulated, 7 bands, uint16). Each network is trained for
an epoch on shares of 1/2048 of it. A map is a process of its own, from opening the input to the published file: reading, halo,
refinement, writing, conversion, areas. Imports are not counted. The floor runs the network, and the same with its batch norms inside the
convolutions, over batches of one window without halo. Map and floor alternate; processor time is compared too, which other work on the machine hardly changes.
--whole maps 1/1 with the first model and compares the time per pixel; --polygons outlines that map (or that of 1/PARTS) and a quarter of it; --kills
kills maps of a small raster at random moments, runs them again and compares the bytes of all files. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import at_least_one
from benchmarks.killed import ROOT, finish, start
from benchmarks.patches import POSTER, study, write_shards

SMALL = 2048  # parts of the study that a network is trained on
KINDS = {"fcn": "shares", "unet": "pixels", "baseline": "presence", "trees": "points"}


def shards_of(parts: int, place: Path) -> Path:
    """The folder of the shards of 1/`parts` of the study."""
    from cropcam.pipeline.runtime.atomic import atomic_path  # noqa: PLC0415 - after the arguments

    folder = place / f"shards-{parts}"
    if not folder.exists():
        with atomic_path(folder) as temp_path:
            write_shards(temp_path, study(parts).grid, POSTER)
    return folder


def run_of(model: str, place: Path) -> Path:
    """A run of one epoch."""
    from cropcam.model.options import Settings  # noqa: PLC0415
    from cropcam.model.training.train import train  # noqa: PLC0415

    store, run = store_of(SMALL, place), place / f"run-{model}"
    if not (run / "segment.json").exists():
        train(store, run, Settings(model=model, labels=KINDS.get(model, "pixels"), epochs=1, seed=0), device="cpu", resume=run.exists())
    return run


def store_of(parts: int, place: Path) -> Path:
    """The store of 1/`parts` of the study."""
    from cropcam.pipeline.patches.build import from_shards  # noqa: PLC0415

    store = place / f"store-{parts}.zarr"
    if not store.exists():
        from_shards(study(parts), shards_of(parts, place), store)
    return store


def map_here(run: Path, parts: int, place: Path, out: Path, *, shards: bool, beside: bool = False) -> dict[str, Any]:
    """One map in this process; with every file beside it in small windows, so that a kill finds some of them."""
    from cropcam.model.inference.wall_to_wall import Outputs, map_raster  # noqa: PLC0415 - before the clock starts
    from cropcam.pipeline.rasters.export_shards import open_image_shards  # noqa: PLC0415
    from cropcam.pipeline.store.patch_store import open_store  # noqa: PLC0415

    os.environ.setdefault("GDAL_CACHEMAX", "256")  # MB, as the command sets it
    print("ready", flush=True)
    before, started = time.process_time(), time.perf_counter()
    source: Any = open_image_shards(shards_of(parts, place), study(parts)) if shards else open_store(store_of(parts, place))
    every = Outputs(out.with_name("p.tif"), out.with_name("u.tif"), polygons=out.with_name("o.gpkg"))
    summary = map_raster(run, source, out, outputs=every if beside else None, device="cpu", block_px=100 if beside else None)
    seconds = time.perf_counter() - started
    pixels = sum(summary.class_pixels.values()) + summary.nodata_pixels
    return {"seconds": seconds, "cpu_s": time.process_time() - before, "pixels": pixels, "peak_GiB": peak_GiB()}


def forward_here(run: Path, seconds: float = 10.0) -> dict[str, float]:
    """Seconds per pixel of the bare forward pass in this process, as the network is and with its batch norms inside the convolutions."""
    import torch  # noqa: PLC0415

    from cropcam.model.inference.predictor import Predictor  # noqa: PLC0415
    from cropcam.model.inference.windows import window_px  # noqa: PLC0415
    from cropcam.model.networks.cam import pixel_maps  # noqa: PLC0415
    from cropcam.model.runs.checkpoint import load_network  # noqa: PLC0415
    from cropcam.model.segmentation.fitting import method_of  # noqa: PLC0415

    network, config = load_network(run, torch.device("cpu"))
    predictor = Predictor(config, network.state_dict(), method_of(run, network, config), "cpu")
    side = window_px(predictor.network_halo_px)
    x_BCHW = torch.randn(1, len(config.store.bands), side, side).contiguous(memory_format=torch.channels_last)
    plain: Any = network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    found = {}
    for name, each in (("bare", plain), ("fused", predictor.network)):
        with torch.inference_mode():
            pixel_maps(each, each.maps(x_BCHW), side, side)
            count, before, started = 0, time.process_time(), time.perf_counter()
            while time.perf_counter() - started < seconds:
                pixel_maps(each, each.maps(x_BCHW), side, side)
                count += 1
            found[name] = (time.perf_counter() - started) / (count * side * side)
            found[f"{name}_cpu"] = (time.process_time() - before) / (count * side * side)
    return found


def peak_GiB() -> float:
    """Peak memory of this process."""
    status = Path("/proc/self/status").read_text()  # getrusage would count the memory of the parent
    return round(next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 2**20, 3)


def apart(*words: str) -> dict[str, Any]:
    """What this module prints last, of a process of its own."""
    os.sync()
    text = subprocess.run([sys.executable, "-m", "benchmarks.maps", *words], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, Any] = json.loads(text.splitlines()[-1])
    return found


def compared(model: str, parts: int, pairs: int, place: Path, *, shards: bool) -> dict[str, Any]:
    """Maps and floors of one network, alternating."""
    run, out = run_of(model, place), place / f"{model}-{parts}.tif"
    maps, floors = [], []
    for _ in range(pairs):
        maps.append(apart("--map", str(run), str(out), "--parts", str(parts), "--keep", str(place), *["--shards"] * shards))
        floors.append(apart("--forward", str(run)))
        print(
            f"{model}, 1/{parts}: map {maps[-1]['seconds']:.1f} s, forward {floors[-1]['bare'] * maps[-1]['pixels']:.1f} s", file=sys.stderr
        )
    pairs_of = list(zip(maps, floors, strict=True))
    of_bare, of_fused = ([each["seconds"] / (floor[name] * each["pixels"]) for each, floor in pairs_of] for name in ("bare", "fused"))
    cpu_of_bare = [each["cpu_s"] / (floor["bare_cpu"] * each["pixels"]) for each, floor in pairs_of]
    return {
        "pixels": maps[0]["pixels"],
        "map_s": round(median(each["seconds"] for each in maps), 1),
        "of_bare_forward": round(median(of_bare), 3),
        "of_fused_forward": round(median(of_fused), 3),
        "cpu_of_bare_forward": round(median(cpu_of_bare), 3),
        "us_per_pixel": round(1e6 * median(each["seconds"] for each in maps) / maps[0]["pixels"], 3),
        "peak_GiB": max(each["peak_GiB"] for each in maps),
    }


def outlined(path: Path, place: Path) -> dict[str, Any]:
    """Outlines of a map in a process of its own."""
    found = apart("--outline", str(path), str(place / "outlines.parquet"))
    return {**found, "us_per_pixel": round(1e6 * found["seconds"] / found["pixels"], 3)}


def outline_here(path: Path, out: Path) -> dict[str, Any]:
    """Outlines in this process."""
    from cropcam.pipeline.maps.class_map import open_map  # noqa: PLC0415
    from cropcam.pipeline.maps.outlines import write_polygons  # noqa: PLC0415

    grid, started = open_map(path).grid, time.perf_counter()
    summary = write_polygons(path, out)
    seconds = time.perf_counter() - started
    count = sum(summary.polygons.values())
    return {"seconds": round(seconds, 1), "pixels": grid.width * grid.height, "polygons": count, "peak_GiB": peak_GiB()}


def killed(kills: int, place: Path) -> dict[str, Any]:
    """Maps of a small raster with everything beside them, killed at random moments until they are whole; how many ended with other bytes."""
    run, rng = run_of("fcn", place), random.Random(0)  # noqa: S311 - moments, not secrets
    whole = place / "whole" / "map.tif"
    words = ["--parts", str(SMALL), "--keep", str(place), "--beside", "--map", str(run)]
    whole.parent.mkdir(exist_ok=True)
    for _ in range(2):  # the first may compile loops
        started = time.perf_counter()
        finish(start("benchmarks.maps", *words, str(whole)))
        span = time.perf_counter() - started
    expected = {path.name: path.read_bytes() for path in whole.parent.iterdir()}
    done = differing = maps = 0
    while done < kills:
        with tempfile.TemporaryDirectory(dir=place) as folder:
            out = Path(folder, "map.tif")
            while True:
                process = start("benchmarks.maps", *words, str(out))
                try:
                    process.communicate(timeout=rng.uniform(0, span))
                    break  # it finished
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()
                    done += 1
            maps += 1
            print(f"{done} kills, {maps} maps, a map takes {span:.1f} s", file=sys.stderr)
            differing += {path.name: path.read_bytes() for path in Path(folder).iterdir()} != expected
    return {"kills": done, "maps": maps, "files": len(expected), "maps_with_other_bytes": differing}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["fcn", "unet", "baseline"])
    parser.add_argument("--parts", type=at_least_one, default=16)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--shards", action="store_true", help="map the GeoTIFF shards instead of the store")
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--polygons", action="store_true")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--map", nargs=2, type=Path, metavar=("RUN", "MAP"), help="map once, in this process")
    parser.add_argument("--beside", action="store_true", help="of --map: with every file beside it")
    parser.add_argument("--forward", type=Path, metavar="RUN", help="measure the floor in this process")
    parser.add_argument("--outline", nargs=2, type=Path, metavar=("MAP", "POLYGONS"), help="outline once, in this process")
    args = parser.parse_args()
    if args.map:
        print(json.dumps(map_here(args.map[0], args.parts, args.keep, args.map[1], shards=args.shards, beside=args.beside)))
        return
    if args.forward or args.outline:
        print(json.dumps(forward_here(args.forward) if args.forward else outline_here(*args.outline)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        place = args.keep or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        for parts in (args.parts, *([1] if args.whole else [])):
            _ = shards_of(parts, place) if args.shards else store_of(parts, place)
        measured = partial(compared, place=place, shards=args.shards)
        figures: dict[str, Any] = {model: measured(model, args.parts, args.pairs) for model in args.models if args.pairs}
        first, parts = args.models[0], args.parts
        if args.whole:
            figures["whole"] = measured(first, 1, 1)
            figures["time_per_pixel_whole_over_part"] = round(figures["whole"]["us_per_pixel"] / figures[first]["us_per_pixel"], 3)
            parts = 1
        if args.polygons:
            figures["polygons"] = outlined(place / f"{first}-{parts}.tif", place)
            figures["polygons_of_part"] = outlined(place / f"{first}-{args.parts}.tif", place)
        if args.kills:
            figures["kills"] = killed(args.kills, place)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
