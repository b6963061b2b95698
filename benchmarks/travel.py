"""What a run is worth at another place: at home, away, adapted with few labels, and whether it warns beforehand.

    python -m benchmarks.travel --out DIR [--data DIR] [--full] [--jobs 2] [--only TEXT ...] [--seeds N]
    python -m benchmarks.travel --summary DIR [--full]

Places are those of `benchmarks.places`: two real scenes, and two simulated regions in two years each. The default pass trains shares,
presence of 5 %, U-Net and trees on both real scenes, and shares and trees on two simulated places, one seed each. Every run is scored on
its own test split and on every patch of the other places. Runs of a real scene then go on from its weights with the class areas of 16
polygons in the left half of the other one, and are scored on its right half; beside that stand the run before, a run from scratch with the
same polygons, and one of all pixels of the left half. --full adds the other kinds, all places as homes, three seeds, 1 and 4 polygons and
100 points, and leave one place out.

Cells that are there are kept: DIR/cells/*.json; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import at_least_one
from benchmarks.places import DATA, REAL, build, cut, halves, places
from benchmarks.travel_cells import FULL_TARGETS, TARGETS, Folders, Job, chosen, compute, missing, plan
from benchmarks.travel_tables import report
from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from cropcam.pipeline.store.schema import SPLITS
from cropcam.pipeline.study.study import Study, load_study, parse_study

STUDY = "corn-belt-2016"
WIDE_PX = 20_000  # the hold-out reaches so far beyond the grid


def right_half(store: PatchStore) -> Study:
    """The study of the stores, with the right half of a store held out as the test split."""
    a, _, c, _, e, f = store.grid.transform
    first, side_px = int(store.col_N[halves(store)[1]].min()), store.info.patch_size_px
    rows = np.arange(-1, store.info.patch_grid.rows + 2) * side_px  # a straight edge of the grid is none in degrees
    x = np.concatenate([np.full(len(rows), first * side_px), [store.grid.width + side_px] * 2])
    y = np.concatenate([rows, [rows[-1], rows[0]]])
    lon, lat = transform_points(store.grid.crs, "EPSG:4326", c + a * x, f + e * y)
    ring = np.stack([lon, lat], axis=1).round(7).tolist()
    values = load_study(STUDY).to_dict()
    values["splits"]["holdout"] = json.dumps({"type": "Polygon", "coordinates": [[*ring, ring[0]]]})
    return parse_study(values)


def prepare(jobs: Sequence[Job], folders: Folders, targets: dict[str, str], data: Path) -> None:
    """The stores that are missing, those of halves, and the files of few labels."""
    for place in places():
        cut(place, folders.places, data)
    for place in sorted({place for job in jobs for place, part in job.parts(targets) if part == "right"}):
        whole = open_store(folders.store(place))
        build((data if place in REAL else folders.places) / place, folders.store(place, "right"), right_half(whole))
        half = open_store(folders.store(place, "right"))
        if not np.array_equal(halves(whole)[1], np.flatnonzero(half.split_N == SPLITS.index("test"))):
            raise DataError(f"{half.path}: its test split is not the right half of {whole.path}")
    for job in jobs:
        if job.weak:
            folders.labels(job)


def run_all(jobs: Sequence[Job], folders: Folders, targets: dict[str, str], workers: int) -> None:
    """Compute the missing cells: first the runs that others go on from; a run that fails is named, and the others go on."""
    os.environ["OMP_NUM_THREADS"] = "1"
    for later in (False, True):
        todo = [job for job in jobs if (job.how == "adapted") == later and missing(job, folders, targets)]
        with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,), max_tasks_per_child=1) as pool:
            waiting: dict[Future[str], Job] = {pool.submit(compute, job, folders, targets): job for job in todo}
            for future in as_completed(waiting):
                try:
                    print(future.result(), flush=True)
                except (ConfigError, DataError) as error:
                    print(f"{waiting[future].name}: failed: {error}", flush=True)


def main() -> None:
    """Compute what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--out", type=Path, help="folder of stores, runs and cells")
    source.add_argument("--summary", type=Path, metavar="DIR", help="the tables of the cells in that folder, nothing else")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real scenes")
    parser.add_argument("--full", action="store_true", help="all kinds, places and ways")
    parser.add_argument("--seeds", type=at_least_one, help="1 by default, with --full 3")
    parser.add_argument("--jobs", type=at_least_one, default=2, help="runs in parallel, one thread each")
    parser.add_argument("--only", nargs="+", default=[""], help="runs whose name contains one of these texts, and what they go on from")
    parser.add_argument("--epochs", type=at_least_one, help=argparse.SUPPRESS)
    args = parser.parse_args()
    folders, targets = Folders(args.out or args.summary, args.epochs), FULL_TARGETS if args.full else TARGETS
    jobs = chosen(plan(args.seeds or (3 if args.full else 1), full=args.full), args.only)
    if not jobs:
        parser.error(f"--only: no run has one of these texts; runs are named as {plan(1, full=False)[0].name}")
    if args.out and any(missing(job, folders, targets) for job in jobs):
        prepare(jobs, folders, targets, args.data)
        run_all(jobs, folders, targets, args.jobs)
    cells: list[dict[str, Any]] = [json.loads(path.read_text("utf-8")) for path in sorted((folders.work / "cells").glob("*.json"))]
    wanted = [folders.cell(job, *part).stem for job in jobs for part in missing(job, folders, targets)]
    tables, values = report(cells, wanted)
    print(tables)
    print(json.dumps(values))


if __name__ == "__main__":
    main()
