"""What each kind of label is worth: networks trained on weak labels beside the same project's fully supervised U-Net.

    python -m benchmarks.weak_labels --out DIR [--data DIR] [--steps 700] [--seeds 3] [--jobs 2] [--only TEXT ...]

Real scenes, split by columns: `dakota-2015` (train 0 to 4351, validation 4352 to 5119, test 5120 to 7679), `illinois-2023`
(left half, its last patch column for validation, against the right half). Every run goes the whole way of the
product (`train`, `evaluate`, with `--baselines` for the first U-Net of a place); the budget is counted in steps of 32 patches. What is done already is kept in DIR and not
done again, whatever code did it: after a change of code take another DIR. Runs go side by side, each with its part of the cores: small networks use one core better than two.
The last line is one JSON object: figures of every row, mean over seeds, and as a share of the U-Net's; `train_s` of the epochs of a run, without
reading, fitting and scoring, and without what a call that was killed had done of an epoch; `minutes` of this call, with everything.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import shutil
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from pathlib import Path
from statistics import mean
from threading import Thread
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import zarr

from benchmarks import at_least_one
from benchmarks.told import told
from cropcam.model.evaluation import metrics
from cropcam.model.evaluation.bootstrap import Bootstrap, block_of, with_intervals
from cropcam.model.evaluation.evaluate import evaluate
from cropcam.model.runs import history
from cropcam.model.runs.checkpoint import HISTORY, load_network, write_json
from cropcam.model.segmentation.fitting import fitted_segmenter
from cropcam.model.segmentation.predictions import predict_patches
from cropcam.model.training.presets import preset, recipe
from cropcam.model.training.train import train
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.patches import from_rasters
from cropcam.pipeline.store.schema import SPLITS, open_store, to_reflectance
from cropcam.pipeline.study.study import load_study, parse_study

DATA = Path(os.environ.get("CROPCAM_DATA", Path(__file__).parents[2] / "shared" / "data"))
BATCH = 32
CROPLAND = ["1-60", "66-77", "196-255"]  # the paper's rule; 0 and 81 are no label there either


@dataclass(frozen=True)
class Place:
    """A scene, its classes and where its splits lie.

    Attributes:
        folder: under the data folder.
        starts_px: first pixel column of validation and of test.
        classes: as in a study file; empty = the study's own.
        steps_share: part of the budget; a small scene needs fewer steps.
    """

    name: str
    folder: str
    starts_px: tuple[int, int]
    classes: dict[str, list[Any]] = field(default_factory=dict)
    steps_share: float = 1.0


DAKOTA = Place("dakota", "dakota-2015", (4352, 5120))
ILLINOIS = Place("illinois", "illinois-2023", (450, 512), steps_share=0.5)
CROP = Place("dakota-cropland", "dakota-2015", (4352, 5120), {"crop": CROPLAND}, steps_share=0.5)
PLACES = (DAKOTA, ILLINOIS, CROP)


@dataclass(frozen=True)
class Row:
    """One way to learn."""

    name: str
    place: Place
    settings: dict[str, Any]
    prior: bool = False  # the classes' shares of the training pixels are told
    once: bool = False  # one seed is enough: nothing is wanted of it


ROWS = (
    Row("full U-Net", DAKOTA, {"labels": "pixels", "model": "unet"}),
    Row("shares", DAKOTA, {"labels": "shares"}),
    Row("shares of 8 patches", DAKOTA, {"labels": "shares", "bag_size": 8}),
    Row("one point", DAKOTA, {"labels": "points"}),
    Row("presence 5 %", DAKOTA, {"labels": "presence", "presence_min_share": 0.05}),
    Row("presence 25 %", DAKOTA, {"labels": "presence", "presence_min_share": 0.25}),
    Row("presence any", DAKOTA, {"labels": "presence", "presence_min_share": 0.0}),
    Row("presence any, prior known", DAKOTA, {"labels": "presence", "presence_min_share": 0.0}, prior=True),
    Row("majority", DAKOTA, {"labels": "majority"}, once=True),
    Row("full FCN", DAKOTA, {"labels": "pixels"}, once=True),
    Row("poster, any", DAKOTA, preset("poster", {"presence_min_share": 0.0}), once=True),
    Row("poster, 5 %", DAKOTA, preset("poster", {"presence_min_share": 0.05}), once=True),
    Row("full U-Net", ILLINOIS, {"labels": "pixels", "model": "unet"}),
    Row("shares", ILLINOIS, {"labels": "shares"}),
    Row("full U-Net", CROP, {"labels": "pixels", "model": "unet"}),
    Row("one point", CROP, {"labels": "points"}),
    Row("majority", CROP, {"labels": "majority"}),
    Row("paper", CROP, preset("paper", {}), once=True),
)
NOT_CARRIED = ("full FCN", "poster, any", "poster, 5 %")  # to Illinois: there for comparison on Dakota


def cut(place: Place, data: Path, out: Path) -> Path:
    """The place's store, with its patches split by columns; whole patches of one split only."""
    store = out / f"{place.name}.zarr"
    if store.exists():
        return store
    values = load_study("corn-belt-2016").to_dict()
    values["study"]["name"] = place.name
    if place.classes:
        values["classes"] = place.classes
    files = sorted(path for path in (data / place.folder).iterdir() if path.suffix.lower() == ".tif")
    labels = [path for path in files if "cdl" in path.name.lower()]
    raw = out / f".{place.name}.zarr"
    shutil.rmtree(raw, ignore_errors=True)
    from_rasters(parse_study(values), [path for path in files if path not in labels], labels, raw)
    _split_by_columns(raw, place)
    raw.rename(store)
    return store


