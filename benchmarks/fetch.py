"""Throughput of `fetch` from the embedded engine, against a plain parallel copy over HTTP of the same files.

    python -m benchmarks.fetch [--place drive|gs] [--files N] [--megabytes N] [--pairs N] [--workers N]

The engine runs in a process of its own and holds one export of `--files` files of about `--megabytes` MB each. The plain copy asks the same addresses
with urllib, one thread per worker, whole files, and verifies nothing. `fetch` lists, reads headers, fetches in pieces, verifies
every digest and the cover of the grid. Both run alternately; "ratio" is the median over pairs of the plain copy's seconds over those of `fetch`.
"""
# ruff: noqa: PLC0415 - the engine's process imports little

from __future__ import annotations

import argparse
import json
import math
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from benchmarks import at_least_one
from cropcam.pipeline.earthengine.destinations import CloudStorage, Destination, Drive
from cropcam.pipeline.fetch.remote import Remote
from cropcam.pipeline.grid import Window, tiles
from cropcam.pipeline.study.study import Study, load_study, parse_study

ROOT = Path(__file__).parents[1]
BANDS = 7
FOLDER = {"drive": "drive/bench", "gs": "gs/bench-bucket/a"}
SOURCE: dict[str, Destination] = {"drive": Drive("bench"), "gs": CloudStorage("bench-bucket", "a")}


def bench_study(files: int, megabytes: float) -> Study:
    """A study whose image is `files` cells of about so many MB, without labels."""
    side = math.isqrt(round(megabytes * 1e6 / (2 * BANDS))) // 16 * 16
    degrees = 30.0 / 111_319.490793
    values = load_study("demo").to_dict()
    values.pop("labels")
    values.pop("classes", None)
    values["area"] |= {"bounds": [-90.0, 41.0, -90.0 + files * side * degrees, 41.0 + side * degrees]}
    values["image"] |= {"seasons": [["2016-06-01", "2016-08-01"]]}
    return parse_study(values)


def write_export(folder: Path, study: Study, files: int) -> None:
    """The export's files: uncompressed noise, which costs the disk and the network what it seems to."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    grid = study.grid
    width = math.ceil(grid.width / files)
    for number, cell in enumerate(tiles(grid.shape_yx, (grid.height, width))):
        piece = grid.window(Window(*cell))
        profile = {
            "driver": "GTiff",
            "dtype": "uint16",
            "count": len(study.image.layers),
            "width": piece.width,
            "height": piece.height,
            "crs": piece.crs,
        }
        with rasterio.open(
            folder / f"{study.name}-image-r00c{number:02}.tif", "w", **profile, transform=rasterio.Affine(*piece.transform)
        ) as file:
            file.write(rng.integers(0, 2**16, (profile["count"], *piece.shape_yx), np.uint16))


def plain_copy(urls: Sequence[str], out: Path, workers: int) -> None:
    """Whole files over HTTP, in threads; nothing is verified."""
    out.mkdir()

    def copy(number: int) -> None:
        with urllib.request.urlopen(urls[number]) as answer, (out / f"{number}.tif").open("wb") as file:  # noqa: S310 - loopback
            shutil.copyfileobj(answer, file, 2**20)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(copy, range(len(urls))))


def fetch(study: Study, remote: Remote, out: Path, workers: int) -> None:
    """The whole of `cropcam fetch` but for the start of the process."""
    from cropcam.pipeline.fetch.download import How
    from cropcam.pipeline.fetch.home import bring_home

    bring_home(study, remote, out, how=How(workers))


def measure(place: str, files: int, megabytes: float, pairs: int, workers: int) -> dict[str, Any]:
    """Seconds of both ways, their throughput and its ratio."""
    from cropcam.pipeline.fetch.places import open_remote

    study = bench_study(files, megabytes)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "archive" / "none").mkdir(parents=True)
        (folder / "archive" / "none" / "asset.json").write_text('{"bands": [], "properties": {}}')
        write_export(folder / "engine" / FOLDER[place], study, files)
        words = ["cli.py", "emulate", "--archive", str(folder / "archive"), "--out", str(folder / "engine")]
        with subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True) as engine:
            try:
                remote = open_remote(SOURCE[place], api_url=engine.stdout.readline().strip() if engine.stdout else "")
                found = remote.files()  # the engine makes its checksums once
                size = sum(file.size for file in found)
                seconds: dict[str, list[float]] = {"plain": [], "fetch": []}
                for pair in range(pairs + 1):
                    for name in ("plain", "fetch") if pair % 2 else ("fetch", "plain"):
                        out = folder / f"{name}-{pair}"
                        begun = time.perf_counter()
                        if name == "plain":
                            plain_copy([file.url for file in found], out, workers)
                        else:
                            fetch(study, remote, out, workers)
                        seconds[name].append(time.perf_counter() - begun)
                        shutil.rmtree(out)
                remote.session.close()  # type: ignore[no-untyped-call]
            finally:
                engine.terminate()
    kept = {name: values[1:] for name, values in seconds.items()}  # the first pair warms up
    return {
        "place": place, "files": files, "bytes": size, "workers": workers, "pairs": pairs,
        "plain_mb_s": round(size / 1e6 / statistics.median(kept["plain"]), 1),
        "fetch_mb_s": round(size / 1e6 / statistics.median(kept["fetch"]), 1),
        "ratio": round(statistics.median(plain / own for plain, own in zip(kept["plain"], kept["fetch"], strict=True)), 3),
    }  # fmt: skip


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--place", choices=tuple(SOURCE), default="drive")
    parser.add_argument("--files", type=at_least_one, default=12)
    parser.add_argument("--megabytes", type=at_least_one, default=100)
    parser.add_argument("--pairs", type=at_least_one, default=5)
    parser.add_argument("--workers", type=at_least_one, default=8)
    args = parser.parse_args()
    print(json.dumps(measure(args.place, args.files, args.megabytes, args.pairs, args.workers)))


if __name__ == "__main__":
    main()
