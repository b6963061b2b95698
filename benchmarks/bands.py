"""What seasons and bands are worth, on the simulated region of the demo study: the same labels, other images.

    python -m benchmarks.bands --out DIR [--seeds 3] [--epochs 16]

An annual median against the demo's summer median and three seasonal medians; visible bands alone, with near infrared, with
short-wave infrared. Each image is exported from the embedded engine, cut, and a small full-resolution network learns the shares of
each patch. The data are simulated: the order counts, not the digits. Finished runs are kept in DIR. The last line is one JSON
object: means over seeds, and the 95 % intervals of seed 0.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks import at_least_one
from benchmarks.reading import headline_metrics
from benchmarks.region import store_of
from cropcam.model.evaluation.bootstrap import SUFFIX
from cropcam.model.evaluation.evaluate import evaluate
from cropcam.model.options import Settings
from cropcam.model.segmentation.methods import SPECTRAL
from cropcam.model.training.train import train
from cropcam.pipeline.landscape import simulate
from cropcam.pipeline.study.study import Study, load_study, parse_study

VISIBLE = ["SR_B2", "SR_B3", "SR_B4"]
METHOD = SPECTRAL  # the same for every image
YEAR = [["2016-01-01", "2017-01-01"]]
IMAGES: dict[str, dict[str, Any]] = {
    "annual median": {"seasons": YEAR},
    "summer median": {},
    "three seasons": {"seasons": load_study("demo-seasons").to_dict()["image"]["seasons"]},
    "summer, RGB": {"bands": VISIBLE},
    "summer, RGB + NIR": {"bands": [*VISIBLE, "SR_B5"]},
    "summer, RGB + NIR + SWIR": {"bands": [*VISIBLE, "SR_B5", "SR_B6", "SR_B7"]},
}


def study(name: str, image: dict[str, Any]) -> Study:
    """The demo study with another image."""
    values = load_study("demo").to_dict()
    values["study"]["name"] = name.replace(",", "").replace("+", "and").replace(" ", "-")
    values["image"] |= image
    return parse_study(values)


def main() -> None:
    """Measure what is missing and print all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=at_least_one, default=3)
    parser.add_argument("--epochs", type=at_least_one, default=16)
    args = parser.parse_args()
    out: Path = args.out
    simulate(study("year", {"seasons": YEAR}), out / "archive", seed=0)  # existing scenes are kept
    measured: dict[str, Any] = {}
    for name, image in IMAGES.items():
        wanted = study(name, image)
        place = out / wanted.name
        store = store_of(wanted, out / "archive", place)
        results = []
        for seed in range(args.seeds):
            run = place / f"run-{seed}"
            settings = Settings(labels="shares", model="fcn", pseudo_label_weight=0.0, epochs=args.epochs, seed=seed)
            train(store, run, settings, resume=True)
            part = evaluate(run).to_dict()["segmentation"]
            results.append(headline_metrics(part["methods"][METHOD], ("corn", "soybean")))
        measured[name] = {
            **{
                key: of_first if key.endswith(SUFFIX) else round(mean(result[key] for result in results), 4)
                for key, of_first in results[0].items()
            },
            "majority": round(part["majority_accuracy"], 4),
            "seeds": args.seeds,
        }
        print(name, measured[name], flush=True)
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