def _split_by_columns(store: Path, place: Place) -> None:
    dataset, info = open_store(store)
    first_N = dataset["col"].to_numpy() * info.patch_size_px
    last_N, (validation, test) = first_N + info.patch_size_px, place.starts_px
    split_N = np.where(first_N >= test, SPLITS.index("test"), np.where(first_N >= validation, SPLITS.index("validation"), 0)).astype(
        np.uint8
    )
    straddling = ((first_N < validation) & (last_N > validation)) | ((first_N < test) & (last_N > test))
    split_N[straddling] = SPLITS.index("validation")  # a patch on the border is no training patch and not tested; test begins behind it
    reflectance = to_reflectance(dataset["image"][np.flatnonzero(split_N == 0)].to_numpy())
    group = zarr.open_group(store, mode="r+")
    group["split"][:] = split_N  # type: ignore[index]
    moments = {
        "mean": np.nanmean(reflectance, axis=(0, 2, 3), dtype=np.float64),
        "std": np.nanstd(reflectance, axis=(0, 2, 3), dtype=np.float64),
    }
    known = {key: value for key, value in info.statistics.items() if key not in ("histogram", "patches")}
    group.attrs["statistics"] = {**known, **{key: value.tolist() for key, value in moments.items()}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
        zarr.consolidate_metadata(group.store)


def settings_of(row: Row, seed: int, steps: int, store: Path) -> dict[str, Any]:
    """How a row is trained with one seed."""
    dataset, _ = open_store(store)
    split_N = dataset["split"].to_numpy()
    epochs = max(1, round(steps * row.place.steps_share / _batches(split_N)))
    settings = row.settings | {"epochs": epochs, "seed": seed, "batch_size": BATCH}
    if row.prior:
        settings["class_prior"] = tuple(map(float, _prior(dataset["share"].to_numpy()[split_N == 0])))
    return settings


def run_folder(out: Path, row: Row, settings: dict[str, Any]) -> Path:
    """Where a run of a row lies; another budget, recipe, or row of that name lies elsewhere, so that no mean mixes them."""
    digest = hashlib.sha256(json.dumps(recipe(settings), sort_keys=True).encode()).hexdigest()[:6]
    name = f"{row.place.name} {row.name} seed {settings['seed']} {digest}"
    return out / "runs" / name.replace(" ", "-").replace(",", "").replace("%", "pct")


def measure(row: Row, settings: dict[str, Any], store: Path, out: Path) -> dict[str, Any]:
    """Train and evaluate one row with one seed, or read what was measured before."""
    name, run = f"{row.place.name}, {row.name}, seed {settings['seed']}", run_folder(out, row, settings)
    kept = run / "measured.json"
    if kept.exists():
        found: dict[str, Any] = json.loads(kept.read_text())
        return found
    dataset, info = open_store(store)
    train(store, run, resume=True, **settings)
    seconds = sum(row.seconds for row in history.read(run / HISTORY, settings["epochs"]))
    result = evaluate(run, baselines=row.name == "full U-Net" and row.place != CROP and settings["seed"] == 0).to_dict()
    part = result["segmentation"]
    measured = {
        "steps": settings["epochs"] * _batches(dataset["split"].to_numpy()),
        "train_s": round(seconds, 1),
        "method": part["default"],
        "labels_accuracy": result["classification"]["accuracy"],
        "labels_majority": result["classification"]["majority_accuracy"],
        "methods": {key: told(value) for key, value in part["methods"].items()},
        "baselines": {key: told(value) for key, value in part.get("baselines", {}).items()},
        "majority": told(part["majority"]),
        **told(part["methods"][part["default"]], {"crop"} & set(info.classes.names)),
    }
    write_json(kept, measured)
    print(f"{name}: pixel accuracy {measured['pixel_accuracy']:.4f}, macro F1 {measured['macro_f1']:.4f}, {seconds:.0f} s", flush=True)
    return measured


def transferred(run: Path, store: Path) -> npt.NDArray[np.int64]:
    """Confusion matrices (B, K, K) of spatial blocks, truth by answer, of a run's default segmentation on every patch of another place."""
    network, config = load_network(run, torch.device("cpu"))
    dataset, info = open_store(store)
    segmenter = fitted_segmenter(run, network, config, open_store(run / config.store.path)[0], torch.device("cpu"))
    block_N = block_of(dataset["row"].to_numpy(), dataset["col"].to_numpy(), info.block_patches)
    blocks, classes = int(block_N.max()) + 1, len(config.store.classes)
    confusion_BKK = np.zeros((blocks, classes, classes), np.int64)
    for batch in predict_patches(network, config, dataset, np.arange(len(block_N)), torch.device("cpu"), segmenter):
        counts_BHW = batch.truth_BHW != UNLABELLED
        block = np.broadcast_to(block_N[batch.patches_B, None, None], counts_BHW.shape)[counts_BHW]
        confusion_BKK += metrics.confusions(block, batch.truth_BHW[counts_BHW], batch.segmented_BHW[counts_BHW], blocks, classes)
    return confusion_BKK


def carried_figures(confusion_BKK: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Pixel accuracy and macro F1 of one row on another place, with their intervals."""
    return told(with_intervals(metrics.summary(Bootstrap.of(len(confusion_BKK)).sums(confusion_BKK))))


def _batches(split_N: npt.NDArray[np.uint8]) -> int:
    return math.ceil((split_N == 0).sum() / BATCH)


def _prior(share_NK: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    return share_NK.mean(axis=0, dtype=np.float64) / share_NK.mean(axis=0, dtype=np.float64).sum()


def summary(measured: dict[str, dict[str, list[dict[str, Any]]]]) -> dict[str, Any]:
    """Mean over seeds of every row, and each as a share of the same place's fully supervised U-Net."""
    found: dict[str, Any] = {}
    for place, rows in measured.items():
        means = {
            name: {key: round(mean(one[key] for one in seeds), 4) for key in ("pixel_accuracy", "macro_f1", "crop_f1") if key in seeds[0]}
            | {"seeds": len(seeds), "steps": seeds[0]["steps"], "train_s": round(mean(one["train_s"] for one in seeds))}
            for name, seeds in rows.items()
        }
        full = means.get("full U-Net")
        for values in means.values():
            if full:
                values |= {
                    f"{key}_of_full": round(values[key] / full[key], 3)
                    for key in ("pixel_accuracy", "macro_f1", "crop_f1")
                    if key in values
                }
        first = next(iter(rows.values()))[0]
        found[place] = means | {"always the majority": first["majority"], "baselines": first["baselines"]}
    return found


def _begin(threads: int) -> None:
    """In a process that trains: its part of the cores, and an end where the one that waits for it is killed."""
    torch.set_num_threads(threads)

    def end_with_parent() -> None:
        parent = parent_process()
        if parent:
            parent.join()
            os._exit(1)  # a run goes on from its last checkpoint

    Thread(target=end_with_parent, daemon=True).start()


def main() -> None:
    """Measure what is not measured yet, print all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument(
        "--steps",
        type=at_least_one,
        default=700,
        help="of a U-Net and of every row beside it (default %(default)s: about an hour on 2 cores)",
    )
    parser.add_argument("--seeds", type=at_least_one, default=3)
    parser.add_argument("--jobs", type=at_least_one, default=2, help="runs side by side")
    parser.add_argument("--only", nargs="*", default=[], help="rows whose 'PLACE, NAME' holds one of these")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    stores = {place.name: cut(place, args.data, args.out) for place in PLACES}
    wanted = [
        (row, seed)
        for seed in range(args.seeds)
        for row in ROWS
        if not (seed and row.once) and (not args.only or any(text in f"{row.place.name}, {row.name}" for text in args.only))
    ]
    longest_first = sorted(wanted, key=lambda each: (each[0].settings.get("model") != "unet", -each[0].place.steps_share))

    def settings(row: Row, seed: int) -> dict[str, Any]:
        return settings_of(row, seed, args.steps, stores[row.place.name])

    threads = max(1, (os.cpu_count() or 1) // args.jobs)
    with ProcessPoolExecutor(args.jobs, get_context("spawn"), _begin, (threads,)) as pool:
        running = [pool.submit(measure, row, settings(row, seed), stores[row.place.name], args.out) for row, seed in longest_first]
        done = {(row.place.name, row.name, seed): each.result() for (row, seed), each in zip(longest_first, running, strict=True)}
    measured: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row, seed in wanted:
        measured.setdefault(row.place.name, {}).setdefault(row.name, []).append(done[row.place.name, row.name, seed])
    found = summary(measured)
    carried = [row for row in ROWS if row.place == DAKOTA and row.name not in NOT_CARRIED]
    runs = {row.name: run_folder(args.out, row, settings(row, 0)) for row in carried}
    there = {name: transferred(run, stores["illinois"]) for name, run in runs.items() if (run / "measured.json").exists()}
    if there:
        truth_BKK = next(iter(there.values()))
        there["always the majority"] = metrics.constant_confusion(truth_BKK, metrics.majority(truth_BKK.sum(axis=0)))
    found["dakota to illinois"] = {name: carried_figures(confusion_BKK) for name, confusion_BKK in there.items()}
    found["minutes"] = round((time.perf_counter() - started) / 60, 1)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
