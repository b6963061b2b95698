"""Predictors without a network, for the tests of windows; without torch, so that a subprocess and a worker start quickly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cropcam.pipeline.grid import Window
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps.finishing import Wanted
from cropcam.pipeline.maps.map_layers import layers_of
from cropcam.pipeline.maps.window_job import CLASSES, WindowJob
from cropcam.pipeline.maps.windows import Scores, Values
from support.maps import TAGS
from support.memory_source import LEGEND, Memory


@dataclass(frozen=True)
class FirstBand:
    """Scores whose class is the first band's value minus 1: with scale 1 and offset 0 the stored value.

    Attributes:
        halo_px: as of `Predict`.
        step_px: as of `Predict`.
        classes: their number.
        beside: whether the classes before a shift (the next class), activations and a layer of numbers (the second band) are there too.
        called: with the shape of each block.
    """

    halo_px: int = 0
    step_px: int = 1
    classes: int = 5
    beside: bool = False
    called: Callable[[tuple[int, ...]], object] | None = None

    def __call__(self, block_CYX: Values) -> Scores:
        if self.called:
            self.called(block_CYX.shape)
        inner_CYX = block_CYX[:, self.halo_px : block_CYX.shape[1] - self.halo_px, self.halo_px : block_CYX.shape[2] - self.halo_px]
        index_K11 = np.arange(1, self.classes + 1)[:, None, None]
        logits_KYX = -((np.nan_to_num(inner_CYX[0]) - index_K11) ** 2).astype(np.float32) / 2
        if not self.beside:
            return Scores(logits_KYX)
        return Scores(logits_KYX, np.roll(logits_KYX, 1, axis=0), logits_KYX, np.nan_to_num(inner_CYX[-1]))


@dataclass(frozen=True)
class Left:
    """The columns left of a limit: a region."""

    limit: int

    def meets(self, window: Window) -> bool:
        return window.col < self.limit

    def inside(self, window: Window) -> np.ndarray:
        cols = np.arange(window.col, window.col + window.width)
        return np.broadcast_to(cols < self.limit, (window.height, window.width))


def raster(values_CYX: np.ndarray) -> Memory:
    """A raster whose values are physical ones: scale 1, offset 0, 0 = nodata."""
    return Memory(values_CYX, scale=1.0, offset=0.0)


def raster_of(classes_YX: np.ndarray, numbers_YX: np.ndarray | None = None) -> Memory:
    """The raster that `FirstBand` maps to these class indices, 255 = nodata; a second band of whole numbers from 1."""
    dn_CYX = np.stack([np.where(classes_YX == 255, 0, classes_YX + 1), np.ones_like(classes_YX) if numbers_YX is None else numbers_YX])
    return raster(dn_CYX.astype(np.uint16))


def random_classes(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Random classes of `LEGEND` with a corner of nodata, uint8."""
    classes_YX = np.random.default_rng(seed).integers(0, len(LEGEND), (height, width), dtype=np.uint8)
    classes_YX[: height // 3, : width // 4] = 255
    return classes_YX


def wanted(job: WindowJob, paths: dict[str, object], legend: Legend = LEGEND, sieve_ha: float = 0.0) -> Wanted:
    """The files of a job's layers; `paths` by layer, the class map among them."""
    found = {CLASSES: paths[CLASSES], **{name: path for name, path in paths.items() if name != CLASSES}}
    return Wanted(found, layers_of(legend, TAGS, job.bands, "numbers"), legend, sieve_ha)  # type: ignore[arg-type]
