"""The honest figures of a run: RUN/metrics.json by the contract, RUN/patches.csv behind it.

Every pixel figure counts the pixels that have a label and image data in every band, pooled over the split; every
patch figure counts the patches with at least one labelled pixel. A class is present in a patch where its share of
the labelled pixels is above the run's `presence_min_share`, and said to be present where its logit is above 0
(probability above 0.5). Every figure has its interval beside it (`cropcam.model.evaluation.bootstrap`). The split is read batch by batch:
memory grows by a few numbers per patch and by histograms per spatial block. Evaluating twice writes the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from cropcam.model.data.dataset import read_labels
from cropcam.model.evaluation import bootstrap
from cropcam.model.evaluation.accumulator import Tally
from cropcam.model.evaluation.baselines import References, fit
from cropcam.model.evaluation.bootstrap import Bootstrap, block_of
from cropcam.model.evaluation.model_card import write_card
from cropcam.model.evaluation.prediction_store import saving
from cropcam.model.evaluation.results import classification, method, patch_table, segmentation
from cropcam.model.labels.derive import presence
from cropcam.model.labels.weak_labels import OF_PIXELS
from cropcam.model.runs.checkpoint import RunConfig, load_network, run_provenance
from cropcam.model.runtime.device import choose
from cropcam.model.segmentation.fitting import fitted_segmenter
from cropcam.model.segmentation.predictions import BATCH_PATCHES, Scored, open_trained_store, score
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.runtime.hashing import sha256
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.store.schema import SPLITS, evenly, split_indices

METRICS, PATCHES = "metrics.json", "patches.csv"


def evaluate(
    run: Path,
    *,
    split: str = "test",
    save: Path | None = None,
    device: str = "auto",
    store: Path | None = None,
    references: bool = False,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Score a run on one split of its store, write RUN/patches.csv and RUN/metrics.json, and return the latter's content.

    Args:
        run: folder with a trained run.
        split: train, validation or test.
        save: also write activation maps and segmentations per patch there (zarr, see `cropcam.model.evaluation.prediction_store`).
        device: auto, cpu or cuda.
        store: where the run's store lies, if no longer where the run's configuration says.
        references: also fit and score what `cropcam.model.evaluation.baselines` offers.
        progress: told (patches done, patches in all, the split's name).

    Raises:
        ConfigError: no such split or device; references without scikit-learn.
        DataError: no usable run, store or checkpoint; the split is empty or holds no labelled pixel.
        OSError: the disk says no.
    """
    if split not in SPLITS:
        raise ConfigError(f"no split {split!r}; known: {', '.join(SPLITS)}")
    network, config = load_network(run, chosen := choose(device))
    dataset, info = open_trained_store(run, config, store)
    patches_N = split_indices(dataset, split)
    some = dataset[["row", "col", "share"]].isel(patch=patches_N)
    place_PN = np.stack([some["row"].to_numpy(), some["col"].to_numpy()])
    made_by = run_provenance(run, config) | {"seed": config.seed}
    block_N = block_of(place_PN[0], place_PN[1], info.block_patches)
    segmenter = fitted_segmenter(run, network, config, dataset, chosen)
    bounds_KE = activation_bounds(score(network, config, dataset, patches_N[evenly(len(patches_N), BATCH_PATCHES)], chosen, segmenter))
    beside = _references(config, dataset) if references else References()
    rows = {row.name: row for row in beside.rows}
    tally = Tally(len(config.classes), [*segmenter.methods, *rows], segmenter.default, block_N, bounds_KE)
    with saving(save, info, place_PN, made_by | {"method": segmenter.default}) as writer:
        for batch in score(network, config, dataset, patches_N, chosen, segmenter):
            tally.add(replace(batch, segmentation_BHW=batch.segmentation_BHW | beside.segment(dataset, batch.patches_B)))
            if writer:
                writer.write(batch)
            progress(tally.patches, len(patches_N), split)
        if not tally.pixels:
            raise DataError(f"the {split} split has no pixel with a label and image data; there is nothing to score")
    share_NK = some["share"].to_numpy()
    present_NK = presence(share_NK, config.presence_min_share).astype(bool)
    known_N = share_NK.sum(axis=1) > 0
    right_NK = np.where(known_N[:, None], present_NK == (tally.logits > 0), np.nan)
    table = patch_table(patches_N, place_PN, tally, right_NK).to_csv(index=False, float_format="%.6f", lineterminator="\n")
    resamples, names = Bootstrap.of(tally.blocks), config.classes.names
    figures = {name: method(confusion_BKK, names, resamples) for name, confusion_BKK in tally.confusion_BKK.items()}
    result = {
        "split": split,
        "patches": len(patches_N),
        "labels": config.labels,
        "classification": {
            **classification(present_NK[known_N], tally.logits[known_N], block_N[known_N], names, resamples),
            "presence_min_share": config.presence_min_share,
        },
        "segmentation": {
            **segmentation(tally, names, resamples),
            "methods": {name: figures[name] for name in segmenter.methods},
            "default": segmenter.default,
            **({"references": {name: {"pixels": row.pixels, **figures[name]} for name, row in rows.items()}} if references else {}),
            **({"references_notes": beside.notes} if beside.notes else {}),
        },
        "intervals": bootstrap.about(tally.blocks, info.block_patches),
        "made_by": {
            **made_by,
            "labels_rule": str(config.rule),
            "selected_on": split == "validation" and (not config.keep_last_epoch or config.patience > 0),
            "train_patches": len(split_indices(dataset, "train")),
            "patches_digest": sha256(table.encode()),
        },
    }
    atomic_write(run / PATCHES, table)
    atomic_write(run / METRICS, json.dumps(result, indent=2, allow_nan=False) + "\n")
    write_card(run, config)
    return result


def _references(config: RunConfig, dataset: xr.Dataset) -> References:
    # the labels of the whole split at once, as in training: which pixels of a patch are labelled is drawn along the split
    allowed = config.labels in OF_PIXELS
    labelled_NHW = read_labels(dataset, split_indices(dataset, "train"), config.rule, config.classes).pixel_NHW if allowed else None
    return fit(dataset, config.classes, config.labels, labelled_NHW, config.seed)


def activation_bounds(batches: Iterable[Scored]) -> npt.NDArray[np.float32]:
    """Histogram bins (K, E) for each class's activations, from a first look at some patches: where the scores lie is not known before."""
    looks = [np.moveaxis(batch.cams_BKHW, 1, 0)[:, ~batch.nodata_BHW] for batch in batches]
    seen_KP = np.concatenate(looks, axis=1)
    return np.stack([bootstrap.edges(scores if scores.size else np.zeros(1, np.float32)) for scores in seen_KP])
