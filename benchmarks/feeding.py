"""The parts of `benchmarks.training` about data loading, and its random patches.

    python -m benchmarks.feeding [STORE]

Without a store the three parts are measured, and the last line is one JSON object. A store is streamed once; the last line is the
peak memory of the process in GiB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
import torch

from cropcam.model.data.loading import ResidentImages, StreamedImages
from cropcam.model.data.sampler import window_order
from cropcam.pipeline import __version__
from cropcam.pipeline.encoding import NODATA_DN, OFFSET, SCALE, BandEncoding
from cropcam.pipeline.store import schema
from cropcam.pipeline.store.create import create_arrays, root_json
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.store.schema import BLOCK_PATCHES, KEPT, StoreInfo
from cropcam.pipeline.study.study import load_study

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
BANDS, SIZE_PX, CLASSES, STREAM_BATCH = 7, 50, 5, 256


def fields(count: int, seed: int = 0) -> npt.NDArray[np.uint16]:
    """DN (N, C, H, W) of random fields of 10 px with noise, as compressible as a median composite."""
    random = np.random.default_rng(seed)
    coarse = random.normal(9000, 1500, (count, BANDS, 5, 5)).repeat(10, 2).repeat(10, 3)
    return (coarse + random.normal(0, 145, (count, BANDS, SIZE_PX, SIZE_PX))).clip(1, 65535).astype(np.uint16)


def write_store(folder: Path, blocks: int) -> Path:
    """A store of images alone: a row of that many blocks, two different ones in turn."""
    study, side = load_study("demo"), BLOCK_PATCHES * SIZE_PX
    info = StoreInfo(
        study=study.to_dict(),
        bands=study.image.layers,
        encoding=BandEncoding.uniform("uint16", BANDS, SCALE, OFFSET, NODATA_DN),
        has_labels=False,
        classes=study.legend,
        crs="EPSG:5070",
        transform=(30.0, 0.0, 0.0, 0.0, -30.0, 2_000_000.0),
        width=blocks * side,
        height=side,
        patch_size_px=SIZE_PX,
        split_seed=0,
        code_version=__version__,
    )
    create_arrays(folder, info)
    image, square = schema.opened(folder, "image"), (BLOCK_PATCHES, BLOCK_PATCHES, BANDS, SIZE_PX, SIZE_PX)
    for number in range(blocks):
        if number < 2:
            block_CYX = fields(BLOCK_PATCHES**2, number).reshape(square).transpose(2, 0, 3, 1, 4).reshape(BANDS, side, side)
            image[:, *info.layout.window((0, number)).slices].write(block_CYX).result()
        else:
            os.link(*(folder / "image" / "c" / "0" / "0" / str(name) for name in (number % 2, number)))
    for name, value in (("valid", 1.0), ("reason", KEPT), ("split", 0)):
        schema.opened(folder, name, strict=False)[...].write(value).result()
    (folder / schema.ROOT).write_text(root_json(folder, info))
    return folder


def drop(values: Iterable[object]) -> None:
    """Take each value and keep none: memory that is used again is faster than memory that is new."""
    deque(values, maxlen=0)


def seconds(work: Callable[[], object]) -> float:
    """Wall time."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def ratios(measured: Callable[[], float], bare: Callable[[], float], pairs: int) -> tuple[float, float, float]:
    """Median of measured / bare over pairs after one warm-up pair, and the medians of both."""
    timings = [(measured(), bare()) for _ in range(pairs + 1)][1:]
    return median(a / b for a, b in timings), median(a for a, _ in timings), median(b for _, b in timings)


def feed(pairs: int) -> dict[str, float]:
    """Random batches of 64 from memory: rates in patches/s, and the ratio to numpy's."""
    dn = fields(4096)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dn"
        dn.tofile(path)
        mapped = np.memmap(path, np.uint16, "r", shape=dn.shape)
        order = np.random.default_rng(1).permutation(len(dn))
        plan, resident = [order[first : first + 64] for first in range(0, len(dn), 64)], ResidentImages(torch.from_numpy(dn))

        def numpy_gather() -> float:
            return seconds(lambda: drop(mapped[index_B] for index_B in plan))

        def feeding() -> float:
            return seconds(lambda: drop(resident.batches(plan, CPU)))

        ratio, fed_s, bare_s = ratios(feeding, numpy_gather, pairs)
    return {"feed_ratio": 1 / ratio, "feed_patches_s": len(dn) / fed_s, "numpy_patches_s": len(dn) / bare_s}


def streaming(store: Path) -> Callable[[], float]:
    """A pass over the whole store in shuffled batches."""
    opened = open_store(store)
    images = StreamedImages(opened, np.arange(len(opened)))
    order = window_order(images.block_N, seed=0, epoch=0)
    plan = [order[first : first + STREAM_BATCH] for first in range(0, len(order), STREAM_BATCH)]
    return lambda: seconds(lambda: drop(images.batches(plan, CPU)))


def streamed(pairs: int, folder: Path) -> dict[str, float]:
    """Streamed batches against tensorstore reading from end to end, a block at a time."""
    store = write_store(folder / "stream.zarr", 16)
    opened, image = open_store(store), schema.opened(store, "image")
    count, layout = len(opened), opened.info.layout

    def end_to_end() -> float:
        return seconds(lambda: drop(image[:, *layout.window(block).slices].read().result() for block in layout.blocks()))

    ratio, streamed_s, bare_s = ratios(streaming(store), end_to_end, pairs)
    return {"stream_ratio": 1 / ratio, "stream_patches_s": count / streamed_s, "read_patches_s": count / bare_s}


def memory(folder: Path) -> dict[str, float]:
    """Peak memory (GiB) of a process that streams 24 blocks, and 96."""
    figures = {}
    for blocks in (24, 96):
        store = write_store(folder / f"memory-{blocks}.zarr", blocks)
        words = [sys.executable, "-m", "benchmarks.feeding", str(store)]
        output = subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
        figures[f"stream_{blocks}_blocks_GiB"] = float(output)
    figures["stream_memory_ratio"] = figures["stream_96_blocks_GiB"] / figures["stream_24_blocks_GiB"]
    return figures


def peak_gib() -> float:
    """Largest resident memory of this process; getrusage would count the parent's memory too."""
    peak = next(line for line in Path("/proc/self/status").read_text("utf-8").splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) / 2**20


def main() -> None:
    """Stream the store that is named, or measure all parts."""
    if len(sys.argv) > 1:
        streaming(Path(sys.argv[1]))()
        print(peak_gib())
        return
    with tempfile.TemporaryDirectory() as name:
        figures = feed(7) | streamed(7, Path(name)) | memory(Path(name))
    print(json.dumps({key: round(value, 4) for key, value in figures.items()}))


if __name__ == "__main__":
    main()
