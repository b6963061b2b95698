"""Temperatures and class biases of trained runs, by their own labels and by pixel truth, and what each does to errors and accuracy.

    python -m benchmarks.calibration RUN ... [--store STORE] [--away STORE] [--methods NAME ...]

A table has the pixel accuracy, the ECE of the predicted class and the Brier score of each run and method on its test split, and on every
patch of --away, with

    plain        temperature 1
    likeliest    the temperature of the greatest likelihood of the validation split's labels, of the run's own kind
    calibrated   as the product has it: of labels of patches the same times `POOLED`
    with bias    temperature and a bias for each class of the greatest likelihood, with normal priors (standard deviation 1, weight of a label)
    by truth     the temperature of the pixel truth of the validation split

`ratio` is the temperature by truth over the likeliest one; `POOLED` of model/segmentation/calibration.py is the middle of such ratios. The
kinds of label without a likelihood have no "likeliest" and no "with bias". The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cropcam.model.data.dataset import read_labels
from cropcam.model.evaluation.bootstrap import Bootstrap
from cropcam.model.evaluation.calibration import CalibrationCounts, summary
from cropcam.model.labels.weak_labels import OF_PIXELS, LabelSpec
from cropcam.model.networks import Network
from cropcam.model.options import ANY_BELOW
from cropcam.model.runs.checkpoint import load_network
from cropcam.model.runs.config import RunConfig
from cropcam.model.segmentation.calibration import (
    LIKELIHOODS,
    POOLED,
    PRIOR_SD,
    fitted_temperature,
    logits_at_labels,
    negative_log_likelihood,
    sample,
)
from cropcam.model.segmentation.fitting import fitted_segmenter
from cropcam.model.segmentation.methods import Method
from cropcam.model.segmentation.predictions import forward_batches, open_trained_store
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.store.patch_store import PatchStore, open_store

CPU = torch.device("cpu")
Variant = tuple[float, list[float]]  # temperature, bias of each class
Parts = tuple[Network, RunConfig, PatchStore, Method]


def variants(parts: Parts) -> dict[str, Variant]:
    """Temperature and biases of each variant."""
    spec, classes = parts[1].label_spec, len(parts[1].store.classes)
    none, pooled = [0.0] * classes, 1.0 if spec.kind in OF_PIXELS else POOLED
    found: dict[str, Variant] = {"plain": (1.0, none), "calibrated": (pooled, none)}
    if spec.kind in LIKELIHOODS and not (spec.kind == "presence" and spec.presence_min_share < ANY_BELOW):
        likeliest, bias = fits(parts, spec)
        found |= {"likeliest": (likeliest, none), "calibrated": (pooled * likeliest, none), "with bias": bias}
    truth, _ = fits(parts, LabelSpec(labels="pixels"))
    return {**found, "by truth": (truth, none)}


def fits(parts: Parts, spec: LabelSpec) -> tuple[float, Variant]:
    """The likeliest temperature of some labels of the validation split, and the likeliest temperature and biases."""
    network, config, store, method = parts
    index_N = store.split_indices("validation")
    labels = read_labels(store, index_N, spec, config.store.classes)
    chosen = sample(labels, config.store.size_px)
    labels = labels.of(chosen)
    logits, targets = logits_at_labels({"": method}, network, config, store, index_N[chosen], labels, CPU)
    unlikely, patches = negative_log_likelihood(spec, targets), len(np.unique(chosen if labels.bag_N is None else labels.bag_N))
    temperature = fitted_temperature(lambda t: unlikely(logits[""] / t), patches)
    log, bias_K = torch.zeros((), requires_grad=True), torch.zeros(len(config.store.classes), requires_grad=True)
    optimizer = torch.optim.LBFGS([log, bias_K], max_iter=60, line_search_fn="strong_wolfe")

    def posterior() -> Tensor:
        optimizer.zero_grad()
        prior = (log.square() + bias_K.square().sum()) / PRIOR_SD**2 / (2 * patches)
        value = unlikely(logits[""] / log.exp() + bias_K[:, None, None]) + prior
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(posterior)  # type: ignore[no-untyped-call]
    return temperature, (float(log.detach().exp()), [round(value, 3) for value in bias_K.tolist()])


@torch.no_grad()
def scores(parts: Parts, store: PatchStore, patches_N: np.ndarray, of: dict[str, Variant]) -> dict[str, dict[str, float]]:
    """Accuracy, ECE and Brier score of each variant."""
    network, config, _, method = parts
    counts = {name: CalibrationCounts(1, len(config.store.classes)) for name in of}
    correct = dict.fromkeys(of, 0)
    for index_B, x_BCHW, outputs in forward_batches(network, config, store, patches_N, CPU):
        truth_BHW = np.where(outputs.valid_BHW, store.classes(index_B), UNLABELLED)
        known_BHW = truth_BHW != UNLABELLED
        truth_P = truth_BHW[known_BHW]
        logits_PK = method.uncalibrated(outputs.cams_BKHW, x_BCHW, outputs.valid_BHW).movedim(1, -1)[torch.from_numpy(known_BHW)]
        for name, (temperature, bias_K) in of.items():
            probability_PK = (logits_PK / temperature + torch.tensor(bias_K)).softmax(dim=1).numpy()
            counts[name].add(np.zeros(len(truth_P), np.int64), truth_P, probability_PK)
            correct[name] += int((probability_PK.argmax(axis=1) == truth_P).sum())
    found = {}
    for name, own in counts.items():
        values = summary(own, Bootstrap.of(1))
        found[name] = {"accuracy": correct[name] / own.truth_BK.sum(), "ece": values["ece"], "brier": values["brier"]}
    return found


def measured(run: Path, store: Path | None, away: Path | None, wanted: list[str]) -> Iterator[dict[str, Any]]:
    """The figures of each method of a run."""
    network, config = load_network(run, CPU)
    own = open_trained_store(run, config, store)
    segmenter = fitted_segmenter(run, network, config, own, CPU)
    for name in wanted or [segmenter.default]:
        if name not in segmenter.methods:
            continue
        parts = (network, config, own, replace(segmenter.methods[name], temperature=1.0))
        of = variants(parts)
        places = {"home": scores(parts, own, own.split_indices("test"), of)}
        if away is not None:
            elsewhere = open_store(away)
            places["away"] = scores(parts, elsewhere, np.arange(len(elsewhere)), of)
        yield {"run": run.name, "method": name, "variants": of, **places}


def main() -> None:
    """Measure the runs and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--store", type=Path, help="the runs' store, if it was moved")
    parser.add_argument("--away", type=Path, metavar="STORE")
    parser.add_argument("--methods", nargs="+", default=[], metavar="NAME", help="default: the run's")
    args, found = parser.parse_args(), []
    head = ["run", "method", "variant", "temperature", "ratio", "accuracy, home", "ECE", "Brier"]
    head += ["accuracy, away", "ECE", "Brier"] if args.away else []
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for run in args.runs:
        for line in measured(run, args.store, args.away, args.methods):
            found.append(line)
            of = line["variants"]
            for name, (temperature, _) in of.items():
                ratio = f"{temperature / of['likeliest'][0]:.2f}" if name == "by truth" and "likeliest" in of else ""
                cells = [
                    f"{line[place][name][key]:.4f}" for place in ("home", "away") if place in line for key in ("accuracy", "ece", "brier")
                ]
                print("| " + " | ".join([line["run"], line["method"], name, f"{temperature:.3f}", ratio, *cells]) + " |", flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
