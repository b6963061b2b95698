"""The metrics of a run on patches of a store: one pass, batch by batch; and those of a second run on the same patches.

Pixel metrics count the pixels that have a label and image data in every band, pooled over the split. Patch metrics count
the patches with at least one labelled pixel. A class is present in a patch where its share of the labelled pixels is
above the run's `presence_min_share`, and predicted present where its logit is above 0 (probability above 0.5). Every
metric has its interval (`cropcam.model.evaluation.bootstrap`). Memory grows by a few numbers per patch and by histograms per block.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from cropcam.model.evaluation import bootstrap, calibration, metrics, results
from cropcam.model.evaluation.accumulator import MetricAccumulator
from cropcam.model.evaluation.bootstrap import Bootstrap, with_intervals
from cropcam.model.evaluation.prediction_store import PredictionWriter
from cropcam.model.evaluation.truth import Truth
from cropcam.model.labels.derive import presence
from cropcam.model.networks import Network
from cropcam.model.runs.config import RunConfig
from cropcam.model.segmentation.methods import Segmenter
from cropcam.model.segmentation.predictions import BATCH_PATCHES, PatchPredictions, predict_patches
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.progress import Progress
from cropcam.pipeline.store.patch_store import PatchStore
from cropcam.pipeline.store.schema import evenly

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Predictor:
    """A trained network with its methods."""

    network: Network
    config: RunConfig
    segmenter: Segmenter
    device: torch.device

    def __call__(self, store: PatchStore, patches_N: Indices, truth: Truth) -> Iterable[PatchPredictions]:
        """Predictions over patches of a store, batch by batch."""
        return predict_patches(self.network, self.config, store, patches_N, self.device, self.segmenter, truth.classes)


@dataclass(frozen=True)
class Measurement:
    """The counts of a run on patches of a store."""

    store: PatchStore
    truth: Truth
    accumulator: MetricAccumulator
    block_N: npt.NDArray[np.int64]
    config: RunConfig
    segmenter: Segmenter

    @property
    def patches_N(self) -> Indices:
        """The scored patches."""
        return self.truth.patches_N

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes."""
        return self.config.store.classes.names

    def values(self) -> dict[str, Any]:
        """The parts `classification`, `segmentation` and `intervals` of metrics.json, and `stores` of several stores."""
        share_NK, min_share, resamples = self.truth.share_NK, self.config.labels.presence_min_share, self._resamples
        present_NK, known_N = presence(share_NK, min_share).astype(bool), share_NK.sum(axis=1) > 0
        logits_NK = self.accumulator.per_patch()[0]
        parts = self._stores() if len(self.store.parts) > 1 else {}
        return {
            "classification": {
                **results.classification(present_NK[known_N], logits_NK[known_N], self.block_N[known_N], self.names, resamples),
                "presence_min_share": min_share,
            },
            "segmentation": {
                **results.segmentation(self.accumulator, self.names, resamples),
                "methods": {name: results.method(counts, self.names, resamples) for name, counts in self.accumulator.confusion_BKK.items()},
                "default": self.accumulator.default,
                "calibration": self._calibration(),
            },
            "intervals": bootstrap.metadata(self.accumulator.blocks, self.store.info.split_block_patches),
            **({"stores": parts} if parts else {}),
        }

    def table(self) -> pd.DataFrame:
        """The rows of patches.csv."""
        share_NK, logits_NK = self.truth.share_NK, self.accumulator.per_patch()[0]
        present_NK = presence(share_NK, self.config.labels.presence_min_share).astype(bool)
        correct_N = np.where(share_NK.sum(axis=1) > 0, (present_NK == (logits_NK > 0)).mean(axis=1), np.nan)
        place_PN = np.stack([self.store.row_N[self.patches_N], self.store.col_N[self.patches_N]]).astype(np.int32)
        table = results.patch_table(self.patches_N, place_PN, self.accumulator, correct_N)
        if len(self.store.parts) > 1:
            table.insert(1, "store", np.array([*self.store.parts])[self._store_N])
        return table

    def beside(self, reference: Measurement) -> dict[str, Any]:
        """The part `reference` of metrics.json: the default methods of both runs on the same patches, and the paired difference."""
        own, other = (each.accumulator.confusion_BKK[each.accumulator.default] for each in (self, reference))
        own_S, other_S = (metrics.summary(self._resamples.sums(counts)) for counts in (own, other))
        difference = {f"{key}_difference": own_S[key] - other_S[key] for key in ("pixel_accuracy", "macro_f1")}
        part = results.method(other, self.names, self._resamples)
        return {"segmentation": {"method": reference.accumulator.default, **part}, **with_intervals(difference)}

    def _calibration(self) -> dict[str, Any]:
        """The default method's probabilities against the truth, and before calibration."""
        own = self.segmenter
        return {
            "method": own.default,
            "temperature": own.method.temperature,
            "fit": own.calibration,
            **calibration.calibration(self.accumulator.calibrated, self.names, self._resamples),
            "before": calibration.summary(self.accumulator.uncalibrated, self._resamples),
        }

    @property
    def _resamples(self) -> Bootstrap:
        return Bootstrap.of(self.accumulator.blocks)

    @property
    def _store_N(self) -> Indices:
        counts = [len(part) for part in self.store.parts.values()]
        return np.repeat(np.arange(len(counts)), counts)[self.patches_N]

    def _stores(self) -> dict[str, Any]:
        """Pixel figures of each store: its blocks are its own."""
        confusion_BKK, found = self.accumulator.confusion_BKK[self.accumulator.default], {}
        for number, name in enumerate(self.store.parts):
            blocks = np.unique(self.block_N[self._store_N == number])
            if not blocks.size:
                continue
            counts, resamples = confusion_BKK[blocks], Bootstrap.of(len(blocks))
            confusion_SKK = resamples.sums(counts)
            majority = metrics.summary(metrics.constant_confusion(confusion_SKK, metrics.majority(confusion_SKK)))["pixel_accuracy"]
            found[name] = {
                "patches": int((self._store_N == number).sum()),
                **with_intervals({"majority_accuracy": majority, **metrics.summary(confusion_SKK)}),
            }
        return found


