"""What a time axis is worth, on three seasonal medians of the demo's simulated region: attention over seasons against stacked bands.

    python -m benchmarks.seasons --out DIR [--seeds 3] [--epochs 16] [--models fcn fcn-time] [--options season_drop=0.25]

Each network learns the shares of each patch. Pixel accuracy on the test split (or `--split`) with every season, with each one missing, and with
the first ones alone; the pixels are always the same. A network that needs every season sees the training mean in place of a missing
one. `benchmarks.seasons:Stacked` is the control: the `fcn` on stacked bands, trained with seasons dropped. The data are
simulated: the order counts, not the digits. Finished runs are kept in DIR. The last line is one JSON object: means over seeds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from benchmarks import at_least_one
from benchmarks.bands import IMAGES, YEAR, study
from benchmarks.region import store_of
from cropcam.model.data.normalization import Normalization, standardise
from cropcam.model.networks.cam import pixel_maps
from cropcam.model.networks.fcn import FCN
from cropcam.model.options import Settings
from cropcam.model.runs.checkpoint import load_network
from cropcam.model.segmentation.fitting import fitted_segmenter
from cropcam.model.segmentation.methods import LOGIT_ARGMAX, SPECTRAL
from cropcam.model.segmentation.predictions import BATCH_PATCHES, open_trained_store
from cropcam.model.training.train import train
from cropcam.pipeline.landscape import simulate
from cropcam.pipeline.store.schema import SPLITS

NAME = "three seasons"
METHODS = (LOGIT_ARGMAX, SPECTRAL)
CPU = torch.device("cpu")


class Stacked(FCN):
    """The `fcn` on stacked bands, with a share of the training patches losing seasons, whose bands are 0 then."""

    takes_missing_seasons = True
    defaults = {"lr": 1e-2, "weight_decay": 1e-2, "schedule": "cosine", "warmup_epochs": 1.0, "channels_last": True}  # noqa: RUF012 - as of `fcn`

    def __init__(self, bands: int, classes: int, *, season_drop: float = 0.25) -> None:
        super().__init__(bands, classes)
        self.season_drop = season_drop


def views(seasons: int) -> Iterator[tuple[str, tuple[bool, ...]]]:
    """What is seen, in words, and whether each season is; seasons are in time order."""
    yield "all", (True,) * seasons
    for missing in range(seasons):
        yield f"without {missing + 1}", tuple(index != missing for index in range(seasons))
    for first in range(1, seasons - 1):
        yield f"first {first}", tuple(index < first for index in range(seasons))


@torch.inference_mode()
def scores(run: Path, split: str) -> dict[str, dict[str, float]]:
    """Pixel accuracy by method and view on a split of the run's store, whose patches have every season."""
    network, config = load_network(run, CPU)
    store = open_trained_store(run, config)
    methods = fitted_segmenter(run, network, config, store, CPU).methods
    normalization, patches_N = Normalization.of(config, CPU, store.encoding), store.split_indices(split)
    seasons = len(store.info.study["image"]["seasons"])
    correct = {method: dict.fromkeys((name for name, _ in views(seasons)), 0) for method in METHODS}
    pixels = 0
    for first in range(0, len(patches_N), BATCH_PATCHES):
        batch_B = patches_N[first : first + BATCH_PATCHES]
        values_BCHW = torch.from_numpy(store.images(batch_B))
        truth_BHW = torch.from_numpy(config.store.classes.index(store.labels(batch_B)))
        known_BHW = truth_BHW < len(config.store.classes)
        pixels += int(known_BHW.sum())
        for name, seen_S in views(seasons):
            if normalization.seasons > 1:
                x_BCHW, valid_BHW = standardise(values_BCHW, normalization, torch.tensor(seen_S).view(1, -1, 1, 1))
            else:
                x_BCHW, valid_BHW = standardise(values_BCHW, normalization)
                x_BCHW = x_BCHW * torch.tensor(seen_S).repeat_interleave(len(store.bands) // seasons)[:, None, None]
            cams_BKHW = pixel_maps(network, network.maps(x_BCHW), *x_BCHW.shape[2:])
            for method in METHODS:
                found_BHW = methods[method](cams_BKHW, x_BCHW, valid_BHW)
                correct[method][name] += int(((found_BHW == truth_BHW) & known_BHW).sum())
    return {method: {name: count / pixels for name, count in counts.items()} for method, counts in correct.items()}


def main() -> None:
    """Train what is missing and print all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=at_least_one, default=3)
    parser.add_argument("--epochs", type=at_least_one, default=16)
    parser.add_argument("--models", nargs="+", default=["fcn", "benchmarks.seasons:Stacked", "fcn-time"])
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--options", default="", help="model options of the networks that take missing seasons")
    args = parser.parse_args()
    out: Path = args.out
    wanted = study(NAME, IMAGES[NAME])
    if not (out / wanted.name / "patches.zarr").exists():
        simulate(study("year", {"seasons": YEAR}), out / "archive", seed=0)  # existing scenes are kept
    store = store_of(wanted, out / "archive", out / wanted.name)
    measured: dict[str, Any] = {}
    for model in args.models:
        options = "" if model == "fcn" else args.options
        results = []
        for seed in range(args.seeds):
            run = out / "runs" / "-".join(filter(None, (model.rpartition(":")[2], options, str(args.epochs), str(seed))))
            settings = {"labels": "shares", "pseudo_label_weight": 0.0, "epochs": args.epochs, "seed": seed}
            train(store, run, Settings(model=model, model_options=options, **settings), resume=True)
            results.append(scores(run, args.split))
            print(model, options, seed, json.dumps(results[-1]), flush=True)
        measured[f"{model} {options}".strip()] = {
            method: {
                name: [round(mean(found), 4), round(stdev(found), 4) if len(found) > 1 else None]
                for name in results[0][method]
                for found in [[result[method][name] for result in results]]
            }
            for method in METHODS
        }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
