"""Predictions of a trained run over patches of its store, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cropcam.model.data.normalization import Normalization, standardise
from cropcam.model.losses.objectives import ModelOutputs
from cropcam.model.networks import Network
from cropcam.model.networks.cam import argmax_classes
from cropcam.model.runs.config import RunConfig, StorePart, StoreRecord, store_differences
from cropcam.model.segmentation.methods import Segmenter
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.store.joined import join
from cropcam.pipeline.store.patch_store import PatchStore, open_store

BATCH_PATCHES = 64
Indices = npt.NDArray[np.int64]
Classes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class PatchPredictions:
    """Truth and predictions of a batch of patches, as numpy."""

    patches_B: Indices  # indices along the store's patch dimension
    nodata_BHW: npt.NDArray[np.bool_]  # pixels that are not valid: without image data in some band, or in every season
    truth_BHW: Classes  # class index; `UNLABELLED` (255) without a label or image data: no metric counts the pixel
    logits_BK: Floats  # one per class; above 0 = present
    cams_BKHW: Floats  # activation maps at full resolution
    segmentation_BHW: dict[str, Classes]  # class index by method name
    default: str  # the name of the run's default method
    probability_BKHW: Floats  # of each class by the default method
    uncalibrated_BKHW: Floats  # the same with temperature 1

    @property
    def segmented_BHW(self) -> Classes:
        """Class index by the default method; `UNLABELLED` (255) without image data."""
        return np.where(self.nodata_BHW, np.uint8(UNLABELLED), self.segmentation_BHW[self.default])


def open_trained_store(run: Path, config: RunConfig, store: Path | None = None) -> PatchStore:
    """The store a run was trained on, at the path of its configuration or at `store`; of a run on several stores their join.

    Raises:
        ConfigError: `store` is given for a run on several stores.
        DataError: it is missing or another store; names both digests and the first field that differs.
    """
    if not config.stores:
        return _opened(run, run / config.store.path if store is None else store, config.store)
    if store is not None:
        raise ConfigError(
            f"{run} was trained on {len(config.stores)} stores; --store names the place of one: put them back where they were "
            f"({', '.join(str(run / part.path) for part in config.stores)})"
        )
    parts = [_opened(run, run / part.path, part) for part in config.stores]
    return join(parts, [part.name for part in config.stores if part.held_out], [part.name for part in config.stores])


def _opened(run: Path, path: Path, trained: StoreRecord | StorePart) -> PatchStore:
    if not path.exists():
        raise DataError(f"{run} was trained on the store {path}, which is missing; pass its path with --store, or train again")
    opened = open_store(path)
    if differences := store_differences(trained, opened.info):
        more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
        raise DataError(
            f"{run} was trained on store {trained.digest[:12]}, {path} is store {opened.info.digest[:12]}: "
            f"{differences[0]}{more}; pass the right one with --store, or train again"
        )
    return opened


@torch.inference_mode()
def forward_batches(
    network: Network, config: RunConfig, store: PatchStore, patches: Indices, device: torch.device, seen_S: Sequence[bool] = ()
) -> Iterator[tuple[Indices, Tensor, ModelOutputs]]:
    """Forward passes over patches in the given order, `BATCH_PATCHES` at a time: indices, standardised images (B, C, H, W), outputs.

    `seen_S` is False for seasons that count as missing everywhere, of a network that takes missing ones; all are seen by default.

    `ModelOutputs` computes its maps when first used: use them in inference mode, or autograd records them.
    """
    normalization = Normalization.of(config, device, store.encoding)
    seen_1S11 = torch.tensor(seen_S, device=device).view(1, -1, 1, 1) if seen_S else None
    for start in range(0, len(patches), BATCH_PATCHES):
        batch_B = patches[start : start + BATCH_PATCHES]
        x_BCHW, valid_BHW = standardise(torch.from_numpy(store.images(batch_B)).to(device), normalization, seen_1S11)
        yield batch_B, x_BCHW, ModelOutputs(network, network(x_BCHW, valid_BHW, pooled=config.objective.uses_image_logits), valid_BHW)


@torch.inference_mode()
def predict_patches(
    network: Network,
    config: RunConfig,
    store: PatchStore,
    patches: Indices,
    device: torch.device,
    segmenter: Segmenter,
    truth: Callable[[Indices], Classes] | None = None,
) -> Iterator[PatchPredictions]:
    """Predictions in batches of `BATCH_PATCHES` patches, in the given order; one batch is in memory at a time.

    `truth` is the class of each pixel of some patches (B, H, W); by default the store's labels, of a store without labels nowhere.

    Raises:
        DataError: an output of the network is not finite.
    """
    if truth is None and store.info.has_labels:
        truth = store.classes
    for patches_B, x_BCHW, outputs in forward_batches(network, config, store, patches, device):
        nodata_BHW = ~outputs.valid_BHW.cpu().numpy()
        truth_BHW = truth(patches_B) if truth else np.full_like(nodata_BHW, UNLABELLED, np.uint8)
        logits_BK, cams_BKHW = config.objective.presence_logits(outputs, config.labels.presence_min_share), outputs.cams_BKHW
        chosen = segmenter.method
        uncalibrated_BKHW = chosen.uncalibrated(cams_BKHW, x_BCHW, outputs.valid_BHW)
        logits_BKHW = chosen.calibrated(uncalibrated_BKHW)
        if not all(values.isfinite().all() for values in (logits_BK, cams_BKHW, uncalibrated_BKHW, logits_BKHW)):  # a method may overflow
            raise DataError("the network's outputs are not finite: its training diverged; train again with a lower --lr")
        yield PatchPredictions(
            patches_B=patches_B,
            nodata_BHW=nodata_BHW,
            truth_BHW=np.where(nodata_BHW, np.uint8(UNLABELLED), truth_BHW),
            logits_BK=logits_BK.cpu().numpy(),
            cams_BKHW=cams_BKHW.cpu().numpy(),
            segmentation_BHW={
                name: (argmax_classes(logits_BKHW).byte() if method is chosen else method(cams_BKHW, x_BCHW, outputs.valid_BHW))
                .cpu()
                .numpy()
                for name, method in segmenter.methods.items()
            },
            default=segmenter.default,
            probability_BKHW=logits_BKHW.float().softmax(dim=1).cpu().numpy(),
            uncalibrated_BKHW=uncalibrated_BKHW.float().softmax(dim=1).cpu().numpy(),
        )