def measure(
    predictor: Predictor, store: PatchStore, truth: Truth, progress: Progress, note: str, writer: PredictionWriter | None = None
) -> Measurement:
    """Score a run on the patches of a truth in a store; `note` names them in progress and messages, `writer` also writes the predictions.

    Raises:
        DataError: no pixel has a label and image data, or the network's outputs are not finite.
    """
    config, segmenter, patches_N = predictor.config, predictor.segmenter, truth.patches_N
    blocks_N = store.blocks(*store.info.split_block_patches)[patches_N]
    block_N = np.unique(blocks_N, return_inverse=True)[1].reshape(-1).astype(np.int64)
    sample = predictor(store, patches_N[evenly(len(patches_N), BATCH_PATCHES)], truth)
    accumulator = MetricAccumulator(len(config.store.classes), segmenter.methods, segmenter.default, block_N, activation_bounds(sample))
    for batch in predictor(store, patches_N, truth):
        accumulator.add(batch)
        if writer:
            writer.write(batch)
        progress(accumulator.patches, len(patches_N), note)
    if not accumulator.pixels:
        raise DataError(
            f"{store.path}: none of the {len(patches_N):,} patches ({note}) has a pixel with a label and image data; there is nothing to evaluate"
        )
    return Measurement(store, truth, accumulator, block_N, config, segmenter)


def activation_bounds(batches: Iterable[PatchPredictions]) -> npt.NDArray[np.float32]:
    """Histogram bins (K, E) for each class's activations, from a sample of patches: the range of activations is not known before."""
    cams_KP = np.concatenate([np.moveaxis(batch.cams_BKHW, 1, 0)[:, ~batch.nodata_BHW] for batch in batches], axis=1)
    return np.stack([bootstrap.edges(cams_P) for cams_P in cams_KP])


def same_classes(names: Sequence[str], others: Sequence[str], where: str) -> None:
    """Whether two runs have the same classes in one order.

    Raises:
        DataError: names both.
    """
    if tuple(names) != tuple(others):
        raise DataError(
            f"{where}: its classes are {', '.join(others)}, those of the run are {', '.join(names)}; name a run of the same classes"
        )
