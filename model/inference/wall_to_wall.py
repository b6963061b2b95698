"""Wall-to-wall maps: a run's network over a whole raster, window by window (`cropcam.model.inference.predictor`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from cropcam.model.inference.predictor import Predictor
from cropcam.model.networks import Network
from cropcam.model.runs.checkpoint import load_network, run_provenance
from cropcam.model.runs.config import RunConfig
from cropcam.model.runtime.device import choose
from cropcam.model.segmentation.fitting import method_of
from cropcam.model.segmentation.methods import Method
from cropcam.model.transfer.domain import Place
from cropcam.model.transfer.seen import Seen, seen_by
from cropcam.model.transfer.shift import Shift
from cropcam.model.transfer.tally import Tally
from cropcam.pipeline import __version__
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps.cog import TIFF_TILE_PX, is_map, written_map
from cropcam.pipeline.maps.layer import written_layer
from cropcam.pipeline.maps.region import open_region
from cropcam.pipeline.maps.windows import NODATA_CLASS, Source, run
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.store.patch_store import PatchStore

BLOCK_PX = 800
DISTANCE = "feature distance / 99 % at home"
_GPU_THREADS = 4  # enough to keep it busy, few enough for its memory


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


def map_raster(
    run_path: Path,
    source: Source,
    out: Path,
    *,
    shift: Path | None = None,
    region: Path | None = None,
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
        shift: also write how unlike the training data each pixel is: its feature distance to the nearest class over the distance that 99 % of
            the home's pixels do not reach (float32, NaN = nodata; above 1 = farther than these).
        region: GeoJSON, GeoPackage or GeoParquet file of polygons; pixels whose centre lies outside are nodata.
        device: auto, cpu or cuda.
        block_px: approximate side of the windows, rounded to whole strides. It does not change the map.
        progress: called after each window.
        log: called with one line if the image is unlike the training data, or of another area or season.

    Raises:
        DataError: no usable run, other bands than the run's, no valid pixel, or the disk refused; `shift` of a run whose RUN/seen.json is
            absent and cannot be made.
        ConfigError: no such device, or no polygon in `region`.
    """
    torch_device = choose(device)
    area = open_region(region, source.grid) if region is not None else None
    network, config = load_network(run_path, torch.device("cpu"))
    _check(config, source, run_path, out)
    if shift is not None and shift.resolve() == out.resolve():
        raise DataError(f"{shift}: is the map itself; give another file name for --shift")
    method = method_of(run_path, network, config)
    seen, unmeasured = _seen(run_path, network, config, method, needed=shift is not None)
    local = network.context_px is not None and not method.mean_KC and config.store.size_px > 2 * network.context_px
    predictor = Predictor(config, network.state_dict(), method, str(torch_device), network.context_px if local else None)
    predictor = replace(predictor, tally=seen.tally() if seen else None, distance=seen.limits if seen and shift else None)
    block_px = fitting_block(block_px, predictor.stride_px)
    threads = None if torch_device.type == "cpu" else _GPU_THREADS
    tags = map_tags(run_path, config, method, source) | ({"region": region.name} if region is not None else {})
    with ExitStack() as stack:
        stack.enter_context(_one_core_per_thread())
        class_map = stack.enter_context(written_map(out, source.grid, config.store.classes, tags, block_px))
        layer = stack.enter_context(written_layer(shift, source.grid, DISTANCE, tags, block_px)) if shift else None
        run(
            source,
            predictor,
            predictor.halo_px,
            block_px,
            class_map.write,
            seasons=config.seasons,
            write_layer=layer,
            region=area,
            progress=progress,
            threads=threads,
        )
        if class_map.counts[NODATA_CLASS] == class_map.counts.sum():
            where = f" inside {region}" if region is not None else ""
            raise DataError(f"{_files(source)}: every pixel{where} is nodata in some band; there is nothing to map")
    if log and (line := _line(config, source, seen, predictor.tally, unmeasured)):
        log(line)
    pixels = {name: int(class_map.counts[index]) for index, name in enumerate(config.store.classes.names)}
    return MapSummary(out, pixels, int(class_map.counts[NODATA_CLASS]))


def _seen(run_path: Path, network: Network, config: RunConfig, method: Method, *, needed: bool) -> tuple[Seen | None, str]:
    """What the run has seen, or why that is not known: a run of an earlier version has no RUN/seen.json, and its store may be elsewhere."""
    try:
        return seen_by(run_path, network, config, torch.device("cpu"), method=method), ""
    except DataError as error:
        if needed:
            raise
        return None, str(error)


def _line(config: RunConfig, source: Source, seen: Seen | None, tally: Tally | None, unmeasured: str) -> str:
    """The one line about the image: a warning, or a note, or nothing."""
    place = Place.of(config, source)
    if seen and tally and (shift := Shift.of(seen, config.store.classes.names, tally, place)):
        return shift.warning() or place.note()
    reason = unmeasured or "no patch of it is as valid as those of the training data"
    measured = f"whether the image is like the training data is not measured: {reason}"
    return f"{place.note()}; {measured}" if place.note() else f"note: {measured}"


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
