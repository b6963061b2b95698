"""The cells of the benchmark `travel`: which runs are trained, on what, and where each is scored.

A cell is one run scored on one part of one place. Each is one file, FOLDER/cells/RUN--PLACE-PART.json, and is not repeated. Parts of a
place: `test` is the test split of its store, `all` is every patch, `right` is its right half: the test split of a second store,
PLACE-half.zarr, whose left half is train and validation.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.places import REAL, SIMULATED, places, points, polygons
from cropcam.model.evaluation.evaluate import evaluate
from cropcam.model.networks import Network
from cropcam.model.options import Settings
from cropcam.model.runs.checkpoint import load_network, write_json
from cropcam.model.runs.config import RunConfig
from cropcam.model.training.presets import preset
from cropcam.model.training.train import train
from cropcam.model.transfer.measure import expected_accuracy, measure_store
from cropcam.pipeline.store.patch_store import open_store

# The kinds of run. Nothing else is passed: defaults are measured.
KINDS: dict[str, dict[str, Any]] = {
    "shares": {"labels": "shares"},
    "presence5": {"labels": "presence", "presence_min_share": 0.05},
    "unet": {"labels": "pixels", "model": "unet"},
    "trees": {"labels": "pixels", "model": "trees"},
    "points": {"labels": "points"},
    "pixels": {"labels": "pixels"},
    "poster": preset("poster", {"model": "resnet50"}),
}
DEFAULT_KINDS, SIMULATED_KINDS = ("shares", "presence5", "unet", "trees"), ("shares", "trees")
LEFT_OUT = ("dakota-2015", "illinois-2023", "A-2016", "B-2016")  # of leave one place out
TARGETS = {"dakota-2015": "illinois-2023", "illinois-2023": "dakota-2015"}
FULL_TARGETS = {**TARGETS, "A-2016": "B-2016", "B-2016": "A-2016"}
WEAK = ("16 polygons",)
FULL_WEAK = ("1 polygon", "4 polygons", "16 polygons", "100 points")
NO_GRADIENTS = ("trees",)  # cannot go on from a run
SLOWEST = ("poster", "unet", "presence5", "points", "pixels", "shares", "trees")
Cell = dict[str, Any]


class Job(NamedTuple):
    """A run: trained at home, on all places of `LEFT_OUT` but one (without), from scratch or adapted with few labels, or the reference of a half."""

    how: str  # home, without, scratch, adapted or reference
    kind: str  # of `KINDS`
    place: str  # trained on, left out, or adapted to
    seed: int
    source: str = ""  # of an adapted run: the place of the run that it goes on from
    weak: str = ""  # of `FULL_WEAK`: what is known of the left half

    @property
    def name(self) -> str:
        """The run's folder."""
        words = (self.how, self.kind, self.source and f"{self.source}-to", self.place, self.weak.replace(" ", "-"), str(self.seed))
        return "-".join(filter(None, words))

    @property
    def first(self) -> Job | None:
        """The run that has to be trained before."""
        return Job("home", self.kind, self.source, self.seed) if self.how == "adapted" else None

    def parts(self, targets: dict[str, str]) -> list[tuple[str, str]]:
        """The places and parts that it is scored on."""
        if self.how in ("scratch", "adapted", "reference"):
            return [(self.place, "right")]
        if self.how == "without":
            return [(self.place, "test"), (self.place, "all")]
        right = [(targets[self.place], "right")] if self.place in targets else []
        return [(self.place, "test"), *((place, "all") for place in places() if place != self.place), *right]


def plan(seeds: int, *, full: bool) -> list[Job]:
    """All runs; those that others go on from come first, and of each group those that take longest."""
    kinds, targets, weak = (tuple(KINDS), FULL_TARGETS, FULL_WEAK) if full else (DEFAULT_KINDS, TARGETS, WEAK)
    jobs = []
    for seed in range(seeds):
        for kind in kinds:
            simulated = [place for place in SIMULATED if (full and kind != "poster") or (place in LEFT_OUT and kind in SIMULATED_KINDS)]
            jobs += [Job("home", kind, place, seed) for place in (*REAL, *simulated) if kind != "poster" or not seed]
            if kind == "poster":
                continue
            jobs += [Job("without", kind, place, seed) for place in LEFT_OUT if full]
            if kind not in NO_GRADIENTS:
                jobs += [Job("adapted", kind, place, seed, source, known) for source, place in targets.items() for known in weak]
        for place in targets.values():
            jobs += [Job("reference", "pixels", place, seed), *(Job("scratch", "shares", place, seed, weak=known) for known in weak)]
    return sorted(jobs, key=lambda job: (job.how == "adapted", SLOWEST.index(job.kind)))


def chosen(jobs: Sequence[Job], texts: Iterable[str]) -> list[Job]:
    """The runs whose name contains one of the texts, and those that they go on from."""
    texts = tuple(texts)
    found = {job for job in jobs if any(text in job.name for text in texts)}
    found |= {job.first for job in found if job.first}
    return [job for job in jobs if job in found]


