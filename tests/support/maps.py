"""Class maps of given arrays, written by the product's own writer; and their tags changed."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio

from cropcam.pipeline.grid import PixelGrid, tiles
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps.cog import written_map
from support.memory_source import LEGEND, make_grid

TAGS = {"TIFFTAG_SOFTWARE": "cropcam 0", "study": "made-up", "seed": "3"}


def write_map(path: Path, classes_YX: npt.NDArray[np.uint8], legend: Legend = LEGEND, grid: PixelGrid | None = None, **tags: str) -> Path:
    """A finished map of these class indices, with more tags."""
    grid = grid or make_grid(*classes_YX.shape)
    with written_map(path, grid, legend, TAGS | tags, 64) as class_map:
        for window in tiles(grid.shape_yx, (64, 64)):
            class_map.write(window, classes_YX[window.slices])
    return path


def retag(path: Path, **tags: str | None) -> Path:
    """Set tags of a raster, or remove those that are None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the file is no longer laid out as a COG
        with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
            file.update_tags(**{name: text if text is not None else "" for name, text in tags.items()})
    return path
