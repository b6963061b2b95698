"""The pictures of docs/why-089-and-018.md: labels of "any pixel", the map from each kind of label, maps without a common scale.

    python -m benchmarks.pictures --out DIR [--pictures docs/pictures] [--epochs 16] [--seed 0]

Simulated data: the region of the demo study, exported from the embedded engine. `train` learns from it: the poster's network from
presence at any pixel, above 5 % and above 25 %, and `fcn` from shares. No account and no raster is needed. About seven minutes
on 2 shared cores; finished runs are kept in DIR. The last line is one JSON object with the figures of the page.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks import at_least_one, drawing
from benchmarks.drawing import Maps, Question, Tile, right, share
from benchmarks.region import store_of
from cropcam.model.evaluation.evaluate import evaluate
from cropcam.model.options import Settings
from cropcam.model.report.composites import composites
from cropcam.model.report.gallery import choose, class_picture
from cropcam.model.report.runs import read_evaluation
from cropcam.model.runs.checkpoint import load_network
from cropcam.model.segmentation.fitting import fitted_segmenter
from cropcam.model.segmentation.methods import CAM_ARGMAX
from cropcam.model.segmentation.predictions import PatchPredictions, predict_patches
from cropcam.model.training.presets import preset
from cropcam.model.training.train import train
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.landscape import simulate
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from cropcam.pipeline.study.study import load_study

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
ANY, FIVE, QUARTER, SHARES = "any", "above-5-pct", "above-25-pct", "shares"
QUESTIONS = {ANY: "present at any pixel", FIVE: "present on more than 5 %", QUARTER: "present on more than 25 %"}
RUNS: dict[str, dict[str, Any]] = {
    ANY: preset("poster", {"presence_min_share": 0.0}),
    FIVE: preset("poster", {"presence_min_share": 0.05}),
    QUARTER: preset("poster", {"presence_min_share": 0.25}),
    SHARES: {"labels": "shares"},
}


@dataclass(frozen=True)
class Run:
    """A trained run: its folder, and its figures on the test split."""

    folder: Path
    metrics: dict[str, Any]

    @property
    def accuracy(self) -> float:
        """Pixel accuracy of the run's own segmentation."""
        part = self.metrics["segmentation"]
        return float(part["methods"][part["default"]]["pixel_accuracy"])

    def scored(self, store: PatchStore, patches_N: np.ndarray[Any, np.dtype[np.int64]]) -> list[PatchPredictions]:
        """Each of the patches alone."""
        cpu = torch.device("cpu")
        network, config = load_network(self.folder, cpu)
        segmenter = fitted_segmenter(self.folder, network, config, store, cpu)
        return [next(predict_patches(network, config, store, np.array([patch]), cpu, segmenter)) for patch in patches_N]


def cut(out: Path, seed: int) -> Path:
    """The demo's store, as the demo makes it."""
    study = load_study("demo")
    simulate(study, out / "archive", seed=seed)  # existing scenes are kept
    return store_of(study, out / "archive", out, seed)


def learned(store: Path, folder: Path, settings: dict[str, Any]) -> Run:
    """A trained and evaluated run; finished work is kept."""
    train(store, folder, Settings(**settings), resume=True)
    try:
        return Run(folder, read_evaluation(folder)[0])
    except DataError:
        return Run(folder, evaluate(folder).to_dict())


def questions(runs: Mapping[str, Run]) -> list[Question]:
    """For each meaning of "present": the share of test patches with each class, and the accuracy of guess and network."""
    drawn = []
    for name, title in QUESTIONS.items():
        part = runs[name].metrics["classification"]
        present = [values["base_rate"] for values in part["per_class"].values()]
        drawn.append(Question(title, present, part["majority_accuracy"], part["accuracy"]))
    return drawn