class Folders(NamedTuple):
    """Where stores, runs and cells lie; shorter runs, which only try the way, have a folder of their own."""

    out: Path
    epochs: int | None = None

    @property
    def places(self) -> Path:
        """Stores, rasters and files of labels."""
        return self.out / "places"

    @property
    def work(self) -> Path:
        """Runs and cells."""
        return self.out / f"{self.epochs}-epochs" if self.epochs else self.out

    def run(self, job: Job) -> Path:
        """The run folder of a job."""
        return self.work / "runs" / job.name

    def cell(self, job: Job, place: str, part: str) -> Path:
        """The file of a cell."""
        return self.work / "cells" / f"{job.name}--{place}-{part}.json"

    def store(self, place: str, part: str = "all") -> Path:
        """The store of a part of a place."""
        return self.places / (f"{place}-half.zarr" if part == "right" else f"{place}.zarr")

    def labels(self, job: Job) -> Path:
        """The file of the few labels of a run, made where it is missing."""
        count, what = job.weak.split()
        areas = what.startswith("polygon")
        path = self.places / (f"{job.place}-polygons-{count}.geojson" if areas else f"{job.place}-points-{count}-{job.seed}.csv")
        if not path.exists():
            store = open_store(self.store(job.place))
            return polygons(store, int(count), "left", path) if areas else points(store, int(count), job.seed, path)
        return path


class Clock:
    """Seconds since it was made: on the wall, and those that the process computed, which do not depend on what else the machine does."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def seconds(self, prefix: str = "") -> dict[str, float]:
        """Both, under PREFIXs and PREFIXcpu_s."""
        return {
            f"{prefix}s": round(time.perf_counter() - self._wall, 1),
            f"{prefix}cpu_s": round(time.process_time() - self._cpu, 1),
        }


def settings(job: Job, folders: Folders) -> Settings:
    """The settings of a run."""
    own = {key: value for key, value in KINDS[job.kind].items() if key == "model"} if job.weak else KINDS[job.kind]
    few: dict[str, Any] = {}
    if job.weak:
        file = str(folders.labels(job))
        few = {"labels": "shares", "areas": file} if "polygon" in job.weak else {"labels": "points", "points": file}
    if job.first:
        few["init"] = str(folders.run(job.first))
    if job.how == "without":
        few["hold_out_store"] = job.place
    if folders.epochs and job.kind not in NO_GRADIENTS:
        few["epochs"] = folders.epochs
    return Settings(**{**own, **few, "seed": job.seed})


def missing(job: Job, folders: Folders, targets: dict[str, str]) -> list[tuple[str, str]]:
    """The places and parts of a run that have no cell yet."""
    return [part for part in job.parts(targets) if not folders.cell(job, *part).exists()]


def compute(job: Job, folders: Folders, targets: dict[str, str]) -> str:
    """Train a run where it is not trained, and compute its missing cells; one line with the figures."""
    run, clock, cpu = folders.run(job), Clock(), torch.device("cpu")
    if not (run / "trained.json").exists():
        stores = [place for place in LEFT_OUT if place != job.place] if job.how == "without" else []
        paths = [folders.store(place) for place in stores]
        own = folders.store(job.place, "all" if job.how in ("home", "without") else "right")
        train([*paths, own] if paths else own, run, settings(job, folders), device="cpu", resume=True)
        write_json(run / "trained.json", clock.seconds("train_"))
    network, config = load_network(run, cpu)
    figures = []
    for place, part in missing(job, folders, targets):
        cell = scored(job, folders, (place, part), network, config)
        folders.cell(job, place, part).parent.mkdir(parents=True, exist_ok=True)
        write_json(folders.cell(job, place, part), cell)
        figures.append(f"{place} {part} {cell['pixel_accuracy']:.3f}")
    return f"{job.name}: {', '.join(figures)}; {clock.seconds()['s']:.0f} s"


def scored(job: Job, folders: Folders, where: tuple[str, str], network: Network, config: RunConfig) -> Cell:
    """A cell: the figures of a run on a part of a place, and where it was not trained the shift, measured without labels."""
    clock, (place, part), run = Clock(), where, folders.run(job)
    is_own = job.how in ("scratch", "adapted", "reference") or (job.how == "home" and place == job.place)
    split, on = "all" if part == "all" else "test", None if is_own else folders.store(place, part)
    values = evaluate(run, split=split, on=on, device="cpu").to_dict()
    segmentation, shift = values["segmentation"], {}
    method = segmentation["methods"][segmentation["default"]]
    if on:
        store = open_store(on)
        measured = measure_store(
            run, network, config, store, np.arange(len(store)) if split == "all" else store.split_indices(split), torch.device("cpu")
        )
        expected = expected_accuracy(run, measured).accuracy
        shift = {"shift": {"score": measured.score, "terms": measured.terms._asdict()}, "expected_accuracy": expected}
    return {
        **{"how": job.how, "kind": job.kind, "trained": job.place, "source": job.source, "weak": job.weak, "seed": job.seed},
        **{"place": place, "part": part, "simulated": place in SIMULATED, "patches": values["patches"]},
        **{key: method[key] for key in ("pixel_accuracy", "macro_f1")},
        **{f"majority_{key}": segmentation["majority"][key] for key in ("pixel_accuracy", "macro_f1")},
        **shift,
        **json.loads((run / "trained.json").read_text("utf-8")),
        **clock.seconds(),
    }
