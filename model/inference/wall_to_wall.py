"""Wall to wall: a run's network over a whole raster, through overlapping patches of the size it learnt from.

The raster is covered by a lattice of patches at half a patch's stride, from its upper left, so that the patch grid is
part of it; patches beyond the edges are filled with nodata. Each patch's scores count with a tent weight and
are averaged. A pixel's scores depend on the patches that cover it and on nothing else: the window size leaves no trace.
Axis suffixes: B batch, C band, K class, Y/X rows and columns.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cropcam.model.data.normalization import Scaling, standardise
from cropcam.model.inference.sliding_window import Lattice, lattice_halo, tent
from cropcam.model.networks import Network, build
from cropcam.model.networks.cam import pixel_scores
from cropcam.model.runs.checkpoint import RunConfig, load_network, run_provenance
from cropcam.model.runtime.device import choose
from cropcam.model.segmentation.fitting import method_of
from cropcam.model.segmentation.methods import Method
from cropcam.pipeline import __version__
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps.cog import TIFF_TILE_PX, is_map, written_map
from cropcam.pipeline.maps.windows import NODATA_CLASS, DnSource, run
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.store.schema import NODATA_DN

BLOCK_PX = 800
# Every batch has this size, the last one padded: the bits of a convolution may depend on how many patches go together.
BATCH_PATCHES = 32
_GPU_THREADS = 4  # enough to keep it fed, few enough for its memory
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class MapSummary:
    """What a map holds: pixels per class, in index order, and pixels without data."""

    path: Path
    class_pixels: dict[str, int]
    nodata_pixels: int

    def __str__(self) -> str:
        mapped = sum(self.class_pixels.values())
        shares = ", ".join(f"{name} {count / mapped:.1%}" for name, count in self.class_pixels.items())
        return f"{self.path}: {mapped:,} pixels mapped: {shares}; {self.nodata_pixels:,} nodata"


@dataclass(frozen=True)
class Predictor:
    """Scores of blocks by one network; pickles without the network, which each process builds when it first needs it."""

    config: RunConfig
    weights: dict[str, Tensor]
    method: Method
    device: str

    @property
    def stride_px(self) -> int:
        """From one patch of the lattice to the next."""
        return max(self.config.size_px // 2, 1)

    @property
    def halo_px(self) -> int:
        """How far the patches that cover a block reach beyond it."""
        return lattice_halo(self.config.size_px, self.stride_px)

    @cached_property
    def network(self) -> Network:
        """The network on its device, ready to infer."""
        network = build(self.config.model, len(self.config.bands), len(self.config.classes))
        network.load_state_dict(self.weights)
        return network.to(self.device).eval()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "network"}

    def __call__(self, block_CYX: npt.NDArray[np.uint16]) -> Floats:
        """Scores (class, y, x) of the block without its halo: those of the patches by the run's method, averaged; 0 where no patch with data covers a pixel.

        Args:
            block_CYX: Collection 2 DN, 0 = nodata, with `halo_px` on every side; its inner upper left pixel lies on
                the lattice.

        Raises:
            DataError: the scores are not finite.
        """
        patches = Lattice.over(block_CYX, self.config.size_px, self.stride_px, self.halo_px)
        weight_YX = tent(self.config.size_px)
        total_KYX = np.zeros((len(self.config.classes) + 1, *patches.shape_yx), np.float32)
        for (row, col), scores_KYX in self._scores(patches):
            place_KYX = total_KYX[:, row : row + self.config.size_px, col : col + self.config.size_px]
            place_KYX[:-1] += scores_KYX * weight_YX
            place_KYX[-1] += weight_YX
        inner_KYX = total_KYX[:, self.halo_px : block_CYX.shape[1] - self.halo_px, self.halo_px : block_CYX.shape[2] - self.halo_px]
        mean_KYX: Floats = np.divide(inner_KYX[:-1], inner_KYX[-1], out=np.zeros_like(inner_KYX[:-1]), where=inner_KYX[-1] > 0)
        if not np.isfinite(mean_KYX).all():
            raise DataError(f"the {self.config.model}'s scores are not finite: its training diverged; train again with a lower --lr")
        return mean_KYX

    def _scores(self, patches: Lattice) -> Iterator[tuple[tuple[int, int], Floats]]:
        """Upper left and scores (class, y, x) of every patch that holds data, row by row."""
        scaling = Scaling.of(self.config, self.device)
        for start in range(0, len(patches), BATCH_PATCHES):
            corners, dn_BCYX = patches.batch(start, BATCH_PATCHES)
            x_BCYX = standardise(torch.from_numpy(dn_BCYX).to(self.device), *scaling)
            _, cams_BKYX = pixel_scores(self.network, x_BCYX.contiguous(memory_format=torch.channels_last))
            valid_BYX = torch.from_numpy((dn_BCYX != NODATA_DN).all(axis=1)).to(self.device)
            yield from zip(corners, self.method.logits(cams_BKYX, x_BCYX, valid_BYX).cpu().numpy(), strict=False)


def map_run(
    run_path: Path,
    source: DnSource,
    out: Path,
    *,
    device: str = "auto",
    block_px: int = BLOCK_PX,
    progress: Progress = silent,
) -> MapSummary:
    """Map a whole raster with a run's best network: a Cloud Optimized GeoTIFF of class indices at `out`.

    Args:
        run_path: the run folder.
        source: the raster.
        out: where the map will stand, complete or not at all.
        device: auto, cpu or cuda.
        block_px: side of the windows, about; they fit the lattice. It does not change the map.
        progress: told after each window.

    Raises:
        DataError: no usable run, other bands than the run learnt from, no valid pixel, or the disk says no.
        ConfigError: that device is not there.
    """
    torch_device = choose(device)
    network, config = load_network(run_path, torch.device("cpu"))
    _check(config, source, run_path, out)
    method = method_of(run_path, network, config)
    predictor = Predictor(config, network.state_dict(), method, str(torch_device))
    block_px = fitting_block(block_px, predictor.stride_px)
    threads = None if torch_device.type == "cpu" else _GPU_THREADS
    with (
        _one_core_per_thread(),
        written_map(out, source.grid, config.classes, map_tags(run_path, config, method, source), block_px) as class_map,
    ):
        run(source, predictor, predictor.halo_px, block_px, class_map.write, progress=progress, threads=threads)
        if class_map.counts[NODATA_CLASS] == class_map.counts.sum():
            raise DataError(f"{_files(source)}: every pixel is nodata in some band; there is nothing to map")
    pixels = {name: int(class_map.counts[index]) for index, name in enumerate(config.classes.names)}
    return MapSummary(out, pixels, int(class_map.counts[NODATA_CLASS]))


@contextmanager
def _one_core_per_thread() -> Iterator[None]:
    # Blocks go side by side; were each to spread over all cores too, they would wait for each other (measured: 2 to 10 times slower).
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fitting_block(block_px: int, stride_px: int) -> int:
    """A size near `block_px` of whole strides of the lattice and, where such a size is near, of whole TIFF tiles.

    >>> fitting_block(1000, 25), fitting_block(800, 49), fitting_block(800, 333)
    (800, 784, 999)
    """
    step = math.lcm(stride_px, TIFF_TILE_PX)
    if step <= block_px:
        return round(block_px / step) * step
    return math.ceil(block_px / stride_px) * stride_px


def map_tags(run_path: Path, config: RunConfig, method: Method, source: DnSource) -> dict[str, str]:
    """Provenance as GeoTIFF tags."""
    return {
        "TIFFTAG_SOFTWARE": f"cropcam {__version__}",
        **run_provenance(run_path, config),
        "labels": config.labels,
        "method": method.name,
        "seed": str(config.seed),
        "trained_by": f"cropcam {config.code_version}",
        "inputs": " ".join(source.names),
    }


def _check(config: RunConfig, source: DnSource, run_path: Path, out: Path) -> None:
    if len(source.bands) != len(config.bands):
        raise DataError(
            f"{_files(source)}: {len(source.bands)} bands ({', '.join(source.bands)}), the run {run_path} learnt from "
            f"{len(config.bands)} ({', '.join(config.bands)}); give each of them once, in that order"
        )
    if out.name in source.names and out.is_file() and not is_map(out):
        raise DataError(f"{out}: bears the name of an input file and is no map; choose another name for the map")


def _files(source: DnSource) -> str:
    more = f" and {len(source.names) - 1} more" if len(source.names) > 1 else ""
    return f"{source.names[0]}{more}"
