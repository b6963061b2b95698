"""The measurement of the rule in docs/design.md: does a mechanism pay for a kind of label, at home and away?

    python -m benchmarks.rule --out DIR [--data DIR] [--seeds 3] [--jobs 2] [--only TEXT ...]
    python -m benchmarks.rule --summary FILE ...

Home is the scene `dakota-2015` with the default split, scored on its test split. Away is every patch of `illinois-2023`, scored by
the same run. Each kind of label is trained for 16 epochs without any mechanism ("plain") and with each one. Differences are paired
by seed; the spectral refinement is compared with the argmax of the same run. A mechanism pays where the mean difference of pixel
accuracy at home is above its standard deviation and the mean difference away is not below -.005.

A finished run keeps DIR/runs/*/measured.json and is not repeated. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from benchmarks import at_least_one
from benchmarks.places import DATA, build
from cropcam.model.evaluation.evaluate import evaluate
from cropcam.model.options import Settings
from cropcam.model.runs.checkpoint import write_json
from cropcam.model.segmentation.methods import LOGIT_ARGMAX, REMAINDER, SPECTRAL
from cropcam.model.training.train import train

SCENES = {"home": "dakota-2015", "away": "illinois-2023"}
EPOCHS, MIN_SEEDS, MAX_LOSS_AWAY = 16, 3, 0.005
FIGURES = ("pixel_accuracy", "macro_f1")
PLAIN = {"pseudo_label_weight": 0.0, "class_weights": "none", "label_smoothing": 0.0}
KINDS: dict[str, dict[str, Any]] = {
    "shares": {"labels": "shares"},
    "bags": {"labels": "shares", "bag_size": 8},
    "presence5": {"labels": "presence", "presence_min_share": 0.05},
    "any": {"labels": "presence", "presence_min_share": 0.0},
    "majority": {"labels": "majority"},
    "points": {"labels": "points"},
    "unet": {"labels": "pixels", "model": "unet"},
}
BALANCED, PSEUDO_1, PSEUDO_3 = {"class_weights": "balanced"}, {"pseudo_label_weight": 1.0}, {"pseudo_label_weight": 3.0}
Row = tuple[str, str]  # kind of label, variant
ROWS: dict[Row, dict[str, Any]] = {
    **{(kind, "plain"): {} for kind in KINDS},
    **{(kind, "pseudo"): PSEUDO_1 for kind in ("shares", "presence5")},
    **{(kind, "pseudo"): PSEUDO_3 for kind in ("bags", "majority", "points")},
    **{(kind, "balanced"): BALANCED for kind in ("presence5", "any", "majority", "points", "unet")},
    ("points", "smooth"): {"label_smoothing": 0.1},
}


def run_folder(out: Path, row: Row, seed: int, epochs: int) -> Path:
    """The folder of a run; shorter runs, which only try the way, have other folders."""
    return out / "runs" / (f"{row[0]}-{row[1]}-{seed}" + ("" if epochs == EPOCHS else f"-{epochs}-epochs"))


def measure(row: Row, seed: int, out: Path, epochs: int) -> None:
    """Train and score one row with one seed; writes measured.json."""
    started, run = time.perf_counter(), run_folder(out, row, seed, epochs)
    settings = Settings(**{**PLAIN, **KINDS[row[0]], **ROWS[row], "seed": seed, "epochs": epochs})
    train(out / "home.zarr", run, settings, device="cpu", resume=True)
    default, at_home = scored(run)
    measured = {"kind": row[0], "variant": row[1], "seed": seed, "default": default} | {
        "home": at_home,
        "away": scored(run, on=out / "away.zarr")[1],
        "s": round(time.perf_counter() - started),
    }
    write_json(run / "measured.json", measured)
    home, away = (measured[place][default]["pixel_accuracy"] for place in SCENES)
    print(f"{' '.join(row)}, seed {seed}: home {home:.4f}, away {away:.4f}, {measured['s']} s", flush=True)


def scored(run: Path, **where: Any) -> tuple[str, dict[str, dict[str, float]]]:  # noqa: ANN401 - as of `evaluate`
    """The run's default method, and pixel accuracy and macro F1 of each method."""
    part = evaluate(run, device="cpu", **where).to_dict()["segmentation"]
    return part["default"], {name: {key: values[key] for key in FIGURES} for name, values in part["methods"].items()}


def figures(run: dict[str, Any], method: str) -> dict[str, float]:
    """The figures of a method, as PLACE_FIGURE."""
    return {f"{place}_{key}": run[place][method][key] for place in SCENES for key in FIGURES}


