"""A run's segmentation methods, fitted on its training split, levels at borders on labels of its validation split, and kept in RUN/segment.json.

Axis suffixes: N patch, K class, H/W rows and columns.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from model import segment
from model.checkpoint import BEST, RunConfig, file_digest
from model.data import read_labels
from model.levels import Answers, border_levels
from model.losses import Batch, Targets
from model.networks import Network
from model.scoring import Indices, answers
from model.segment import BORDER_LEVELS, Method, Sample, Segmenter
from model.spectra import borders
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
    found = segment.fit(sample(network, config, dataset, device), network.dense.bias.tolist(), _without_levels(config))
    if (spectra := found.methods.get("border-spectra")) and _fits_levels(config):
        answered = held_out(network, config, dataset, device, spectra)
        levels = border_levels(answered, config.objective, config.presence_min_share, len(config.classes))
        if levels is not None:
            ours = replace(spectra, name=BORDER_LEVELS, level_K=levels)
            found = Segmenter(found.methods | {BORDER_LEVELS: ours}, default_method(config))
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
    """Spectra and levels at borders, where the classes exclude each other and single patches or points are labelled; else the objective's own.

    Where the user knows the class shares and the classes share no scale, the one that uses them.
    """
    return BORDER_LEVELS if _fits_levels(config) else _without_levels(config)


def _fits_levels(config: RunConfig) -> bool:
    return config.objective.exclusive and config.labels != "pixels" and not config.grouped


def _without_levels(config: RunConfig) -> str:
    """A network that learned from spectra at borders is not told them again: without levels it loses as often as it gains."""
    if config.border_spectra:
        return "score-argmax"
    return "prior-matched" if config.levels_by_prior else config.objective.method


@torch.inference_mode()
def sample(network: Network, config: RunConfig, dataset: xr.Dataset, device: torch.device) -> Sample:
    """Patches of the training split, evenly spread, at most `SAMPLE_PATCHES` and, but for one, `SAMPLE_PIXELS`; and what their labels allow."""
    train_N, chosen = _some(dataset, "train", config)
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


def held_out(network: Network, config: RunConfig, dataset: xr.Dataset, device: torch.device, method: Method) -> list[Answers]:
    """What a method says of patches of the validation split, as many as `sample` has, with their labels."""
    validation_N, chosen = _some(dataset, "validation", config)
    labels = read_labels(dataset, validation_N, config.rule, config.classes).of(chosen)
    image_NK, pixel_NHW = labels.image_NK, labels.pixel_NHW
    found, start = [], 0
    for part_N, x_BCHW, said in answers(network, config, dataset, validation_N[chosen], device):
        part, start = slice(start, start + len(part_N)), start + len(part_N)
        with torch.inference_mode():
            scores_BKHW = method.scores(said.cams_BKHW, x_BCHW, said.valid_BHW)
            border_BHW = borders(said.scores_BKHW.argmax(dim=1))
        # copies on the CPU, for gradients: what inference made has none
        scores_BKHW, border_BHW, valid_BHW = (each.to("cpu", copy=True) for each in (scores_BKHW, border_BHW, said.valid_BHW))
        image_BK, pixel_BHW = (None if each is None else torch.from_numpy(each[part]) for each in (image_NK, pixel_NHW))
        targets = Targets(valid_BHW, image_BK, pixel_BHW)
        found.append(Answers(Batch(network, said.output, valid_BHW).rescored(scores_BKHW), border_BHW, targets))
    return found


def _some(dataset: xr.Dataset, split: str, config: RunConfig) -> tuple[Indices, Indices]:
    """Patches of a split, and the places among them of some, evenly spread."""
    split_N = split_indices(dataset, split)
    return split_N, evenly(len(split_N), min(SAMPLE_PATCHES, max(1, SAMPLE_PIXELS // config.size_px**2)))
