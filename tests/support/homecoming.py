"""Places of exported files: an engine whose Drive and Cloud Storage hold the shards of a small study, put there by hand."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from cropcam.pipeline.earthengine.error_messages import Backoff
from cropcam.pipeline.fetch.download import How
from cropcam.pipeline.grid import Window
from cropcam.pipeline.study.study import Study
from support.exports import IMAGE, LABELS, STUDY
from support.rasters import write_raster

PATIENCE = Backoff(attempts=8, first_s=0.0, longest_s=0.0, sleep=lambda _: None)
CUT = 64
NAMES = sorted(f"demo-{layer}-r{row:02}c{col:02}.tif" for layer in ("image", "labels") for row in range(3) for col in range(3))


def shards(folder: Path, study: Study = STUDY, image: np.ndarray = IMAGE, labels: np.ndarray = LABELS, cut: int = CUT) -> list[Path]:
    """Image and labels of the small study in cells of `cut` px, named as Earth Engine names them."""
    height, width = study.grid.shape_yx
    paths = []
    for row, (top, bottom) in enumerate(pairwise([*range(0, height, cut), height])):
        for col, (left, right) in enumerate(pairwise([*range(0, width, cut), width])):
            grid = study.grid.window(Window(top, left, bottom - top, right - left))
            for layer, values in (("image", image[:, top:bottom, left:right]), ("labels", labels[top:bottom, left:right])):
                paths.append(write_raster(folder / f"{study.name}-{layer}-r{row:02}c{col:02}.tif", values, grid))
    return paths


def write_engine_archive(folder: Path) -> Path:
    """The smallest archive that an engine serves."""
    (folder / "x").mkdir(parents=True)
    (folder / "x" / "asset.json").write_text('{"bands": [], "properties": {}}')
    return folder


def put(paths: Sequence[Path], folder: Path, *, age_s: float = 0.0) -> None:
    """Put files into a folder of the engine, of an age in seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        copy = Path(shutil.copy(path, folder / path.name))
        time_s = copy.stat().st_mtime - age_s
        os.utime(copy, (time_s, time_s))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, hidden ones too."""
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def how(lines: list[str] | None = None, workers: int = 3) -> How:
    """Without waiting; lines are collected."""
    return How(workers, PATIENCE, log=[].append if lines is None else lines.append)


WHOLE = Window(0, 0, *STUDY.grid.shape_yx)
