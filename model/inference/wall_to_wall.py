"""Wall-to-wall maps: a run's network over a whole raster, by overlapping patches of the size it was trained on.

The raster is covered by patches at half a patch's stride from its upper left, so that the patch grid is part of them;
patches beyond the edges are filled with nodata. Each patch's logits have a tent weight and are averaged. A pixel's
logits depend on the patches that cover it and on nothing else: the window size does not change the map.
Where a pixel's logits depend on its neighbours alone (`Network.context_px`), patches overlap by these neighbours only,
and each pixel has the logits of the one patch that holds all of them.
Axis suffixes: B batch, C band, K class, Y/X rows and columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cropcam.model.data.normalization import Normalization, physical_encoding, standardise
from cropcam.model.inference.domain import domain_note
from cropcam.model.inference.sliding_window import SlidingWindow, tent, window_halo
from cropcam.model.networks import Network
from cropcam.model.networks.cam import pixel_scores
from cropcam.model.runs.checkpoint import load_network, run_provenance
from cropcam.model.runs.config import RunConfig
from cropcam.model.runtime.device import choose
from cropcam.model.segmentation.fitting import method_of
from cropcam.model.segmentation.methods import Method
from cropcam.pipeline import __version__
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps.cog import TIFF_TILE_PX, is_map, written_map
from cropcam.pipeline.maps.windows import NODATA_CLASS, Source, run
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.store.patch_store import PatchStore

BLOCK_PX = 800
# Every batch has this size, the last one padded: the bits of a convolution may depend on the number of patches.
BATCH_PATCHES = 32
_GPU_THREADS = 4  # enough to keep it busy, few enough for its memory
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class MapSummary:
    """A map's file, its pixels per class in index order, and its pixels without data."""

    path: Path
    class_pixels: dict[str, int]
    nodata_pixels: int

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "path": str(self.path)}

    def __str__(self) -> str:
        mapped = sum(self.class_pixels.values())
        shares = ", ".join(f"{name} {count / mapped:.1%}" for name, count in self.class_pixels.items())
        return f"{self.path}: {mapped:,} pixels mapped: {shares}; {self.nodata_pixels:,} nodata"


@dataclass(frozen=True)
class Predictor:
    """Logits of blocks by one network; pickles without the network, which each process builds when it first needs it."""

    config: RunConfig
    weights: dict[str, Tensor]
    method: Method
    device: str
    margin_px: int | None = None  # of a patch, whose logits are not used; None: all are, averaged over patches

    @property
    def stride_px(self) -> int:
        """From one patch to the next."""
        size_px = self.config.store.size_px
        return max(size_px // 2, 1) if self.margin_px is None else size_px - 2 * self.margin_px

    @property
    def weight_YX(self) -> Floats:
        """Weight of each pixel of a patch."""
        if self.margin_px is None:
            return tent(self.config.store.size_px)
        return np.pad(np.ones((self.stride_px, self.stride_px), np.float32), self.margin_px)

    @property
    def halo_px(self) -> int:
        """How far the patches that cover a block reach beyond it."""
        return window_halo(self.config.store.size_px, self.stride_px)

    @cached_property
    def network(self) -> Network:
        """The network on its device, in evaluation mode."""
        network = self.config.new_network()
        network.load_state_dict(self.weights)
        return network.to(self.device).eval()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "network"}

    def __call__(self, block_CYX: Floats) -> Floats:
        """Logits (class, y, x) of the block without its halo: the patches' logits by the run's method, averaged; 0 where no patch with data covers a pixel.

        Args:
            block_CYX: physical values, NaN = missing, with `halo_px` on every side; its inner upper left pixel is a multiple
                of the stride.

        Raises:
            DataError: the logits are not finite.
        """
        size_px, halo_px = self.config.store.size_px, self.halo_px
        patches, weight_YX = SlidingWindow.over(block_CYX, size_px, self.stride_px, halo_px, self.config.seasons), self.weight_YX
        total_KYX = np.zeros((len(self.config.store.classes) + 1, *patches.shape_yx), np.float32)  # weighted logits, then the weights
        for (row, col), logits_KYX in self._logits(patches):
            place_KYX = total_KYX[:, row : row + size_px, col : col + size_px]
            place_KYX[:-1] += logits_KYX * weight_YX
            place_KYX[-1] += weight_YX
        inner_KYX = total_KYX[:, halo_px : block_CYX.shape[1] - halo_px, halo_px : block_CYX.shape[2] - halo_px]
        mean_KYX: Floats = np.divide(inner_KYX[:-1], inner_KYX[-1], out=np.zeros_like(inner_KYX[:-1]), where=inner_KYX[-1] > 0)
        if not np.isfinite(mean_KYX).all():
            raise DataError(
                f"the outputs of the {self.config.network.model} are not finite: its training diverged; train again with a lower --lr"
            )
        return mean_KYX

    def _logits(self, patches: SlidingWindow) -> Iterator[tuple[tuple[int, int], Floats]]:
        """Upper left and logits (class, y, x) of every patch that holds data, row by row."""
        normalization = Normalization.of(self.config, self.device, physical_encoding(len(self.config.store.bands)))
        for start in range(0, len(patches), BATCH_PATCHES):
            corners, values_BCYX = patches.batch(start, BATCH_PATCHES)
            x_BCYX, valid_BYX = standardise(torch.from_numpy(values_BCYX).to(self.device), normalization)
            _, cams_BKYX = pixel_scores(self.network, x_BCYX.contiguous(memory_format=torch.channels_last))
            yield from zip(corners, self.method.logits(cams_BKYX, x_BCYX, valid_BYX).cpu().numpy(), strict=False)


