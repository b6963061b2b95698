"""What feeding and the training loop cost beside what they cannot do without; ratios inside one run.

    python -m benchmarks.training [--only feed,stream,memory,loop,gpu] [--pairs 7] [--networks baseline,resnet50,unet,fcn]

feed    resident gather of random batches of 64, uint16, against numpy's from a memory map (floor 0.5)
stream  streamed feeding against reading the store from end to end, with our decoder and with tensorstore (floor 0.8)
memory  peak memory of streaming a store and one four times as large
loop    a training epoch against bare forward, backward and step on batches in place, per network (ceiling 1.05; baseline
        on 2 cores 1.10): the median over pairs
gpu     on CUDA: model FLOP utilisation of resnet50 against the bf16 matrix rate measured beside it, and seconds for 50 epochs
        over 197,469 patches; seconds for 16 epochs of the baseline

Patches are random fields with noise. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import at_least_one
from cropcam.model.data.dataset import Patches, batches, gather
from cropcam.model.data.normalization import Normalization
from cropcam.model.data.prefetch import batches_of, block_patches, rooms_for, stream, stream_order
from cropcam.model.data.sampler import plan_epoch
from cropcam.model.labels.weak_labels import WeakLabels
from cropcam.model.networks import NETWORKS, build
from cropcam.model.runs.config import RunConfig
from cropcam.model.runtime.device import deterministic
from cropcam.model.training.optimizers import make_optimiser
from cropcam.model.training.trainer import Trainer
from cropcam.pipeline.encoded import open_encoded
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.shardfile import write_shard
from cropcam.pipeline.store.schema import PATCHES_PER_SHARD, create, encoder, shard_path

ROOT = Path(__file__).parents[1]
BANDS, SIZE_PX, CLASSES = 7, 50, 5
STUDY_PATCHES = 197_469
LEGEND = Legend.from_attrs(
    [{"name": f"class {code}", "codes": [code] if code else [], "color": [code, code, code]} for code in range(CLASSES)]
)
CPU_PATCHES = {"baseline": (512, 32), "resnet50": (16, 8), "unet": (96, 32), "fcn": (256, 32)}  # patches and batch of one epoch


def fields(count: int, seed: int = 0) -> npt.NDArray[np.uint16]:
    """DN (N, C, H, W) of random fields of 10 px with noise, as compressible as a median composite."""
    random = np.random.default_rng(seed)
    coarse = random.normal(9000, 1500, (count, BANDS, 5, 5)).repeat(10, 2).repeat(10, 3)
    return (coarse + random.normal(0, 145, (count, BANDS, SIZE_PX, SIZE_PX))).clip(1, 65535).astype(np.uint16)


def write_store(folder: Path, shards: int) -> Path:
    """A store of that many zarr shards, two different ones in turn; only images, and none of the attributes."""
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


def ratios(ours: Callable[[], float], bare: Callable[[], float], pairs: int) -> tuple[float, float, float]:
    """Median of ours / bare over pairs after one for warming up, and the medians of both."""
    found = [(ours(), bare()) for _ in range(pairs + 1)][1:]
    return median(a / b for a, b in found), median(a for a, _ in found), median(b for _, b in found)


def feed(pairs: int) -> dict[str, float]:
    """Random batches of 64 from memory: rates in patches/s, and ours over numpy's."""
    dn = fields(4096)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dn"
        dn.tofile(path)
        mapped = np.memmap(path, np.uint16, "r", shape=dn.shape)
        order = np.random.default_rng(1).permutation(len(dn))
        bits = torch.from_numpy(dn).view(torch.int16)

        def numpy_gather() -> float:
            return seconds(lambda: [mapped[order[first : first + 64]] for first in range(0, len(dn), 64)])

        def our_gather() -> float:  # what cropcam.model.data.dataset does for each batch
            return seconds(lambda: [gather(bits, order[first : first + 64]) for first in range(0, len(dn), 64)])

        ratio, ours, bare = ratios(our_gather, numpy_gather, pairs)
    return {"feed_ratio": 1 / ratio, "feed_patches_s": len(dn) / ours, "numpy_patches_s": len(dn) / bare}


