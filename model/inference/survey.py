"""A look at a raster before it is mapped: patches spread evenly over it, as a store would cut them.

They are compared with the run's training data. The shift to known class areas follows from their probabilities. No label is read.
Axis suffixes: B patch, C band, K class, P pixel, Y/X rows and columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cropcam.model.inference.layers import Layers
from cropcam.model.inference.patches import BATCH_PATCHES
from cropcam.model.inference.predictor import Predictor
from cropcam.model.runs.config import RunConfig
from cropcam.model.transfer.pixels import sampled
from cropcam.model.transfer.tally import Tally
from cropcam.pipeline.grid import Window
from cropcam.pipeline.maps.windows import Area, Source, Values, has_data, read_block
from cropcam.pipeline.runtime.tasks import cores
from cropcam.pipeline.store.schema import evenly

PATCHES = 256  # at most, and a sixteenth of the raster; known class areas ask for all of a small one
LEAST_PATCHES = 64
ROW_PATCHES = 8  # side by side in one reading
PIXELS_PER_PATCH = 100


@dataclass(frozen=True)
class Survey:
    """Evenly spread patches of a raster.

    Attributes:
        source: the raster.
        size_px: side of a patch.
        region: patches that do not meet it are left out.
    """

    source: Source
    size_px: int
    region: Area | None = None

    def windows(self, most: int) -> list[Window]:
        """Rows of up to `ROW_PATCHES` patches, `most` patches in all, spread evenly over the rows that meet the region. A raster smaller than a patch has one."""
        width, (height, total_width) = self.size_px * ROW_PATCHES, self.source.grid.shape_yx
        rows = [
            Window(row, col, self.size_px, min(width, max((total_width - col) // self.size_px, 1) * self.size_px))
            for row in range(0, max(height - self.size_px, 0) + 1, self.size_px)
            for col in range(0, max(total_width - self.size_px, 0) + 1, width)
        ]
        inside = [window for window in rows if self.region is None or self.region.meets(_within(window, self.source))]
        return [inside[index] for index in evenly(len(inside), max(most // ROW_PATCHES, 1))]

    def batches(self, windows: list[Window]) -> Iterator[Values]:
        """Patches (B, C, Y, X) in the physical unit, NaN = missing, outside the region too."""
        with ThreadPoolExecutor(cores(), thread_name_prefix="survey") as pool:
            waiting: list[Values] = []
            for values_CYX in pool.map(self._read, windows):
                waiting += np.split(values_CYX, values_CYX.shape[2] // self.size_px, axis=2)
                while len(waiting) >= BATCH_PATCHES:
                    yield np.stack(waiting[:BATCH_PATCHES])
                    del waiting[:BATCH_PATCHES]
            if waiting:
                yield np.stack(waiting)

    def _read(self, window: Window) -> Values:
        inside = _within(window, self.source)
        values_CYX = read_block(self.source, inside, 0)
        if self.region is not None:
            values_CYX[:, ~self.region.inside(inside)] = np.nan
        missing = window.height - inside.height, window.width - inside.width
        return np.pad(values_CYX, ((0, 0), (0, missing[0]), (0, missing[1])), constant_values=np.nan)


@torch.inference_mode()
def measured(survey: Survey, layers: Layers, config: RunConfig, tally: Tally) -> None:
    """Count pixels of the survey's patches."""
    total = survey.source.grid.width * survey.source.grid.height // survey.size_px**2
    for values_BCYX in survey.batches(survey.windows(min(PATCHES, max(total // 16, LEAST_PATCHES)))):
        maps_BFyx, logits_BKYX, x_BCYX, valid_BYX = _forward(layers, values_BCYX)
        tally.add(sampled(layers.network, config, x_BCYX, valid_BYX, maps_BFyx, logits_BKYX, layers.method.temperature))


def log_probabilities(survey: Survey, predictor: Predictor) -> npt.NDArray[np.float64]:
    """Log probabilities (P, K), as a map has them, of evenly spread valid pixels of up to `PATCHES` patches."""
    parts = []
    every = max(round(survey.size_px / PIXELS_PER_PATCH**0.5), 1)
    for window in survey.windows(PATCHES):
        inside = _within(window, survey.source)
        above, left = (place % predictor.step_px for place in inside[:2])  # a block begins where its predictor allows
        block = Window(inside.row - above, inside.col - left, inside.height + above, inside.width + left)
        values_CYX = read_block(survey.source, block, predictor.halo_px)
        halo = predictor.halo_px
        valid_YX = has_data(values_CYX[:, halo : halo + block.height, halo : halo + block.width], predictor.config.seasons)[above:, left:]
        if survey.region is not None:
            valid_YX &= survey.region.inside(inside)
        if valid_YX.any():
            at = np.s_[..., every // 2 :: every, every // 2 :: every]
            parts.append(predictor(values_CYX).logits_KYX[:, above:, left:][at][:, valid_YX[at]].T.astype(np.float64))
    logits_PK = np.concatenate(parts) if parts else np.empty((0, len(predictor.config.store.classes)))
    return np.asarray(logits_PK - np.logaddexp.reduce(logits_PK, axis=1, keepdims=True))


def _forward(layers: Layers, values_BCYX: Values) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Maps, logits, standardised bands, valid pixels."""
    found = layers(torch.from_numpy(values_BCYX).to(layers.network.dense.weight.device), refine=True)
    return found.maps_BFyx, found.layers_BLYX[:, : layers.classes], found.x_BCYX, found.valid_BYX


def _within(window: Window, source: Source) -> Window:
    """The part of a window inside the raster."""
    height, width = source.grid.shape_yx
    return Window(window.row, window.col, min(window.height, height - window.row), min(window.width, width - window.col))
