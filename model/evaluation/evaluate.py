"""Evaluation of a run on one split: RUN/metrics.json, RUN/patches.csv.

Pixel metrics count the pixels that have a label and image data in every band, pooled over the split. Patch metrics count
the patches with at least one labelled pixel. A class is present in a patch where its share of the labelled pixels is
above the run's `presence_min_share`, and predicted present where its logit is above 0 (probability above 0.5). Every
metric has its interval (`cropcam.model.evaluation.bootstrap`). The split is read batch by batch: memory grows by a few
numbers per patch and by histograms per spatial block. Evaluating twice writes the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cropcam.model.evaluation import bootstrap, results
from cropcam.model.evaluation.accumulator import MetricAccumulator
from cropcam.model.evaluation.bootstrap import Bootstrap, block_of
from cropcam.model.evaluation.model_card import METRICS, write_model_card
from cropcam.model.evaluation.prediction_store import prediction_writer
from cropcam.model.evaluation.results import Metrics
from cropcam.model.evaluation.seasons_seen import seasons_seen
from cropcam.model.labels.derive import presence
from cropcam.model.runs.checkpoint import load_network, run_provenance
from cropcam.model.runtime.device import choose
from cropcam.model.segmentation.fitting import fitted_segmenter
from cropcam.model.segmentation.predictions import BATCH_PATCHES, PatchPredictions, open_trained_store, predict_patches
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.runtime.hashing import sha256
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.store.schema import SPLITS, evenly

PATCHES = "patches.csv"


def evaluate(
    run: Path,
    *,
    split: str = "test",
    save: Path | None = None,
    device: str = "auto",
    store: Path | None = None,
    progress: Progress = silent,
) -> Metrics:
    """Evaluate a run on one split of its store, write RUN/patches.csv and RUN/metrics.json, and return the metrics.

    Args:
        run: folder with a trained run.
        split: train, validation or test.
        save: also write activation maps and segmentations per patch there (zarr, see `cropcam.model.evaluation.prediction_store`).
        device: auto, cpu or cuda.
        store: place of the run's store, if it was moved.
        progress: called with (patches done, patches in all, the split's name).

    Raises:
        ConfigError: no such split or device.
        DataError: no usable run, store or checkpoint; the split is empty or holds no labelled pixel.
        OSError: the disk refused.
    """
    if split not in SPLITS:
        raise ConfigError(f"no split {split!r}; known: {', '.join(SPLITS)}")
    network, config = load_network(run, torch_device := choose(device))
    opened = open_trained_store(run, config, store)
    info = opened.info
    if not info.has_labels:
        raise DataError(f"{opened.path}: has no labels to evaluate against; map it: cropcam map {run} --store {opened.path} --out MAP.tif")
    patches_N = opened.split_indices(split)
    place_PN = np.stack([opened.row_N[patches_N], opened.col_N[patches_N]]).astype(np.int32)
    block_N = block_of(place_PN[0], place_PN[1], info.split_block_patches)
    segmenter = fitted_segmenter(run, network, config, opened, torch_device)

    def predictions(indices: npt.NDArray[np.int64]) -> Iterable[PatchPredictions]:
        return predict_patches(network, config, opened, indices, torch_device, segmenter)

    bounds_KE = activation_bounds(predictions(patches_N[evenly(len(patches_N), BATCH_PATCHES)]))
    accumulator = MetricAccumulator(len(config.store.classes), segmenter.methods, segmenter.default, block_N, bounds_KE)
    provenance = {**run_provenance(run, config), "seed": config.data.seed}
    with prediction_writer(save, info, place_PN, provenance | {"method": segmenter.default}) as writer:
        for batch in predictions(patches_N):
            accumulator.add(batch)
            if writer:
                writer.write(batch)
            progress(accumulator.patches, len(patches_N), split)
        if not accumulator.pixels:
            raise DataError(f"the {split} split has no pixel with a label and image data; there is nothing to evaluate")
    logits_NK, _, _ = accumulator.per_patch()
    share_NK = opened.share_NK[patches_N]
    present_NK = presence(share_NK, config.labels.presence_min_share).astype(bool)
    known_N = share_NK.sum(axis=1) > 0
    label_accuracy_N = np.where(known_N, (present_NK == (logits_NK > 0)).mean(axis=1), np.nan)
    table = results.patch_table(patches_N, place_PN, accumulator, label_accuracy_N)
    csv = table.to_csv(index=False, float_format="%.6f", lineterminator="\n")
    resamples, names = Bootstrap.of(accumulator.blocks), config.store.classes.names
    metrics = Metrics(
        {
            "split": split,
            "patches": len(patches_N),
            "labels": config.labels.labels,
            "classification": {
                **results.classification(present_NK[known_N], logits_NK[known_N], block_N[known_N], names, resamples),
                "presence_min_share": config.labels.presence_min_share,
            },
            "segmentation": {
                **results.segmentation(accumulator, names, resamples),
                "methods": {name: results.method(counts, names, resamples) for name, counts in accumulator.confusion_BKK.items()},
                "default": segmenter.default,
                **seasons_seen(network, config, opened, patches_N, block_N, torch_device, segmenter.method),
            },
            "intervals": bootstrap.metadata(accumulator.blocks, info.split_block_patches),
            "provenance": {
                **provenance,
                "labels_rule": str(config.label_spec),
                "selected_on": split == "validation" and (not config.keep_last_epoch or config.optimizer.patience > 0),
                "train_patches": len(opened.split_indices("train")),
                "patches_digest": sha256(csv.encode()),
            },
        }
    )
    atomic_write(run / PATCHES, csv)
    metrics.save(run / METRICS)
    write_model_card(run, config)
    return metrics


def activation_bounds(batches: Iterable[PatchPredictions]) -> npt.NDArray[np.float32]:
    """Histogram bins (K, E) for each class's activations, from a sample of patches: the range of activations is not known before."""
    cams_KP = np.concatenate([np.moveaxis(batch.cams_BKHW, 1, 0)[:, ~batch.nodata_BHW] for batch in batches], axis=1)
    return np.stack([bootstrap.edges(cams_P if cams_P.size else np.zeros(1, np.float32)) for cams_P in cams_KP])
