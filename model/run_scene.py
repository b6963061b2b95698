"""The map page of a run: its store's layers, and classes, probabilities, uncertainty and activation maps made from it for the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cropcam.model.inference.wall_to_wall import Outputs, map_raster
from cropcam.model.runs.checkpoint import run_provenance
from cropcam.model.runs.config import RunConfig, load_config
from cropcam.model.segmentation.methods import SEGMENT
from cropcam.model.segmentation.predictions import open_trained_store
from cropcam.pipeline import __version__
from cropcam.pipeline.maps.view.layers import Scene
from cropcam.pipeline.maps.view.scenes import of_map, with_store
from cropcam.pipeline.runtime.hashing import file_sha256, json_sha256
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.store.patch_store import PatchStore, open_store

VERSION = 1  # of the folder in the cache
MAP, PROBABILITIES, UNCERTAINTY, ACTIVATIONS = "map.tif", "probabilities.tif", "uncertainty.tif", "activations.tif"


def store_of_run(run: Path, other: Path | None = None) -> PatchStore:
    """The store that a run was trained on, the first of several; or another one.

    Raises:
        DataError: no usable run, or its store or the other one is missing.
    """
    if other is not None:
        return open_store(other)
    config = load_config(run)
    store = open_trained_store(run, config)
    held_out = {part.name for part in config.stores if part.held_out}
    return next(part for name, part in store.parts.items() if name not in held_out)


def maps_of_run(
    run: Path,
    store: PatchStore,
    cache: Path,
    *,
    device: str = "auto",
    progress: Progress = silent,
    log: Callable[[str], object] = silent,
) -> Path:
    """The folder of a run's maps over a store, from the cache if they are there.

    Args:
        run: the run folder.
        store: whose image is mapped.
        cache: an existing folder; the maps lie in a folder of it that is named after digests of run and store.
        device: auto, cpu or cuda.
        progress: called after each window.
        log: called with a line about an image unlike the training data.

    Raises:
        DataError: no usable run, the store has other bands than the run's, or the disk refuses.
    """
    config = load_config(run)
    fitted = file_sha256(run / SEGMENT) if (run / SEGMENT).is_file() else ""
    key = json_sha256([VERSION, __version__, run_provenance(run, config), fitted, store.info.digest])[:24]
    folder = cache / f"run-{key}"
    if not all((folder / name).is_file() for name in (MAP, PROBABILITIES, UNCERTAINTY, ACTIVATIONS)):
        outputs = Outputs(folder / PROBABILITIES, folder / UNCERTAINTY, folder / ACTIVATIONS)
        map_raster(run, store, folder / MAP, outputs=outputs, device=device, progress=progress, log=log)  # goes on where it stopped
    return folder


def scene_of_run(run: Path, folder: Path, store: PatchStore, cache: Path, *, progress: Progress = silent) -> Scene:
    """The scene of a run: the layers of a store and of the maps in `folder`, which `maps_of_run` made.

    Raises:
        DataError: the store has other classes than the run, it is damaged, or the disk refuses.
    """
    scene = with_store(of_map(folder / MAP, activations=folder / ACTIVATIONS), store, cache, progress=progress)
    known = {name: text for name, text in scene.facts.items() if name not in ("map", "inputs")}
    return replace(scene, title=run.resolve().name, kind="run", facts={"run": run.name, **_facts(load_config(run)), **known})


def _facts(config: RunConfig) -> dict[str, Any]:
    return {"network": config.network.model, "labels": config.labels.labels}
