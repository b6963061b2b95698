"""Fits the segmentation methods of a run to the images and weak labels of its training split, and their temperatures to its validation split.

Written to RUN/segment.json. A file of a version without calibration is fitted again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cropcam.model.data.dataset import read_labels
from cropcam.model.networks import Network
from cropcam.model.runs.checkpoint import BEST
from cropcam.model.runs.config import RunConfig
from cropcam.model.segmentation import methods as segmentation
from cropcam.model.segmentation.calibration import calibrated
from cropcam.model.segmentation.methods import Method, Segmenter
from cropcam.model.segmentation.predictions import forward_batches
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.runtime.hashing import file_sha256
from cropcam.pipeline.runtime.progress import silent
from cropcam.pipeline.runtime.terminal import quoted
from cropcam.pipeline.store.patch_store import PatchStore
from cropcam.pipeline.store.schema import evenly

REFINED = "fcn"  # the spectral refinement is the default of this network alone, on which it was measured
SAMPLE_PATCHES, SAMPLE_PIXELS = 512, 1_500_000  # at most; the fit needs about 200 bytes per pixel


def fitted_segmenter(run: Path, network: Network, config: RunConfig, store: PatchStore, device: torch.device) -> Segmenter:
    """The methods of a run's selected checkpoint, read from RUN/segment.json, or fitted and written there.

    Raises:
        DataError: the training split is empty.
        OSError: writing failed.
    """
    digest = file_sha256(run / BEST)
    if (fitted := segmentation.load(run, digest)) is not None:
        return fitted
    bias_K = network.dense.bias.tolist()
    methods = segmentation.unfitted(bias_K)
    plain = methods[segmentation.LOGIT_ARGMAX]
    if not config.objective.is_softmax:
        labels = read_labels(store, store.split_indices("train"), config.label_spec, config.store.classes)
        ubiquitous_K = labels.ubiquitous_classes()
        if ubiquitous_K is not None and ubiquitous_K.any() and not ubiquitous_K.all():
            plain = segmentation.remainder_class(bias_K, ubiquitous_K)
            methods[plain.name] = plain
    cams_NKHW, x_NCHW, valid_NHW = _sample(network, config, store, device)
    if valid_NHW.any():
        methods[segmentation.SPECTRAL] = segmentation.spectral(plain, cams_NKHW, x_NCHW, valid_NHW)
        if config.matches_prior:
            cams_PK = cams_NKHW.movedim(1, -1)[valid_NHW].numpy()
            methods[segmentation.PRIOR_MATCHED] = segmentation.prior_matched(plain, cams_PK, np.array(config.labels.class_prior))
    default = default_method(config)
    methods, fitted_to = calibrated(methods, network, config, store, device)
    segmenter = Segmenter(methods, default if default in methods else plain.name, fitted_to)
    segmentation.save(run, segmenter, digest)
    return segmenter


def method_of(run: Path, network: Network, config: RunConfig, name: str | None = None, log: Callable[[str], object] = silent) -> Method:
    """A method of a run, its default one without a name, without its store; a line to `log` where its probabilities are not calibrated.

    Raises:
        ConfigError: the run has no such method, or there is none of this name.
        DataError: it is not fitted yet.
    """
    fitted = segmentation.load(run, file_sha256(run / BEST))
    if fitted is not None and (name is None or name in fitted.methods):
        return fitted.methods[name or fitted.default]
    if fitted is not None:
        raise ConfigError(f"--method {name}: {run} has {', '.join(fitted.methods)}; its default is {fitted.default}")
    wanted = name or default_method(config)
    if wanted not in segmentation.NAMES:
        raise ConfigError(f"--method {name}: no such method; choose one of {', '.join(segmentation.NAMES)}")
    if (method := segmentation.unfitted(network.dense.bias.tolist()).get(wanted)) is None:
        raise DataError(f"{run}: its segmentation ({wanted}) is not fitted yet; run: cropcam evaluate {quoted(run)}")
    why = "is of another checkpoint or version, or damaged" if (run / segmentation.SEGMENT).exists() else "is absent"
    log(f"warning: probabilities are not calibrated, {run / segmentation.SEGMENT} {why}; run: cropcam evaluate {quoted(run)}")
    return method


def default_method(config: RunConfig) -> str:
    """The name of a run's default method: matched to known class shares, else refined where that was measured, else the objective's."""
    if config.matches_prior:
        return segmentation.PRIOR_MATCHED
    if config.network.model == REFINED and config.labels.labels != "pixels" and config.objective.method == segmentation.LOGIT_ARGMAX:
        return segmentation.SPECTRAL
    return config.objective.method


@torch.inference_mode()
def _sample(network: Network, config: RunConfig, store: PatchStore, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Activation maps (N, K, H, W), standardised images (N, C, H, W), valid pixels (N, H, W) of evenly spread training patches, on the CPU."""
    train_N = store.split_indices("train")
    sampled_N = train_N[evenly(len(train_N), min(SAMPLE_PATCHES, max(1, SAMPLE_PIXELS // config.store.size_px**2)))]
    batches = [
        (outputs.cams_BKHW.cpu(), x_BCHW.cpu(), outputs.valid_BHW.cpu())
        for _, x_BCHW, outputs in forward_batches(network, config, store, sampled_N, device)
    ]
    return tuple(torch.cat(parts) for parts in zip(*batches, strict=True))  # type: ignore[return-value]
