"""Geodesic hectares of each class of a map, of the whole and of regions: one pass over its blocks, in the memory of one block."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps.class_map import BLOCK_PX, FinishedMap
from cropcam.pipeline.maps.pixel_areas import pixel_hectares
from cropcam.pipeline.maps.regions import Regions
from cropcam.pipeline.maps.windows import NODATA_CLASS, Classes
from cropcam.pipeline.runtime.progress import Progress, silent

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """Areas of a map, or of a region of it.

    Attributes:
        pixels_K: pixels of each class; in a region the sum of their covered shares.
        hectares_K: geodesic area of each class.
        nodata_pixels: pixels without a class.
        nodata_hectares: their area.
    """

    pixels_K: Floats
    hectares_K: Floats
    nodata_pixels: float
    nodata_hectares: float


@dataclass(frozen=True)
class MapAreas:
    """The areas of a map and its regions.

    Attributes:
        whole: of all its pixels.
        regions: of each region.
        pixel_hectares: the smallest and the largest pixel that has a class.
        digest: sha256 (hex) of grid and pixels; equal for equal maps, whatever their tags and compression.
    """

    whole: Measured
    regions: tuple[Measured, ...]
    pixel_hectares: tuple[float, float]
    digest: str


def measure(opened: FinishedMap, regions: Regions | None = None, progress: Progress = silent) -> MapAreas:
    """Measure every class of a map; `progress` is called after each block.

    Raises:
        DataError: the file is damaged, all of it is nodata, or the CRS does not reach its pixels.
    """
    classes, count = len(opened.legend), len(regions.names) if regions else 0
    sums = np.zeros((1 + count, 2, NODATA_CLASS + 1))  # pixels and hectares by class index
    digest = hashlib.sha256(repr((opened.grid.crs, opened.grid.transform, opened.grid.shape_yx)).encode())
    low, high = np.inf, 0.0
    count_yx = [-(-side // BLOCK_PX) for side in opened.grid.shape_yx]
    for done, (window, classes_YX) in enumerate(opened.blocks(), 1):
        digest.update(classes_YX.tobytes())
        hectares_YX = np.broadcast_to(pixel_hectares(opened.grid, window), classes_YX.shape)
        by_class = partial(_by_class, classes_YX)
        sums[0] += by_class(None), by_class(hectares_YX)
        if (mapped_YX := classes_YX != NODATA_CLASS).any():
            low = min(low, float(hectares_YX[mapped_YX].min()))
            high = max(high, float(hectares_YX[mapped_YX].max()))
        for index, cover_YX in regions.covers(opened.grid.window(window)) if regions else ():
            sums[1 + index] += by_class(cover_YX), by_class(cover_YX * hectares_YX)
        progress(done, count_yx[0] * count_yx[1], f"row {window.row}, column {window.col}")
    if not sums[0, 0, :classes].any():
        raise DataError(f"{opened.path}: all of its {int(sums[0, 0].sum()):,} pixels are nodata; there is no area to measure")
    whole, *parts = (_measured(each, classes) for each in sums)
    return MapAreas(whole, tuple(parts), (low, high), digest.hexdigest())


def _by_class(classes_YX: Classes, weights_YX: Floats | None) -> Floats:
    weights = None if weights_YX is None else weights_YX.ravel()
    return np.bincount(classes_YX.ravel(), weights, NODATA_CLASS + 1).astype(np.float64)


def _measured(sums: Floats, classes: int) -> Measured:
    return Measured(sums[0, :classes], sums[1, :classes], float(sums[0, NODATA_CLASS]), float(sums[1, NODATA_CLASS]))
