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


def scene_of_run(
    run: Path,
    store_path: Path | None,
    cache: Path,
    *,
    device: str = "auto",
    progress: Progress = silent,
    log: Callable[[str], object] = silent,
) -> Scene:
    """The scene of a run over its store, or over another one of its bands.

    Args:
        run: the run folder.
        store_path: another store; of a run on several stores the first that was trained on is the default.
        cache: an existing folder, where maps and quick looks are kept for the next call.
        device: auto, cpu or cuda.
        progress: called while they are made.
        log: called with a line about an image unlike the training data.

    Raises:
        DataError: no usable run, its store is missing, the other store has other bands or classes, or the disk refuses.
    """
    config = load_config(run)
    store = open_store(store_path) if store_path else _trained_store(run, config)
    fitted = file_sha256(run / SEGMENT) if (run / SEGMENT).is_file() else ""
    key = json_sha256([VERSION, __version__, run_provenance(run, config), fitted, store.info.digest])[:24]
    folder = cache / f"run-{key}"
    if not all((folder / name).is_file() for name in (MAP, PROBABILITIES, UNCERTAINTY, ACTIVATIONS)):
        outputs = Outputs(folder / PROBABILITIES, folder / UNCERTAINTY, folder / ACTIVATIONS)
        map_raster(run, store, folder / MAP, outputs=outputs, device=device, progress=progress, log=log)  # goes on where it stopped
    scene = with_store(of_map(folder / MAP, activations=folder / ACTIVATIONS), store, cache, progress=progress)
    facts = {"run": run.name, **_facts(config), **{name: text for name, text in scene.facts.items() if name not in ("map", "inputs")}}
    return replace(scene, title=run.resolve().name, kind="run", facts=facts)


def _trained_store(run: Path, config: RunConfig) -> PatchStore:
    store = open_trained_store(run, config)
    held_out = {part.name for part in config.stores if part.held_out}
    return next(part for name, part in store.parts.items() if name not in held_out)


def _facts(config: RunConfig) -> dict[str, Any]:
    return {"network": config.network.model, "labels": config.labels.labels}