def streaming(store: Path, rooms: Any) -> Callable[[], float]:  # noqa: ANN401 - of the arrays' types
    """A pass over the whole store in shuffled batches of 256."""
    image = open_encoded(store, "image")
    assert image is not None  # noqa: S101
    index, block = np.arange(image.shape[0]), block_patches(image)
    order = stream_order(index, block, seed=0)
    groups = np.split(order.position_N, order.ends[:-1])
    sizes = [256] * (len(index) // 256)

    def run() -> float:
        return seconds(lambda: [None for _ in batches_of(stream([image], groups, block, None, rooms), sizes)])

    return run


def streamed(pairs: int, folder: Path) -> dict[str, float]:
    """Streamed feeding over reading from end to end, one zarr shard at a time."""
    store = write_store(folder / "stream.zarr", 16)
    image = open_encoded(store, "image")
    assert image is not None  # noqa: S101
    count = image.shape[0]
    rooms = rooms_for([image], 8 * PATCHES_PER_SHARD)
    in_order = [np.arange(first, first + PATCHES_PER_SHARD) for first in range(0, count, PATCHES_PER_SHARD)]

    def end_to_end() -> float:
        return seconds(lambda: [None for _ in stream([image], in_order, 256, None, rooms)])

    ratio, ours, bare = ratios(streaming(store, rooms), end_to_end, pairs)
    found = {"stream_ratio": 1 / ratio, "stream_patches_s": count / ours, "read_patches_s": count / bare}
    try:
        import tensorstore  # noqa: PLC0415 - a development dependency
    except ImportError:
        return found
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(store / "image")}}
    opened = tensorstore.open(spec).result()

    def with_tensorstore() -> float:
        return seconds(lambda: [opened[first : first + PATCHES_PER_SHARD].read().result() for first in range(0, count, PATCHES_PER_SHARD)])

    ratio, _, bare = ratios(streaming(store, rooms), with_tensorstore, pairs)
    return {**found, "stream_tensorstore_ratio": 1 / ratio, "tensorstore_patches_s": count / bare}


def memory(folder: Path) -> dict[str, float]:
    """Peak memory (GiB) of a process that streams 24 zarr shards, and 96."""
    found = {}
    for shards in (24, 96):
        store = write_store(folder / f"memory-{shards}.zarr", shards)
        words = [sys.executable, "-m", "benchmarks.training", "--stream-once", str(store)]
        said = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        found[f"stream_{shards}_shards_GiB"] = float(said)
    found["stream_memory_ratio"] = found["stream_96_shards_GiB"] / found["stream_24_shards_GiB"]
    return found


def config(model: str, batch_size: int, precision: str = "fp32", **more: Any) -> RunConfig:  # noqa: ANN401
    """A run on random patches."""
    names = tuple(f"band {band}" for band in range(BANDS))
    return RunConfig(
        study="benchmark", store="", store_digest="", model=model, labels="presence", presence_min_share=0.05, bands=names, classes=LEGEND,
        size_px=SIZE_PX, mean=(0.05,) * BANDS, std=(0.04,) * BANDS, epochs=10**6, batch_size=batch_size, lr=1e-3, weight_decay=1e-4, seed=0,
        code_version="", precision=precision, **more,
    )  # fmt: skip


def patches(count: int, device: torch.device) -> Patches:
    """Random patches with random labels, on the device."""
    dn = np.resize(fields(min(count, 2048)), (count, BANDS, SIZE_PX, SIZE_PX))
    label = (np.random.default_rng(0).random((count, CLASSES)) < 0.5).astype(np.float32)
    resident = torch.from_numpy(dn).view(torch.int16).to(device).view(torch.uint16)
    return Patches(resident, WeakLabels("presence", label), None, np.ones(count, np.bool_))