def compared(runs: Mapping[str, Run], store: PatchStore) -> tuple[list[tuple[str, list[Tile]]], int]:
    """The best, the median and the worst test patch of the run on shares, in every column; and which the median is."""
    table = pd.read_csv(runs[SHARES].folder / "patches.csv")
    chosen = {name: int(table["patch"][rows[0]]) for name, rows in choose(table, 1).items()}
    patches_N = np.array(list(chosen.values()))
    tested, seen = (store.encoding.physical(store.images(index_N)) for index_N in (store.split_indices("test"), patches_N))
    natural, legend = composites(store.bands, tested)[0], store.info.classes
    answers = {name: runs[name].scored(store, patches_N) for name in (ANY, FIVE, SHARES)}
    rows = []
    for place, name in enumerate(chosen):
        truth_YX = answers[ANY][place].truth_BHW[0]
        tiles = [Tile(natural.picture(seen[place])), Tile(class_picture(truth_YX, legend))]
        for scored in answers.values():
            answer_YX = scored[place].segmented_BHW[0]
            tiles.append(Tile(class_picture(answer_YX, legend), right(answer_YX, truth_YX)))
        rows.append((name, tiles))
    return rows, chosen["median"]


def maps_of(run: Run, store: PatchStore, patch: int) -> Maps:
    """The run's activation maps of one patch, and the two ways to compare them: as they are, and by their mean and deviation over 64 training patches."""
    (one,) = run.scored(store, np.array([patch]))
    sample = [batch.cams_BKHW[0].reshape(len(one.cams_BKHW[0]), -1) for batch in run.scored(store, store.split_indices("train")[:64])]
    cams_KP = np.concatenate(sample, axis=1)
    mean_K11, std_K11 = (values[:, None, None] for values in (cams_KP.mean(axis=1), cams_KP.std(axis=1)))
    standardised_YX = ((one.cams_BKHW[0] - mean_K11) / std_K11).argmax(axis=0).astype(np.uint8)
    return Maps(one.cams_BKHW[0], one.segmentation_BHW[CAM_ARGMAX][0], standardised_YX, one.truth_BHW[0])


def draw(runs: Mapping[str, Run], store: PatchStore, folder: Path) -> None:
    """The three pictures, as PNG files in a folder."""
    legend, tested = store.info.classes, runs[ANY].metrics
    size = store.info.patch_size_px
    subtitle = f"Simulated data, {tested['patches']} test patches of {size} x {size} px. Above: how many hold a class. Below: how many labels are right."
    drawing.write(drawing.questions(questions(runs), legend, subtitle), folder / "any-pixel.png")

    rows, median = compared(runs, store)
    shown = {ANY: "poster, any pixel", FIVE: "poster, above 5 %", SHARES: "fcn, from shares"}
    columns = ["image", "truth", *(f"{text}\nall pixels: {share(runs[name].accuracy)} right" for name, text in shown.items())]
    constant = share(tested["segmentation"]["majority_accuracy"])
    subtitle = f"Simulated data: best, median and worst of {tested['patches']} test patches for fcn. One colour everywhere: {constant} of all pixels right."
    drawing.write(drawing.patches(rows, columns, legend, subtitle), folder / "patches.png")

    subtitle = "Simulated data: activation maps of the median patch; poster's network, any-pixel labels; each in colours of its own."
    drawing.write(drawing.scales(maps_of(runs[ANY], store, median), legend, subtitle), folder / "scales.png")


def figures(runs: Mapping[str, Run], legend: Legend) -> dict[str, Any]:
    """The figures of the page: accuracy of labels and of pixels, and the shares of the classes in the poster's argmax."""
    part = runs[ANY].metrics["segmentation"]
    confusion_KK = np.array(part["methods"][CAM_ARGMAX]["confusion"])
    predicted_K = (confusion_KK.sum(axis=0) / confusion_KK.sum()).round(4).tolist()
    return {
        "labels": {question.title: {"guess": question.guess, "network": question.network} for question in questions(runs)},
        "pixels": {name: run.accuracy for name, run in runs.items()},
        "pixels, one colour": part["majority_accuracy"],
        "predicted, any": dict(zip(legend.names, predicted_K, strict=True)),
    }


def main() -> None:
    """Train what is missing, draw the pictures, print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, default=PICTURES)
    parser.add_argument("--epochs", type=at_least_one, default=16)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    store = cut(args.out, args.seed)
    runs = {}
    for name, settings in RUNS.items():
        runs[name] = learned(store, args.out / name, settings | {"epochs": args.epochs, "seed": args.seed})
        print(f"{name}: {runs[name].accuracy:.3f} of the test pixels", flush=True)
    opened = open_store(store)
    draw(runs, opened, args.pictures)
    print(json.dumps(figures(runs, opened.info.classes)))


if __name__ == "__main__":
    main()
