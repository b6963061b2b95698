"""Patch stores built from small rasters: a study, its rasters, blocks of a few patches, and what the files of a store hold."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.study.study import Study, load_study, parse_study
from support.rasters import UTM, random_codes, random_dn, write_raster

GRID = PixelGrid(UTM.crs, UTM.transform, 130, 110)  # 13 x 11 patches of 10 px


def build_study(**sections: dict[str, Any]) -> Study:
    """A study of two bands and patches of 10 px, split in blocks of 3 x 2; `sections` change keys of it."""
    values = load_study("demo").to_dict()
    values["image"] |= {"bands": ["SR_B4", "SR_B5"]}
    values["patches"] |= {"size_px": 10}
    values["splits"] |= {"block_patches": [3, 2]}
    for section, keys in sections.items():
        values[section] = keys if section == "classes" else values[section] | keys
    return parse_study(values)


def write_inputs(
    folder: Path, grid: PixelGrid = GRID, *, holes: bool = True
) -> tuple[list[Path], list[Path], npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """Files of an image with a nodata corner and single nodata pixels, and of labels with gaps; and their values."""
    dn, codes = random_dn((2, *grid.shape_yx)), random_codes(grid.shape_yx)
    if holes:
        dn[:, :15, :25] = 0
        dn[0, 77, 33] = 0
        codes[40:50, 60:80] = 0
        codes[95, 5] = 81
    return [write_raster(folder / "image.tif", dn, grid)], [write_raster(folder / "cdl.tif", codes, grid)], dn, codes


def small_blocks(patch: pytest.MonkeyPatch, side: int) -> None:
    """Blocks of `side` x `side` patches in this process, until `patch` is undone."""
    patch.setattr("cropcam.pipeline.store.schema.BLOCK_PATCHES", side)


def fingerprint(store: Path) -> dict[str, str]:
    """sha256 of every file of a store."""
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(store.rglob("*")) if path.is_file()
    }
