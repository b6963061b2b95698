"""The origin of a map: its tags, and everything that its bytes depend on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from cropcam.model.inference.predictor import Predictor
from cropcam.model.runs.checkpoint import run_provenance
from cropcam.model.runs.config import RunConfig
from cropcam.pipeline import __version__
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps.region import Region
from cropcam.pipeline.maps.window_job import ENTROPY, LAYER, PROBABILITY, WindowJob
from cropcam.pipeline.maps.windows import Source
from cropcam.pipeline.rasters.files import Stamp, further_files, stamps_of
from cropcam.pipeline.runtime.hashing import json_sha256
from cropcam.pipeline.store.patch_store import PatchStore

TAG_OF = {PROBABILITY: "probabilities", ENTROPY: "uncertainty", LAYER: "shift"}  # of the class map: the files made with it


def map_tags(
    run_path: Path,
    config: RunConfig,
    predictor: Predictor,
    source: Source,
    *,
    out: Path,
    beside: Mapping[str, Path],
    sieve_ha: float = 0.0,
    region: Path | None = None,
    stamps: Mapping[Path, Stamp] | None = None,
) -> dict[str, str]:
    """The TIFF tags of a map and the files beside it: software, study, store, checkpoint, settings and input files; `beside` by layer, relative to the map's folder.

    `stamps` are `stamps_of` the source's rasters, where they were asked before.
    """
    method = predictor.method
    options = {
        "region": region.name if region is not None else "",
        "sieve_ha": f"{sieve_ha:g}" if sieve_ha else "",
        "smoothness": f"{predictor.smoothness:g}" if predictor.smoothness else "",
        "shifted_logits": " ".join(f"{value:.6g}" for value in predictor.offset_K),
        "read_with_inputs": " ".join(file.name for file in further_files(rasters_of(source), stamps)),
        **{tag: _relative(beside[name], out) for name, tag in TAG_OF.items() if name in beside},
    }
    return {
        "TIFFTAG_SOFTWARE": f"cropcam {__version__}",
        **run_provenance(run_path, config),
        "labels": config.labels.labels,
        "method": method.name,
        "temperature": f"{method.temperature:.6g}",
        "seed": str(config.data.seed),
        "trained_by": f"cropcam {config.code_version}",
        "inputs": " ".join(source.names),
        **{name: text for name, text in options.items() if text},
    }


def specification(
    job: WindowJob,
    predictor: Predictor,
    tags: Mapping[str, str],
    side_px: int,
    region: Region | None,
    stamps: Mapping[Path, Stamp] | None = None,
) -> dict[str, Any]:
    """Everything that finished windows depend on, as JSON values; `stamps` as of `map_tags`."""
    grid, store, distance = job.source.grid, predictor.config.store, predictor.distance
    patches = [*store.bands, *store.mean, *store.std, store.size_px, job.seasons]
    return {
        "version": [__version__, torch.__version__],
        "input": _identity(job.source, stamps),
        "grid": [grid.crs, *grid.transform, *grid.shape_yx],
        "run": {name: tags[name] for name in ("checkpoint_digest", "store_digest")},
        "network": json_sha256([asdict(predictor.config.network), patches]),
        "method": json_sha256(asdict(predictor.method)),
        "shift": list(predictor.offset_K),
        "smoothness": predictor.smoothness,
        "region": region.text if region is not None else "",
        "layers": {name: list(bands) for name, bands in job.bands.items()},
        "distance": json_sha256([asdict(distance.distance), distance.far]) if distance is not None else "",
        "window": side_px,
        "device": predictor.device,
    }


def check_inputs(config: RunConfig, source: Source, run_path: Path) -> None:
    """Check that the raster has the run's bands.

    Raises:
        DataError: other bands.
    """
    if len(source.bands) != len(config.store.bands):
        raise DataError(
            f"{files_text(source)}: {len(source.bands)} bands ({', '.join(source.bands)}), the run {run_path} was trained on "
            f"{len(config.store.bands)} ({', '.join(config.store.bands)}); give each of them once, in that order"
        )
    if isinstance(source, PatchStore) and source.bands != config.store.bands:  # names of files may mean nothing; a store knows its bands
        names, trained = ", ".join(source.bands), ", ".join(config.store.bands)
        raise DataError(
            f"{source.path}: its bands are {names}, the run {run_path} was trained on {trained}; map a store of a study with these"
        )


def rasters_of(source: Source) -> tuple[Path, ...]:
    """The raster files of a map's source; none of a store."""
    return tuple(getattr(source, "paths", ()))


def files_text(source: Source) -> str:
    """The raster's files, for messages."""
    more = f" and {len(source.names) - 1} more" if len(source.names) > 1 else ""
    return f"{source.names[0]}{more}"


def _identity(source: Source, stamps: Mapping[Path, Stamp] | None) -> Any:  # noqa: ANN401 - JSON values
    """The raster: a store by its digest, files, and all that are read with them, by size and time of change."""
    if isinstance(source, PatchStore):
        return source.info.digest
    stamps = stamps_of(rasters_of(source)) if stamps is None else stamps
    files: list[Any] = [[str(path.absolute()), *stamp] for path, stamp in stamps.items()]
    return json.loads(json.dumps([files or list(source.names), asdict(source.encoding)], default=str))


def _relative(path: Path, out: Path) -> str:
    """A file beside a map, from the map's folder; of another folder its absolute path."""
    folder, resolved = out.resolve().parent, path.resolve()
    return str(resolved.relative_to(folder)) if resolved.is_relative_to(folder) else str(resolved)
