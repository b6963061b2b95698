"""Cost of feeding and of the training loop, as ratios within one run.

    python -m benchmarks.training [--only feed,stream,memory,stores,loop,gpu] [--pairs 7] [--networks baseline,resnet50,unet,fcn]

feed    random batches of 64 from memory, uint16, against numpy's from a memory map (at least 0.5)
stream  shuffled batches of 256 against tensorstore reading the store from end to end, block by block (at least 0.8)
memory  peak memory of streaming a store and one four times as large
stores  reading and one epoch of the fcn over two stores joined, against one store of their joint size (at most 1.05)
loop    a training epoch against bare forward, backward and step on prepared batches, per network (at most 1.05; baseline
        on 2 cores 1.10): the median over pairs
gpu     on CUDA: model FLOP utilisation of resnet50 against the bf16 matrix rate measured in the same run, and seconds for 50
        epochs over 197,469 patches; seconds for 16 epochs of the baseline

Patches are random fields with noise. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import at_least_one
from benchmarks.feeding import BANDS, CLASSES, CPU, SIZE_PX, feed, fields, memory, ratios, seconds, streamed, write_store
from cropcam.model.data.dataset import Patches, batches, read_split
from cropcam.model.data.loading import ResidentImages
from cropcam.model.data.normalization import Normalization
from cropcam.model.data.sampler import plan_epoch
from cropcam.model.labels.weak_labels import WeakLabels
from cropcam.model.networks import build
from cropcam.model.options import SECTIONS, Settings
from cropcam.model.runs.config import RunConfig, StoreRecord
from cropcam.model.runtime.device import deterministic
from cropcam.model.training.optimizers import make_optimizer
from cropcam.model.training.trainer import Trainer
from cropcam.pipeline.encoding import NODATA_DN, OFFSET, SCALE, BandEncoding
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.runtime.progress import silent
from cropcam.pipeline.store.joined import JoinedStore
from cropcam.pipeline.store.patch_store import PatchStore, open_store

STUDY_PATCHES = 197_469
LEGEND = Legend.from_attrs(
    [{"name": f"class {code}", "codes": [code] if code else [], "color": [code, code, code]} for code in range(CLASSES)]
)
CPU_PATCHES = {"baseline": (512, 32), "resnet50": (16, 8), "unet": (96, 32), "fcn": (256, 32)}  # patches and batch of one epoch


def config(model: str, batch_size: int, precision: str = "fp32", **more: Any) -> RunConfig:  # noqa: ANN401
    """A run on random patches."""
    labels: dict[str, Any] = {"labels": "presence", "presence_min_share": 0.05, "loss": "bce"}
    settings = Settings(**labels, model=model, epochs=10**6, batch_size=batch_size, precision=precision, **more)
    names = tuple(f"band {band}" for band in range(BANDS))
    moments: dict[str, Any] = {"mean": (0.05,) * BANDS, "std": (0.04,) * BANDS}
    encoding = BandEncoding.uniform("uint16", BANDS, SCALE, OFFSET, NODATA_DN)
    store = StoreRecord(study="benchmark", path="", digest="", bands=names, encoding=encoding, classes=LEGEND, size_px=SIZE_PX, **moments)
    return RunConfig(**{name: settings.section(kind) for name, kind in SECTIONS.items()}, store=store, code_version="")


def patches(count: int, device: torch.device) -> Patches:
    """Random patches with random labels, on the device."""
    dn = np.resize(fields(min(count, 2048)), (count, BANDS, SIZE_PX, SIZE_PX))
    label = (np.random.default_rng(0).random((count, CLASSES)) < 0.5).astype(np.float32)
    resident = torch.from_numpy(dn).view(torch.int16).to(device).view(torch.uint16)
    return Patches(ResidentImages(resident), WeakLabels("presence", label), np.ones(count, np.bool_))


def loop(name: str, pairs: int, folder: Path) -> dict[str, float]:
    """An epoch of the trainer against the same steps bare, in the same mode."""
    count, size = CPU_PATCHES[name]
    run_config, split = config(name, size), patches(count, CPU)
    (folder / name).mkdir()
    trainer = Trainer(run_config, folder / name, split, patches(size, CPU), CPU)
    torch.manual_seed(0)
    network = build(name, BANDS, CLASSES)
    optimizer = make_optimizer(run_config.optimizer, network)
    normalization = Normalization.of(run_config, CPU)
    plan = plan_epoch(count, seed=0, epoch=0)
    prepared = [(x.clone(), targets.image_BK) for x, targets in batches(split, size, normalization, plan)]

    def epoch() -> float:
        trainer.run_epoch(silent)
        return count / trainer.newest.patches_per_second

    def bare() -> float:
        network.train()

        def steps() -> None:
            for x, label in prepared:
                loss = torch.nn.functional.binary_cross_entropy_with_logits(network(x).logits_BK, label)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

        return seconds(steps)

    with deterministic(CPU, wanted=True):
        ratio, epoch_s, bare_s = ratios(epoch, bare, pairs)
    return {f"loop_{name}": ratio, f"{name}_patches_s": count / epoch_s, f"{name}_bare_patches_s": count / bare_s}


def stores(pairs: int, folder: Path) -> dict[str, float]:
    """Two stores of 1,024 patches against one of 2,048: reading them and one epoch."""
    moments = {"pixels": 1, "mean": [0.05] * BANDS, "std": [0.04] * BANDS}

    def opened(name: str, blocks: int) -> PatchStore:
        store = open_store(write_store(folder / f"{name}.zarr", blocks))
        return PatchStore(store.path, replace(store.info, statistics=moments))

    def epoch_over(store: PatchStore, run: Path) -> Callable[[], float]:
        label = (np.random.default_rng(0).random((len(store), CLASSES)) < 0.5).astype(np.float32)
        run_config, labels = config("fcn", 32), WeakLabels("presence", label)
        run.mkdir()

        def work() -> None:
            split = read_split(store, np.arange(len(store)), run_config.label_spec, LEGEND, labels=labels)
            Trainer(run_config, run, split, patches(32, CPU), CPU).run_epoch(silent)

        return lambda: seconds(work)

    joined, single = JoinedStore([opened("first", 1), opened("second", 1)]), opened("whole", 2)
    with deterministic(CPU, wanted=True):
        ratio, joined_s, single_s = ratios(epoch_over(joined, folder / "joined"), epoch_over(single, folder / "single"), pairs)
    return {"two_stores_over_one": ratio, "two_stores_s": joined_s, "one_store_s": single_s}


def gpu(folder: Path) -> dict[str, float | str]:
    """On CUDA: the matrix rate, FLOP utilisation of resnet50, and seconds of the study's epochs."""
    device = torch.device("cuda")
    figures: dict[str, float | str] = {"gpu": torch.cuda.get_device_name(device)}
    a, b = (torch.randn(8192, 8192, device=device, dtype=torch.bfloat16) for _ in range(2))

    def products() -> float:
        torch.cuda.synchronize()
        return seconds(lambda: ([a @ b for _ in range(20)], torch.cuda.synchronize()))

    peak = 20 * 2 * 8192**3 / min(products() for _ in range(4))
    figures["matrix_TFLOP_s"] = peak / 1e12
    for name, batch, epochs, count in (("resnet50", 256, 50, 65_536), ("baseline", 32, 16, STUDY_PATCHES)):
        with FlopCounterMode(display=False) as counter:
            build(name, BANDS, CLASSES)(torch.zeros(1, BANDS, SIZE_PX, SIZE_PX))
        options: dict[str, Any] = {"compile": True, "channels_last": name == "resnet50"}
        run = folder / f"gpu-{name}"
        run.mkdir()
        with deterministic(device, wanted=False):
            trainer = Trainer(config(name, batch, "bf16", **options), run, patches(count, device), patches(batch, device), device)
            rates = []
            for _ in range(3):
                trainer.run_epoch(silent)
                rates.append(trainer.newest.patches_per_second)
        figures[f"{name}_patches_s"] = max(rates[1:])
        figures[f"{name}_mfu"] = 3 * counter.get_total_flops() * max(rates[1:]) / peak
        figures[f"{name}_{epochs}_epochs_s"] = epochs * STUDY_PATCHES / max(rates[1:])
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="feed,stream,memory,stores,loop,gpu")
    parser.add_argument("--pairs", type=at_least_one, default=7)
    parser.add_argument("--networks", default=",".join(CPU_PATCHES))
    args = parser.parse_args()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts: dict[str, list[Callable[[], dict[str, Any]]]] = {
            "feed": [lambda: feed(args.pairs)],
            "stream": [lambda: streamed(args.pairs, folder)],
            "memory": [lambda: memory(folder)],
            "stores": [lambda: stores(args.pairs, folder)],
            "loop": [lambda network=network: loop(network, args.pairs, folder) for network in args.networks.split(",")],
            "gpu": [lambda: gpu(folder)] if torch.cuda.is_available() else [lambda: {"gpu": "none"}],
        }
        wanted = args.only.split(",")
        if unknown := set(wanted) - set(parts):
            parser.error(f"--only {', '.join(sorted(unknown))}: known are {', '.join(parts)}")
        for part in wanted:
            for measure in parts[part]:
                figures |= (part_figures := measure())
                print({key: round(value, 3) if isinstance(value, float) else value for key, value in part_figures.items()}, flush=True)
    cores = {"cores": len(os.sched_getaffinity(0)), "threads": torch.get_num_threads(), "torch": torch.__version__}
    print(json.dumps({key: round(value, 4) if isinstance(value, float) else value for key, value in figures.items()} | cores))


if __name__ == "__main__":
    main()
