"""Evaluation of a run on one split of its store, or on any other store: metrics.json and patches.csv.

Those of the run's own store are written to the run folder, those of another store to RUN/on/NAME-DIGEST. Evaluating twice writes the
same bytes. The definitions are those of `cropcam.model.evaluation.measurement`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from cropcam.model.evaluation.elsewhere import AND, Scored, open_elsewhere
from cropcam.model.evaluation.measurement import Measurement, Predictor, measure, same_classes
from cropcam.model.evaluation.model_card import write_model_card
from cropcam.model.evaluation.prediction_store import check_place, prediction_writer
from cropcam.model.evaluation.results import Metrics
from cropcam.model.evaluation.run_item import write_run_item
from cropcam.model.evaluation.seasons_seen import seasons_seen
from cropcam.model.evaluation.truth import ALL, of_points, of_store
from cropcam.model.runs.checkpoint import METRICS, load_network, run_provenance
from cropcam.model.runs.config import RunConfig
from cropcam.model.runs.sealed import sealed
from cropcam.model.runtime.device import choose
from cropcam.model.segmentation.fitting import fitted_segmenter
from cropcam.model.segmentation.predictions import open_trained_store
from cropcam.model.transfer.measure import expected_accuracy, measure_store
from cropcam.pipeline.csv_cells import table_text
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.runtime.hashing import sha256
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.runtime.terminal import quoted
from cropcam.pipeline.store.compatible import check_fits
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.store.schema import SPLITS

PATCHES = "patches.csv"


def evaluate(
    run: Path,
    *,
    split: str | None = None,
    on: Path | None = None,
    reference: Path | None = None,
    save: Path | None = None,
    device: str = "auto",
    store: Path | None = None,
    points: Path | None = None,
    label_column: str = "",
    progress: Progress = silent,
) -> Metrics:
    """Score a run, write metrics.json and patches.csv, and return the metrics.

    Args:
        run: folder with a trained run.
        split: train, validation, test or all; test by default, on a store that the run was not trained on all, and with a `reference`
            that was trained on it test.
        on: another store of the run's bands, patch size and classes; by default the run's own.
        reference: another run, scored on the same patches: beside the run's metrics stand its own and the paired difference.
        save: also write activation maps and segmentations per patch there (zarr, see `cropcam.model.evaluation.prediction_store`).
        device: auto, cpu or cuda.
        store: place of the run's own store, if it was moved.
        points: file of points that are the truth instead of the store's labels; with a column `split` those of the split, in any patch.
        label_column: its column of classes; empty = found by its name.
        progress: called with (patches done, patches in all, the split's name).

    Raises:
        ConfigError: no such split or device, or options that do not go together.
        DataError: no usable run, store or checkpoint; the split is empty or holds no labelled pixel; the store does not fit the run.
        OSError: the disk refused.
    """
    if split not in (None, *SPLITS, ALL):
        raise ConfigError(f"no split {split!r}; known: {', '.join((*SPLITS, ALL))}")
    if save:
        check_place(save, [run, on, store, reference])
    network, config = load_network(run, torch_device := choose(device))
    trained_on = open_trained_store(run, config, store)
    segmenter = fitted_segmenter(run, network, config, trained_on, torch_device)
    other = _load(reference, torch_device) if reference else None
    if on:
        scored = open_elsewhere(run, config, on, split or (_split_of(other, on) if other else None))
    else:
        held_out = any(part.held_out for part in config.stores)
        name = AND.join(part.name for part in config.stores if part.held_out or not held_out) or trained_on.path.stem
        scored = Scored(trained_on, split or "test", run, name, home=not (held_out and split in (None, "test")))
    opened = scored.store
    truth = of_points(scored, points, label_column, config) if points else of_store(scored, run)
    if save and len(opened.parts) > 1:
        raise ConfigError(
            f"--save writes the places of one store; name it: cropcam evaluate {quoted(run)} --on STORE --save {quoted(save)}"
        )
    patches_N = truth.patches_N
    predictor = Predictor(network, config, segmenter, torch_device)
    provenance = {**run_provenance(run, config), "seed": config.data.seed}
    place_PN = np.stack([opened.row_N[patches_N], opened.col_N[patches_N]]).astype(np.int32)
    with prediction_writer(save, opened.info, place_PN, provenance | {"method": segmenter.default}) as writer:
        measured = measure(predictor, opened, truth, progress, scored.split, writer)
    values = measured.values()
    values["segmentation"] |= seasons_seen(network, config, opened, truth, measured.block_N, torch_device, segmenter.method)
    compared = {"reference": _beside(measured, other, reference, progress)} if other and reference else {}
    csv = table_text(measured.table(), float_format="%.6f")
    metrics = Metrics(
        sealed(
            {
                "split": scored.split,
                "patches": len(patches_N),
                "labels": config.labels.labels,
                "home": scored.home,
                "store": scored.about(),
                **({"truth": truth.about} if truth.about else {}),
                **values,
                **compared,
                **({} if scored.home else _shift(run, predictor, measured)),
                "provenance": {
                    **provenance,
                    "labels_rule": str(config.label_spec),
                    "selected_on": _selected_on(config, scored),
                    "train_patches": len(trained_on.split_indices("train")),
                    "patches_digest": sha256(csv.encode()),
                },
            },
            "provenance",
        )
    )
    folder = scored.folder / truth.about.get("folder", "")
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / PATCHES, csv)
    metrics.save(folder / METRICS)
    if not on and folder == scored.folder:
        write_model_card(run, config)
        write_run_item(run, network, config)
    return metrics


def _load(run: Path, device: torch.device) -> Predictor:
    network, config = load_network(run, device)
    return Predictor(network, config, fitted_segmenter(run, network, config, open_trained_store(run, config), device), device)


def _split_of(reference: Predictor, on: Path) -> str | None:
    """The test split of a store that the reference was trained on: its training patches would flatter it."""
    return "test" if open_store(on).info.digest in reference.config.trained_digests else None


def _beside(measured: Measurement, reference: Predictor, path: Path, progress: Progress) -> dict[str, Any]:
    config = reference.config
    same_classes(measured.names, config.store.classes.names, str(path))
    check_fits(measured.store, config.store.bands, config.store.size_px, f"the run {path}")
    beside = measure(reference, measured.store, measured.truth, progress, "reference")
    return {"run": str(path), "trained_on": config.store.study, "labels": str(config.label_spec), **measured.beside(beside)}


def _shift(run: Path, predictor: Predictor, measured: Measurement) -> dict[str, Any]:
    """The parts `shift` and `expected` of metrics.json: from the images alone, without the labels there."""
    shift = measure_store(run, predictor.network, predictor.config, measured.store, measured.patches_N, predictor.device)
    expected = expected_accuracy(run, shift)
    return {"shift": {**shift.to_dict(), "lines": [*shift.lines(), expected.line()]}, "expected": expected.to_dict()}


def _selected_on(config: RunConfig, scored: Scored) -> bool:
    """Whether the loss on the scored patches selected the epoch."""
    return scored.home and scored.split in ("validation", ALL) and (not config.keep_last_epoch or config.optimizer.patience > 0)