def loop(name: str, pairs: int, folder: Path) -> dict[str, float]:
    """An epoch of the trainer over the same steps bare, in the same mode."""
    count, size = CPU_PATCHES[name]
    device = torch.device("cpu")
    told, split = config(name, size), patches(count, device)
    (folder / name).mkdir()
    trainer = Trainer(told, folder / name, split, patches(size, device), device)
    torch.manual_seed(0)
    network = build(name, BANDS, CLASSES)
    optimiser = make_optimiser("adamw", network, 1e-3, 1e-4)
    normalization = Normalization.of(told, device)
    ready = [(x.clone(), targets.image_BK) for x, targets in batches(split, size, normalization, plan_epoch(count, 0, 0))]

    def ours() -> float:
        trainer.run_epoch(lambda _done, _total, _note: None)
        return count / trainer.newest.patches_per_second

    def bare() -> float:
        network.train()

        def steps() -> None:
            for x, label in ready:
                loss = torch.nn.functional.binary_cross_entropy_with_logits(network(x).logits_BK, label)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()

        return seconds(steps)

    with deterministic(device, wanted=True):
        ratio, epoch_s, bare_s = ratios(ours, bare, pairs)
    return {f"loop_{name}": ratio, f"{name}_patches_s": count / epoch_s, f"{name}_bare_patches_s": count / bare_s}


def gpu(folder: Path) -> dict[str, float | str]:
    """On CUDA: the matrix rate, FLOP utilisation of resnet50, and what the study's epochs take."""
    device = torch.device("cuda")
    found: dict[str, float | str] = {"gpu": torch.cuda.get_device_name(device)}
    a, b = (torch.randn(8192, 8192, device=device, dtype=torch.bfloat16) for _ in range(2))

    def products() -> float:
        torch.cuda.synchronize()
        return seconds(lambda: ([a @ b for _ in range(20)], torch.cuda.synchronize()))

    peak = 20 * 2 * 8192**3 / min(products() for _ in range(4))
    found["matrix_TFLOP_s"] = peak / 1e12
    for name, batch, epochs, count in (("resnet50", 256, 50, 65_536), ("baseline", 32, 16, STUDY_PATCHES)):
        with FlopCounterMode(display=False) as counter:
            build(name, BANDS, CLASSES)(torch.zeros(1, BANDS, SIZE_PX, SIZE_PX))
        options: dict[str, Any] = {"channels_last": True, "compile": True} if name == "resnet50" else {"cuda_graphs": True}
        run = folder / f"gpu-{name}"
        run.mkdir()
        with deterministic(device, wanted=False):
            trainer = Trainer(config(name, batch, "bf16", **options), run, patches(count, device), patches(batch, device), device)
            rates = []
            for _ in range(3):
                trainer.run_epoch(lambda _done, _total, _note: None)
                rates.append(trainer.newest.patches_per_second)
        found[f"{name}_patches_s"] = max(rates[1:])
        found[f"{name}_mfu"] = 3 * counter.get_total_flops() * max(rates[1:]) / peak
        found[f"{name}_{epochs}_epochs_s"] = epochs * STUDY_PATCHES / max(rates[1:])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="feed,stream,memory,loop,gpu")
    parser.add_argument("--pairs", type=at_least_one, default=7)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--stream-once", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.stream_once:
        streaming(args.stream_once, None)()
        peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
        print(int(peak.split()[1]) / 2**20)  # getrusage would count the parent's memory too
        return
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts: dict[str, list[Callable[[], dict[str, Any]]]] = {
            "feed": [lambda: feed(args.pairs)],
            "stream": [lambda: streamed(args.pairs, folder)],
            "memory": [lambda: memory(folder)],
            "loop": [lambda network=network: loop(network, args.pairs, folder) for network in args.networks.split(",")],
            "gpu": [lambda: gpu(folder)] if torch.cuda.is_available() else [lambda: {"gpu": "none here"}],
        }
        asked = args.only.split(",")
        if unknown := set(asked) - set(parts):
            parser.error(f"--only {', '.join(sorted(unknown))}: known are {', '.join(parts)}")
        for part in asked:
            for measure in parts[part]:
                found |= (said := measure())
                print({key: round(value, 3) if isinstance(value, float) else value for key, value in said.items()}, flush=True)
    cores = {"cores": len(os.sched_getaffinity(0)), "threads": torch.get_num_threads(), "torch": torch.__version__}
    print(json.dumps({key: round(value, 4) if isinstance(value, float) else value for key, value in found.items()} | cores))


if __name__ == "__main__":
    main()
