"""Wall-to-wall maps: a run's network over a whole raster, window by window (`cropcam.model.inference.predictor`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from cropcam.model.inference.known_areas import KnownAreas, shift_to
from cropcam.model.inference.likeness import likeness, seen_by_run
from cropcam.model.inference.predictor import Predictor
from cropcam.model.inference.provenance import check_inputs, files_text, map_tags, rasters_of, specification
from cropcam.model.inference.summary import MapSummary
from cropcam.model.inference.survey import Survey
from cropcam.model.inference.windows import window_px
from cropcam.model.runs.checkpoint import ITEM, load_network
from cropcam.model.runs.config import RunConfig
from cropcam.model.runtime.device import choose
from cropcam.model.segmentation.fitting import method_of
from cropcam.model.transfer.domain import image_seasons
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import Window, tiles
from cropcam.pipeline.maps.cog import disk_errors
from cropcam.pipeline.maps.finishing import Done, Wanted, finish
from cropcam.pipeline.maps.map_layers import layers_of
from cropcam.pipeline.maps.mapping import make_windows
from cropcam.pipeline.maps.outlines import check_tolerance, write_polygons
from cropcam.pipeline.maps.region import Region, open_region
from cropcam.pipeline.maps.sidecars import check_files, sidecar_tags, write_sidecars
from cropcam.pipeline.maps.sieve import least_pixels
from cropcam.pipeline.maps.window_files import WindowFiles
from cropcam.pipeline.maps.window_job import ACTIVATION, CLASSES, ENTROPY, LAYER, PROBABILITY, UNSHIFTED, WindowJob
from cropcam.pipeline.maps.windows import Source
from cropcam.pipeline.rasters.files import changed_since, stamps_of
from cropcam.pipeline.runtime.atomic import exclusive_lock, kept_if_filled
from cropcam.pipeline.runtime.memory import keep_freed_memory
from cropcam.pipeline.runtime.progress import Progress, silent

BLOCK_BYTES = 64 * 2**20  # of a window's bands, float32
KEPT_BYTES = 64 * 2**20  # larger buffers go back to the system when they are freed; the buffers of a U-Net's windows would pile up
DISTANCE = "feature distance / 99 % at home"


@dataclass(frozen=True)
class Outputs:
    """Files beside the class map; None = not made.

    Attributes:
        probabilities: calibrated probability of each class, round(250 p).
        uncertainty: entropy of the probabilities over its largest value, round(250 x).
        activations: sigmoid of each class's activation map and bias, round(250 x).
        shift: feature distance to the nearest class over the one that 99 % of the home's pixels do not reach; float32.
        polygons: outlines of the class map, GeoParquet or GeoPackage (`cropcam.pipeline.maps.outlines`).
        simplify_m: tolerance of the outlines' corners in metres; 0 keeps all.
    """

    probabilities: Path | None = None
    uncertainty: Path | None = None
    activations: Path | None = None
    shift: Path | None = None
    polygons: Path | None = None
    simplify_m: float = 0.0

    @property
    def paths(self) -> dict[str, Path]:
        """Raster by layer."""
        named = {PROBABILITY: self.probabilities, ENTROPY: self.uncertainty, ACTIVATION: self.activations, LAYER: self.shift}
        return {name: path for name, path in named.items() if path is not None}


def map_raster(
    run_path: Path,
    source: Source,
    out: Path,
    *,
    outputs: Outputs | None = None,
    method: str | None = None,
    known: KnownAreas | None = None,
    sieve_ha: float = 0.0,
    smoothness: float = 0.0,
    region: Path | None = None,
    device: str = "auto",
    scheduler: str | None = None,
    block_px: int | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
    log: Callable[[str], object] = silent,
) -> MapSummary:
    """Map a whole raster with a run's best network: a Cloud Optimized GeoTIFF of class indices at `out`, and files beside it.

    Finished windows are kept in a hidden folder beside `out` until the map is complete: the same command, run again after it was
    stopped, goes on and ends with the same bytes.

    Args:
        run_path: the run folder.
        source: the raster.
        out: path of the map; complete or absent, as every file beside it.
        outputs: files beside it.
        method: segmentation method of the run (docs/numbers.md); its default one by default.
        known: class areas of the mapped region, to which probabilities are shifted.
        sieve_ha: patches of a class below so many hectares take the class of their largest neighbour, on the class map alone; 0 = none.
        smoothness: of Bayesian smoothing (`cropcam.pipeline.maps.smoothing`); 0 = none.
        region: GeoJSON, GeoPackage or GeoParquet file of polygons; pixels whose centre lies outside are nodata.
        device: auto, cpu or cuda.
        scheduler: address of a dask.distributed scheduler whose workers see run and raster under the same paths; this machine without one.
        block_px: approximate side of the windows. It changes probabilities by rounding alone.
        overwrite: replace files that are there and that cropcam did not make; never an input.
        progress: called after each window.
        log: called with single lines: the image is unlike the training data, or of another area or season; work that is kept.

    Raises:
        DataError: no usable run, other bands than the run's, no valid pixel, or the disk refused; `outputs.shift` of a run whose RUN/seen.json is
            absent and cannot be made.
        ConfigError: no such device or method, no polygon in `region`, two outputs of one name, polygons of another format, or a number below 0.
        WorkStoppedError: the cluster went away; finished windows are kept.
    """
    _check_numbers(source, sieve_ha, smoothness)
    torch_device, outputs = choose(device), outputs or Outputs()
    if torch_device.type == "cpu":
        keep_freed_memory(KEPT_BYTES, heap_bytes=4 * KEPT_BYTES)
    area = open_region(region, source.grid) if region is not None else None
    network, config = load_network(run_path, torch.device("cpu"))
    check_inputs(config, source, run_path)
    paths = {CLASSES: out, **outputs.paths}
    before = stamps_of(rasters_of(source))
    inputs = (*before, region, known.path if known is not None else None, run_path, getattr(source, "path", None))
    check = partial(check_files, paths, outputs.polygons, inputs, run=run_path / ITEM, overwrite=overwrite)
    check()
    if outputs.polygons is not None:
        check_tolerance(outputs.simplify_m)
    chosen = method_of(run_path, network, config, method, log)
    default = chosen if method is None else method_of(run_path, network, config)
    seen, unmeasured = seen_by_run(run_path, network, config, default, needed=outputs.shift is not None)
    predictor = Predictor(config, network.state_dict(), chosen, str(torch_device), smoothness=smoothness)
    predictor = replace(predictor, distance=seen.limits if seen and outputs.shift else None, activations=outputs.activations is not None)
    survey = Survey(source, config.store.size_px, area)
    if line := likeness(config, source, survey, replace(predictor.layers, method=default), seen, unmeasured):
        log(line)
    if known is not None:
        predictor = replace(predictor, offset_K=shift_to(known, survey, predictor, log))
    asked = tuple(outputs.paths) + ((UNSHIFTED,) if known is not None else ())
    job = WindowJob(source, predictor, len(config.store.classes), asked, config.seasons, area)
    tags = map_tags(run_path, config, predictor, source, out=out, beside=outputs.paths, sieve_ha=sieve_ha, region=region, stamps=before)
    tags |= sidecar_tags(out, image_seasons(source))
    if known is not None:
        tags["known_areas"] = f"{known.origin}: {' '.join(f'{share:.6g}' for share in known.share_K)}"
    wanted = Wanted(paths, layers_of(config.store.classes, tags, job.bands, DISTANCE), config.store.classes, sieve_ha)
    side_px = fitting_block(block_px or _block_px(config, predictor), predictor.step_px)
    windows = list(tiles(source.grid.shape_yx, (side_px, side_px)))
    files = WindowFiles(out.with_name(f".{out.name}.windows"), source.grid, windows)
    spec = specification(job, predictor, tags, side_px, area, before)

    def check_again() -> None:
        """What was there before the work began is still as it was."""
        if (file := changed_since(before, rasters_of(source))) is not None:
            raise DataError(f"{file}: changed while it was mapped; run the same command again: it starts over")
        check()

    done, item = _make(
        files,
        wanted,
        job,
        spec,
        outputs,
        run_path / ITEM,
        check_again,
        overwrite=overwrite,
        progress=progress,
        scheduler=scheduler,
        log=log,
    )
    names = config.store.classes.names
    return MapSummary(
        out,
        dict(zip(names, done.pixels_K, strict=True)),
        done.nodata_pixels,
        dict(zip(names, done.hectares_K, strict=False)),
        dict(zip(names, done.unshifted_hectares_K, strict=False)),
        dict(zip(names, known.share_K, strict=True)) if known is not None else {},
        (*wanted.paths.values(), *([outputs.polygons] if outputs.polygons else []), item),
    )


def _make(
    files: WindowFiles,
    wanted: Wanted,
    job: WindowJob,
    spec: Mapping[str, Any],
    outputs: Outputs,
    run_item: Path,
    check: Callable[[], None],
    *,
    overwrite: bool,
    progress: Progress,
    scheduler: str | None,
    log: Callable[[str], object],
) -> tuple[Done, Path]:
    """Make the windows that are missing and all files from them; what was published, and the map's STAC item.

    Raises:
        DataError: no pixel has a class; what `check` raises, once all windows are made.
    """
    out = wanted.paths[CLASSES]
    with ExitStack() as stack:
        for path in wanted.paths.values():
            with disk_errors(path):
                stack.enter_context(kept_if_filled(path.parent))
                stack.enter_context(exclusive_lock(path))
        stack.enter_context(files.kept(log))
        with disk_errors(out):
            files.begin(spec, log)
        make_windows(job, files, progress, scheduler)
        check()
        if (done := finish(files, wanted, job.bands)) is None:
            files.discard()
            raise _nothing(job, files.windows)
        if outputs.polygons is not None:
            rows = _rows_of_outlines(progress, len(files.windows))
            write_polygons(
                out,
                outputs.polygons,
                probabilities=outputs.probabilities,
                simplify_m=outputs.simplify_m,
                overwrite=overwrite,
                progress=rows,
            )
        item = write_sidecars(out, polygons=outputs.polygons, run=run_item)
        files.discard()
    return done, item


def _nothing(job: WindowJob, windows: Sequence[Window]) -> DataError:
    """Why no pixel has a class."""
    region = job.region if isinstance(job.region, Region) else None
    if region and not any(region.meets(window) and region.inside(window).any() for window in windows):
        return DataError(f"--region {region.path}: no pixel has its centre inside; give polygons that lie on the raster")
    where = f" inside {region.path}" if region else ""
    return DataError(f"{files_text(job.source)}: every pixel{where} is nodata in some band; there is nothing to map")


def _rows_of_outlines(progress: Progress, windows: int) -> Progress:
    """The progress of outlines as a note behind the windows, which are all made."""
    return lambda done, rows, note: progress(windows, windows, f"outlines, row {done:,} of {rows:,}{f', {note}' if note else ''}")


def _check_numbers(source: Source, sieve_ha: float, smoothness: float) -> None:
    for name, value in (("sieve_ha", sieve_ha), ("smoothness", smoothness)):
        if not 0 <= value < math.inf:
            raise ConfigError(f"{name} {value:g}: give a number of 0 or more; 0 = none")
    if sieve_ha:
        _check_sieve(source, sieve_ha)


def _check_sieve(source: Source, sieve_ha: float) -> None:
    least, pixels = least_pixels(source.grid, sieve_ha), source.grid.width * source.grid.height
    if least >= max(pixels, 2):
        raise ConfigError(f"sieve_ha {sieve_ha:g}: is {least:,} pixels, the whole raster has {pixels:,}; give the area of a small patch")


def _block_px(config: RunConfig, predictor: Predictor) -> int:
    """Side of a block: whole windows of the network, whose bands have at most `BLOCK_BYTES`."""
    side_px = math.isqrt(BLOCK_BYTES // (4 * len(config.store.bands)))
    window = window_px(predictor.network_halo_px) if predictor.network.context_px is not None else predictor.step_px
    return max(side_px // window, 1) * window


def fitting_block(block_px: int, step_px: int) -> int:
    """The size of whole steps nearest to `block_px`, at least one.

    >>> fitting_block(1000, 25), fitting_block(800, 49), fitting_block(10, 25)
    (1000, 784, 25)
    """
    return max(round(block_px / step_px), 1) * step_px
