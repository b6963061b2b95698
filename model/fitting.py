"""A run's segmentation methods, fitted on its training split and kept in RUN/segment.json.

Axis suffixes: N patch, K class, H/W rows and columns.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import xarray as xr

from model import segment
from model.checkpoint import BEST, RunConfig, file_digest
from model.data import read_labels
from model.networks import Network
from model.scoring import answers
from model.segment import Method, Sample, Segmenter
from pipeline.errors import DataError
from pipeline.store import evenly, split_indices

SAMPLE_PATCHES, SAMPLE_PIXELS = 512, 1_500_000  # at most so many of either: the work takes some 200 bytes of a pixel


def fitted_segmenter(run: Path, network: Network, config: RunConfig, dataset: xr.Dataset, device: torch.device) -> Segmenter:
    """The methods of a run's best checkpoint, from RUN/segment.json or, where that is another checkpoint's, fitted and written there.

    Raises:
        DataError: no patch lies in the training split.
        OSError: the disk says no.
    """
    digest = file_digest(run / BEST)
    if (known := segment.load(run, digest)) is not None:
        return known
    found = segment.fit(sample(network, config, dataset, device), network.dense.bias.tolist(), default_method(config))
    segment.save(run, found, digest)
    return found


def method_of(run: Path, network: Network, config: RunConfig) -> Method:
    """The method that answers for a run, without its store.

    Raises:
        DataError: its numbers have to be fitted first.
    """
    if (known := segment.load(run, file_digest(run / BEST))) is not None:
        return known.method
    if (method := segment.unfitted(network.dense.bias.tolist()).get(default_method(config))) is None:
        raise DataError(f"{run}: its segmentation ({default_method(config)}) is not fitted yet; run: cropcam evaluate {run}")
    return method


def default_method(config: RunConfig) -> str:
    """The objective's own; where the user knows the class shares and the classes share no scale, the one that uses them.

    A network that learned from spectra at borders is not told them again: it loses as often as it gains.
    """
    if config.border_spectra:
        return "score-argmax"
    return "prior-matched" if config.levels_by_prior else config.objective.method


@torch.inference_mode()
def sample(network: Network, config: RunConfig, dataset: xr.Dataset, device: torch.device) -> Sample:
    """Patches of the training split, evenly spread, at most `SAMPLE_PATCHES` and, but for one, `SAMPLE_PIXELS`; and what their labels allow."""
    train_N = split_indices(dataset, "train")
    chosen = evenly(len(train_N), min(SAMPLE_PATCHES, max(1, SAMPLE_PIXELS // config.size_px**2)))
    some_N = train_N[chosen]
    cams, valid, images = [], [], []
    for _, x_BCHW, said in answers(network, config, dataset, some_N, device):
        cams.append(said.cams_BKHW.cpu().numpy())
        valid.append(said.valid_BHW.cpu().numpy())
        images.append(x_BCHW.cpu().numpy())
    whole = read_labels(dataset, train_N, config.rule, config.classes)  # what is drawn at random depends on the whole split
    labels = whole.of(chosen)
    present_NK = labels.image_NK if labels.kind == "presence" else None
    questions = present_NK is not None and not config.objective.exclusive
    known_N = slice(None) if present_NK is None else ~np.isnan(present_NK).any(axis=1)
    return Sample(
        cams_NKHW=np.concatenate(cams)[known_N],
        x_NCHW=np.concatenate(images)[known_N],
        valid_NHW=np.concatenate(valid)[known_N],
        present_NK=None if present_NK is None else present_NK[known_N] > 0,
        min_share=config.presence_min_share,
        always_K=whole.always() if questions else None,
        prior_K=np.array(config.class_prior) if config.class_prior else whole.class_shares(len(config.classes)),
        truth_K=dataset["share"][some_N].to_numpy().mean(axis=0, dtype=np.float64),
    )
