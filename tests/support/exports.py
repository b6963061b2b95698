"""A small study and its shards as Earth Engine would write them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from cropcam.pipeline.grid import Window
from cropcam.pipeline.study.study import Study, load_study, parse_study
from support.rasters import random_codes, random_dn, write_raster


def small_study() -> Study:
    """A study of 148 x 130 px with two bands."""
    values = load_study("demo").to_dict()
    values["area"] |= {"bounds": [-90.02, 41.0, -89.98, 41.0352]}
    values["image"] |= {"bands": ["SR_B4", "SR_B5"]}
    return parse_study(values)


STUDY = small_study()
GRID = STUDY.grid
IMAGE, LABELS = random_dn((2, *GRID.shape_yx)), random_codes(GRID.shape_yx)


def export(folder: Path, image: np.ndarray, labels: np.ndarray, cuts: tuple[int, ...] = (), prefix: str = "image") -> list[Path]:
    """Write shards as Earth Engine would, the image cut before the given rows and columns."""
    edges_y, edges_x = [[0, *[c for c in cuts if c < size], size] for size in GRID.shape_yx]
    paths = []
    for top, bottom in pairwise(edges_y):
        for left, right in pairwise(edges_x):
            name = f"{prefix}-{top:010d}-{left:010d}.tif" if cuts else f"{prefix}.tif"
            paths.append(
                write_raster(folder / name, image[:, top:bottom, left:right], GRID.window(Window(top, left, bottom - top, right - left)))
            )
    write_raster(folder / "labels.tif", labels, GRID)
    return paths