def differences(measured: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The figures with a mechanism minus those without, for each kind of label, mechanism and seed."""
    runs = {(run["kind"], run["variant"], run["seed"]): run for run in measured}
    for (kind, variant, seed), run in runs.items():
        pairs = {}
        if variant != "plain" and (other := runs.get((kind, "plain", seed))):
            pairs[f"{variant} over plain"] = figures(other, other["default"]), figures(run, run["default"])
        if SPECTRAL in run["home"]:
            argmax = REMAINDER if REMAINDER in run["home"] else LOGIT_ARGMAX
            pairs[f"spectral over argmax, {variant}"] = figures(run, argmax), figures(run, SPECTRAL)
        for mechanism, (without, of) in pairs.items():
            yield {"kind": kind, "mechanism": mechanism, **{key: value - without[key] for key, value in of.items()}}


def summary(measured: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Of each row its mean; of each mechanism the paired differences and whether it pays, None with fewer than three seeds."""
    measured = sorted(measured, key=lambda run: [*ROWS].index((run["kind"], run["variant"])))
    rows = [{"kind": run["kind"], "variant": run["variant"], **figures(run, run["default"])} for run in measured]
    mechanisms = spread(list(differences(measured)), "mechanism")
    for line in mechanisms:
        home, away = line["home_pixel_accuracy"], line["away_pixel_accuracy"]
        line["pays"] = None if line["seeds"] < MIN_SEEDS else home["mean"] > home["sd"] and away["mean"] >= -MAX_LOSS_AWAY
    return {"rows": spread(rows, "variant"), "mechanisms": mechanisms}


def spread(seeds: Sequence[Mapping[str, Any]], name: str) -> list[dict[str, Any]]:
    """Mean and standard deviation (None of one seed) of each figure, by kind of label and `name`."""
    keys = [f"{place}_{key}" for place in SCENES for key in FIGURES]
    return [
        {"kind": kind, name: label, "seeds": len(of)}
        | {key: {"mean": round(float(of[key].mean()), 5), "sd": round(float(of[key].std()), 5) if len(of) > 1 else None} for key in keys}
        for (kind, label), of in pd.DataFrame(seeds).groupby(["kind", name], sort=False)
    ]


def show(lines: Sequence[Mapping[str, Any]], sign: str = "") -> None:
    """A table in Markdown: mean (standard deviation)."""

    def cell(value: Any) -> str:  # noqa: ANN401 - of any column
        if not isinstance(value, dict):
            return str(value)
        return f"{value['mean']:{sign}.4f}" + ("" if value["sd"] is None else f" ({value['sd']:.4f})")

    for line in [lines[0].keys(), ["---"] * len(lines[0]), *(line.values() for line in lines)]:
        print(f"| {' | '.join(map(cell, line))} |")
    print()


def main() -> None:
    """Train what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--out", type=Path, help="folder of stores and runs")
    source.add_argument("--summary", nargs="+", type=Path, metavar="FILE", help="finished measured.json files")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seeds", type=at_least_one, default=3)
    parser.add_argument("--jobs", type=at_least_one, default=2, help="runs in parallel")
    parser.add_argument("--only", nargs="+", default=[""], help="rows whose 'KIND VARIANT' contains one of these texts")
    parser.add_argument("--epochs", type=at_least_one, default=EPOCHS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not (files := args.summary):
        rows = [row for row in ROWS if any(text in " ".join(row) for text in args.only)]
        if not rows:
            parser.error(f"--only: no row has one of these texts; rows: {', '.join(map(' '.join, ROWS))}")
        wanted = {run_folder(args.out, row, seed, args.epochs) / "measured.json": (row, seed) for seed in range(args.seeds) for row in rows}
        if missing := [job for file, job in wanted.items() if not file.exists()]:
            args.out.mkdir(parents=True, exist_ok=True)
            for place, scene in SCENES.items():
                build(args.data / scene, args.out / f"{place}.zarr")
            threads = (max(1, (os.cpu_count() or 1) // args.jobs),)
            with ProcessPoolExecutor(args.jobs, get_context("spawn"), torch.set_num_threads, threads, max_tasks_per_child=1) as pool:
                for future in [pool.submit(measure, row, seed, args.out, args.epochs) for row, seed in missing]:
                    future.result()
        files = list(wanted)
    result = summary([json.loads(file.read_text("utf-8")) for file in files])
    show(result["rows"])
    show(result["mechanisms"], sign="+")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
