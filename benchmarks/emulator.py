"""The composite through the embedded engine against the numpy twin, on one simulated archive, in one run.

    python -m benchmarks.emulator [--study demo] [--archive DIR] [--pairs 3]

`export_ratio`: wall time of exporting image and labels (real client, HTTP, two batch tasks) over that of
`oracles.composite.compose`, median over pairs measured in turn. `direct_ratio`: the same for the pixels fetched straight,
512 px a request, `--readers` at once. `delivery_share`: throughput of `export --to DIR`, files written and verified, as many
requests at once, as a share of the throughput of the bare requests. `server_peak_GiB` and `twin_peak_GiB` are peak memory. Every
pixel is compared. `ready_MB_s` is the rate of the server for pixels that cost nothing.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import rasterio

from benchmarks import at_least_one
from cropcam.pipeline.earthengine.delivery import deliver
from cropcam.pipeline.earthengine.graphs import expression, graph
from cropcam.pipeline.earthengine.session import open_session
from cropcam.pipeline.emulator import serve
from cropcam.pipeline.grid import PixelGrid, Window, tiles
from cropcam.pipeline.landscape import simulate
from cropcam.pipeline.study.study import Study, load_study

ROOT = Path(__file__).parents[1]
PROJECT = "benchmark"
SERVE = "import sys; from pathlib import Path; from cropcam.pipeline.emulator import serve_forever as s; s(Path(sys.argv[1]), out=Path(sys.argv[2]), log=lambda u: print(u, flush=True))"
TWIN = "import sys; from pathlib import Path; import benchmarks; from oracles.composite import compose; from cropcam.pipeline.study.study import load_study; import time; t = time.perf_counter(); compose(load_study(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])); print(time.perf_counter() - t); print(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1])"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", default="demo")
    parser.add_argument("--archive", type=Path, help="an archive of the study; simulated by default")
    parser.add_argument("--pairs", type=at_least_one, default=3)
    parser.add_argument("--readers", type=at_least_one, default=4)
    args = parser.parse_args()
    study = load_study(args.study)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive = args.archive or folder / "archive"
        if not args.archive:
            simulate(study, archive)
        with served(archive, folder / "exports") as (process, url):
            figures = measure(study, args, archive, folder, process, url)
    print(json.dumps({**figures, "cores": len(os.sched_getaffinity(0))}))


def measure(
    study: Study, args: argparse.Namespace, archive: Path, folder: Path, process: subprocess.Popen[str], url: str
) -> dict[str, Any]:
    """Every figure."""
    session = open_session(PROJECT, url)
    expressions = {layer: expression(graph(study, layer)) for layer in ("image", "labels")}
    grid = study.grid
    exports, directs, deliveries, twins, twin_peaks = [], [], [], [], []
    for pair in range(args.pairs):
        seconds, peak = twin(args.study, archive, folder / f"twin{pair}")
        twins.append(seconds)
        twin_peaks.append(peak)
        exports.append(timed(partial(export, url, expressions, grid, f"pair{pair}")))
        direct: dict[str, npt.NDArray[Any]] = {}
        directs.append(timed(partial(fetch, url, expressions, grid, args.readers, direct)))
        deliveries.append(timed(partial(deliver, study, session, folder / f"delivered{pair}", workers=args.readers)))
    after = peak_gib(process.pid)
    differing = 0
    for layer in expressions:
        with (
            rasterio.open(folder / f"twin0/{layer}.tif") as expected,
            rasterio.open(folder / f"exports/gs/bench/pair0/{layer}.tif") as exported,
            rasterio.open(folder / f"delivered0/{layer}.tif") as delivered,
        ):
            values = expected.read()
            differing += int((values != exported.read()).sum() + (values != direct[layer]).sum() + (values != delivered.read()).sum())
    return {
        "export_ratio": round(median(export_s / twin_s for export_s, twin_s in zip(exports, twins, strict=True)), 2),
        "direct_ratio": round(median(direct_s / twin_s for direct_s, twin_s in zip(directs, twins, strict=True)), 2),
        "delivery_share": round(median(direct_s / delivery_s for delivery_s, direct_s in zip(deliveries, directs, strict=True)), 2),
        "export_s": round(median(exports), 2),
        "direct_s": round(median(directs), 2),
        "twin_s": round(median(twins), 2),
        "server_peak_GiB": round(after, 3),
        "twin_peak_GiB": round(max(twin_peaks), 3),
        "differing_pixels": differing,
        "pixels": grid.width * grid.height,
        "ready_MB_s": round(ready_rate()),
    }


@contextmanager
def served(archive: Path, out: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The server in its own process."""
    words = [sys.executable, "-c", SERVE, str(archive), str(out)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - stdout is a pipe
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.terminate()


def twin(study: str, archive: Path, out: Path) -> tuple[float, float]:
    """Seconds and peak GiB of the numpy twin in a process of its own; imports are not counted."""
    words = [sys.executable, "-c", TWIN, study, str(archive), str(out)]
    seconds, kib = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    return float(seconds), int(kib) / 2**20


def export(url: str, expressions: dict[str, Any], grid: PixelGrid, prefix: str) -> None:
    """Both layers by batch tasks, until they are done."""
    names = []
    for layer, encoded in expressions.items():
        place = {"bucket": "bench", "filenamePrefix": f"{prefix}/{layer}"}
        options = {"fileFormat": "GEO_TIFF", "cloudStorageDestination": place, "geoTiffOptions": {"noData": 0}}
        body = {"expression": encoded, "description": layer, "fileExportOptions": options, "grid": described(grid), "maxPixels": 10**9}
        names.append(json.loads(post(url, f"/v1/projects/{PROJECT}/image:export", body))["name"])
    for name in names:
        while not (operation := json.loads(post(url, f"/v1/{name}:wait", {"timeout": "60s"})))["done"]:
            continue
        if "error" in operation:
            raise SystemExit(operation["error"]["message"])


def fetch(url: str, expressions: dict[str, Any], grid: PixelGrid, readers: int, into: dict[str, npt.NDArray[Any]]) -> None:
    """Both layers as pixels, window by window."""
    windows = list(tiles(grid.shape_yx, (512, 512)))

    def one(layer: str, window: Window) -> tuple[str, Window, npt.NDArray[Any]]:
        body = {"expression": expressions[layer], "fileFormat": "NPY", "grid": described(grid.window(window))}
        record = np.load(io.BytesIO(post(url, f"/v1/projects/{PROJECT}/image:computePixels", body)))
        return layer, window, np.stack([record[name] for name in record.dtype.names])

    with ThreadPoolExecutor(readers) as pool:
        for future in [pool.submit(one, layer, window) for layer in expressions for window in windows]:
            layer, window, values = future.result()
            whole = into.setdefault(layer, np.zeros((len(values), *grid.shape_yx), values.dtype))
            whole[(slice(None), *window.slices)] = values


def described(grid: PixelGrid) -> dict[str, Any]:
    """A grid as the REST reference's PixelGrid."""
    a, b, c, d, e, f = grid.transform
    affine = {"scaleX": a, "shearX": b, "translateX": c, "shearY": d, "scaleY": e, "translateY": f}
    return {"dimensions": {"width": grid.width, "height": grid.height}, "affineTransform": affine, "crsCode": grid.crs}


_LOCAL = threading.local()


def post(url: str, path: str, body: dict[str, Any]) -> bytes:
    """One request over this thread's kept connection."""
    kept: http.client.HTTPConnection | None = getattr(_LOCAL, "kept", None)
    if kept is None:
        kept = _LOCAL.kept = http.client.HTTPConnection(urlsplit(url).netloc, timeout=600)
    kept.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    response = kept.getresponse()
    data = response.read()
    if response.status != 200:
        raise SystemExit(data.decode())
    return data


def timed(work: Callable[[], object]) -> float:
    """Wall time of a call, seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def peak_gib(pid: int) -> float:
    """Peak resident memory of a process, GiB."""
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 2**20


def ready_rate() -> float:
    """MB/s of large responses of a constant image."""
    side, repeats = 2048, 12
    grid = PixelGrid("EPSG:4326", (0.001, 0.0, 0.0, 0.0, -0.001, 0.0), side, side)
    node = {"functionName": "Image.constant", "arguments": {"value": {"constantValue": 7}}}
    body = {"expression": {"result": "0", "values": {"0": {"functionInvocationValue": node}}}, "fileFormat": "NPY", "grid": described(grid)}
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "x").mkdir()
        (Path(name) / "x/asset.json").write_text('{"bands": [], "properties": {}}', "utf-8")
        with serve(Path(name)) as server:
            _LOCAL.kept = None
            post(server.url, f"/v1/projects/{PROJECT}/image:computePixels", body)
            started, size = time.perf_counter(), 0
            for _ in range(repeats):
                size += len(post(server.url, f"/v1/projects/{PROJECT}/image:computePixels", body))
            elapsed = time.perf_counter() - started
            _LOCAL.kept.close()
    return size / elapsed / 1e6


if __name__ == "__main__":
    main()