def map_raster(
    run_path: Path,
    source: Source,
    out: Path,
    *,
    device: str = "auto",
    block_px: int = BLOCK_PX,
    progress: Progress = silent,
    log: Callable[[str], None] | None = None,
) -> MapSummary:
    """Map a whole raster with a run's best network: a Cloud Optimized GeoTIFF of class indices at `out`.

    Args:
        run_path: the run folder.
        source: the raster.
        out: path of the map, which is written completely or not at all.
        device: auto, cpu or cuda.
        block_px: approximate side of the windows, rounded to whole strides. It does not change the map.
        progress: called after each window.
        log: called with a note if the image is of another area or season than the training data.

    Raises:
        DataError: no usable run, other bands than the run's, no valid pixel, or the disk refused.
        ConfigError: no such device.
    """
    torch_device = choose(device)
    network, config = load_network(run_path, torch.device("cpu"))
    _check(config, source, run_path, out)
    if log and (note := domain_note(config, source)):
        log(note)
    method = method_of(run_path, network, config)
    local = network.context_px is not None and not method.mean_KC and config.store.size_px > 2 * network.context_px
    predictor = Predictor(config, network.state_dict(), method, str(torch_device), network.context_px if local else None)
    block_px = fitting_block(block_px, predictor.stride_px)
    threads = None if torch_device.type == "cpu" else _GPU_THREADS
    tags = map_tags(run_path, config, method, source)
    with _one_core_per_thread(), written_map(out, source.grid, config.store.classes, tags, block_px) as class_map:
        run(source, predictor, predictor.halo_px, block_px, class_map.write, seasons=config.seasons, progress=progress, threads=threads)
        if class_map.counts[NODATA_CLASS] == class_map.counts.sum():
            raise DataError(f"{_files(source)}: every pixel is nodata in some band; there is nothing to map")
    pixels = {name: int(class_map.counts[index]) for index, name in enumerate(config.store.classes.names)}
    return MapSummary(out, pixels, int(class_map.counts[NODATA_CLASS]))


@contextmanager
def _one_core_per_thread() -> Iterator[None]:
    # Blocks run side by side; if each used all cores too, they would wait for each other (measured: 2 to 10 times slower).
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fitting_block(block_px: int, stride_px: int) -> int:
    """A size near `block_px` of whole strides and, where such a size is near, of whole TIFF tiles.

    >>> fitting_block(1000, 25), fitting_block(800, 49), fitting_block(800, 333)
    (800, 784, 999)
    """
    step = math.lcm(stride_px, TIFF_TILE_PX)
    if step <= block_px:
        return round(block_px / step) * step
    return math.ceil(block_px / stride_px) * stride_px


def map_tags(run_path: Path, config: RunConfig, method: Method, source: Source) -> dict[str, str]:
    """The map's TIFF tags: software, study, store, checkpoint, settings and input files."""
    return {
        "TIFFTAG_SOFTWARE": f"cropcam {__version__}",
        **run_provenance(run_path, config),
        "labels": config.labels.labels,
        "method": method.name,
        "seed": str(config.data.seed),
        "trained_by": f"cropcam {config.code_version}",
        "inputs": " ".join(source.names),
    }


def _check(config: RunConfig, source: Source, run_path: Path, out: Path) -> None:
    if len(source.bands) != len(config.store.bands):
        raise DataError(
            f"{_files(source)}: {len(source.bands)} bands ({', '.join(source.bands)}), the run {run_path} was trained on "
            f"{len(config.store.bands)} ({', '.join(config.store.bands)}); give each of them once, in that order"
        )
    if isinstance(source, PatchStore) and source.bands != config.store.bands:  # names of files may say nothing, those of a store are known
        names, trained = ", ".join(source.bands), ", ".join(config.store.bands)
        raise DataError(
            f"{source.path}: its bands are {names}, the run {run_path} was trained on {trained}; map a store of a study with these"
        )
    if out.name in source.names and out.is_file() and not is_map(out):
        raise DataError(f"{out}: has the name of an input file and is no map; choose another name for the map")


def _files(source: Source) -> str:
    more = f" and {len(source.names) - 1} more" if len(source.names) > 1 else ""
    return f"{source.names[0]}{more}"
