"""The parts of `benchmarks.training` about data loading, and its random patches.

python -m benchmarks.feeding STORE      streams a store once and prints the peak memory of the process and its workers, GiB
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
import torch

from cropcam.model.data.loading import ResidentImages, StreamedImages
from cropcam.model.data.sampler import window_order
from cropcam.pipeline.encoded import Encoded, open_encoded
from cropcam.pipeline.shardfile import write_shard
from cropcam.pipeline.store.schema import PATCHES_PER_SHARD, create, encoder, shard_path

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
BANDS, SIZE_PX, CLASSES, STREAM_BATCH = 7, 50, 5, 256


def fields(count: int, seed: int = 0) -> npt.NDArray[np.uint16]:
    """DN (N, C, H, W) of random fields of 10 px with noise, as compressible as a median composite."""
    random = np.random.default_rng(seed)
    coarse = random.normal(9000, 1500, (count, BANDS, 5, 5)).repeat(10, 2).repeat(10, 3)
    return (coarse + random.normal(0, 145, (count, BANDS, SIZE_PX, SIZE_PX))).clip(1, 65535).astype(np.uint16)


def write_store(folder: Path, shards: int) -> Path:
    """A store of that many zarr shards, two different ones in turn; only images, without attributes."""
    create(folder, shards * PATCHES_PER_SHARD, BANDS, CLASSES, SIZE_PX)
    encode = encoder("image")
    for number in range(min(2, shards)):
        chunks = [encode(patch) for patch in fields(PATCHES_PER_SHARD, number)]
        sizes = np.array([len(chunk) for chunk in chunks])
        write_shard(shard_path(folder, "image", number), chunks, sizes, PATCHES_PER_SHARD)
    for number in range(2, shards):
        path = shard_path(folder, "image", number)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(shard_path(folder, "image", number % 2), path)
    return folder


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
            return seconds(lambda: [mapped[index_B] for index_B in plan])

        def feeding() -> float:
            return seconds(lambda: [None for _ in resident.batches(plan, CPU)])

        ratio, fed_s, bare_s = ratios(feeding, numpy_gather, pairs)
    return {"feed_ratio": 1 / ratio, "feed_patches_s": len(dn) / fed_s, "numpy_patches_s": len(dn) / bare_s}


def encoded(store: Path) -> Encoded:
    """The images of a store that `write_store` made."""
    image = open_encoded(store, "image")
    assert image is not None  # noqa: S101
    return image


def streaming(store: Path) -> Callable[[], float]:
    """A pass over the whole store in shuffled batches; the workers live as long as the function."""
    image = encoded(store)
    images = StreamedImages(image, np.arange(image.shape[0]))
    order = window_order(images.block_N, seed=0, epoch=0)
    plan = [order[first : first + STREAM_BATCH] for first in range(0, len(order), STREAM_BATCH)]
    return lambda: seconds(lambda: [None for _ in images.batches(plan, CPU)])


def streamed(pairs: int, folder: Path) -> dict[str, float]:
    """Streamed batches against reading from end to end, one zarr shard per task."""
    store = write_store(folder / "stream.zarr", 16)
    image, stream = encoded(store), streaming(store)
    count, places = image.shape[0], np.arange(PATCHES_PER_SHARD)
    first_patches = range(0, count, PATCHES_PER_SHARD)
    threads = len(os.sched_getaffinity(0))

    def read(first: int) -> None:
        image.decode(first + places, np.empty((PATCHES_PER_SHARD, *image.shape[1:]), image.dtype), places)

    def end_to_end() -> float:
        with ThreadPoolExecutor(threads) as pool:
            return seconds(lambda: list(pool.map(read, first_patches)))

    ratio, streamed_s, bare_s = ratios(stream, end_to_end, pairs)
    figures = {"stream_ratio": 1 / ratio, "stream_patches_s": count / streamed_s, "read_patches_s": count / bare_s}
    try:
        import tensorstore  # noqa: PLC0415 - a development dependency
    except ImportError:
        return figures
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(store / "image")}}
    opened = tensorstore.open(spec).result()

    def with_tensorstore() -> float:
        return seconds(lambda: [opened[first : first + PATCHES_PER_SHARD].read().result() for first in first_patches])

    ratio, _, bare_s = ratios(stream, with_tensorstore, pairs)
    return {**figures, "stream_tensorstore_ratio": 1 / ratio, "tensorstore_patches_s": count / bare_s}


def memory(folder: Path) -> dict[str, float]:
    """Peak memory (GiB) of a process and its workers that stream 24 zarr shards, and 96; shared pages count in each process."""
    figures = {}
    for shards in (24, 96):
        store = write_store(folder / f"memory-{shards}.zarr", shards)
        words = [sys.executable, "-m", "benchmarks.feeding", str(store)]
        output = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        figures[f"stream_{shards}_shards_GiB"] = float(output)
    figures["stream_memory_ratio"] = figures["stream_96_shards_GiB"] / figures["stream_24_shards_GiB"]
    return figures


def stream_once(store: Path) -> float:
    """Stream a store in this process; the peak memory (GiB) of it and its workers."""
    run = streaming(store)
    run()  # the workers live on until `run` is gone
    return sum(peak_gib(pid) for pid in (os.getpid(), *(child.pid for child in multiprocessing.active_children())))


def peak_gib(pid: int | None) -> float:
    """Largest resident memory of a process; getrusage would count the parent's memory too."""
    peak = next(line for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) / 2**20


if __name__ == "__main__":
    print(stream_once(Path(sys.argv[1])))
