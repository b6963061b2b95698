"""A run's segmentation methods, fitted on its training split, levels at borders on labels of its validation split, and kept in RUN/segment.json.

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
from model.labels import WeakLabels
from model.levels import Answers, border_levels
from model.losses import Targets
from model.networks import Network
from model.recipes import WITH_LEVELS
from model.scoring import answers
from model.segment import Method, Sample, Segmenter
from model.weighing import class_weights
from pipeline.errors import DataError
from pipeline.store import evenly, split_indices

SAMPLE_PATCHES, SAMPLE_PIXELS = 512, 1_500_000  # at most so many of either: the work takes some 200 bytes of a pixel


def fitted_segmenter(run: Path, network: Network, config: RunConfig, dataset: xr.Dataset, device: torch.device) -> Segmenter:
    """The methods of a run's best checkpoint, from RUN/segment.json or, where that is another checkpoint's, fitted and written there.

    Raises:
        DataError: no patch lies in the training split, or none in the validation split.
        OSError: the disk says no.
    """
    digest = file_digest(run / BEST)
    if (known := segment.load(run, digest)) is not None:
        return known
    whole = read_labels(dataset, split_indices(dataset, "train"), config.rule, config.classes)
    found = segment.fit(sample(network, config, dataset, device, whole), network.dense.bias.tolist(), _plain_method(config))
    base = found.methods.get("score-argmax" if config.border_spectra else "border-spectra")
    if base and _fits_levels(config):
        said = held_out(network, config, dataset, device, base)
        weights = class_weights(_moving_weights(config), whole, len(config.classes))
        weight_K = None if weights is None else torch.from_numpy(weights[1])
        if level_K := border_levels(said, config.objective, config.presence_min_share, len(config.classes), weight_K=weight_K):
            found = segment.with_levels(found, base, level_K, default=default_method(config) == segment.BORDER_LEVELS)
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
    """The objective's own, but levels at borders for `fcn`, on which they were measured.

    Where the user knows the class shares and the classes share no scale, what uses them.
    """
    return segment.BORDER_LEVELS if config.model == "fcn" and _fits_levels(config) else _plain_method(config)


def _fits_levels(config: RunConfig) -> bool:
    """Not for groups, which may lie in several batches, nor where weights move the answer far to rare classes: levels would take it back."""
    single = config.labels != "pixels" and not config.grouped
    return config.objective.level_prior is not None and single and _moving_weights(config) in WITH_LEVELS


def _moving_weights(config: RunConfig) -> str:
    """The class weights that move the answer: those of shares do not."""
    return "none" if config.labels == "shares" else config.class_weights


def _plain_method(config: RunConfig) -> str:
    """A network that learned from spectra at borders is not told them again, with levels or without: it loses as often as it gains."""
    if config.border_spectra:
        return "score-argmax"
    return "prior-matched" if config.levels_by_prior else config.objective.method


@torch.inference_mode()
def sample(network: Network, config: RunConfig, dataset: xr.Dataset, device: torch.device, whole: WeakLabels) -> Sample:
    """Patches of the training split, evenly spread, at most `SAMPLE_PATCHES` and, but for one, `SAMPLE_PIXELS`; and what their labels allow.

    `whole`: of the whole split, on which depends what is drawn at random.
    """
    train_N = split_indices(dataset, "train")
    chosen = evenly(len(train_N), _at_most(config))
    some_N = train_N[chosen]
    cams, valid, images = [], [], []
    for _, x_BCHW, said in answers(network, config, dataset, some_N, device):
        cams.append(said.cams_BKHW.cpu().numpy())
        valid.append(said.valid_BHW.cpu().numpy())
        images.append(x_BCHW.cpu().numpy())
    labels = whole.of(chosen)
    present_NK = labels.image_NK if labels.kind == "presence" else None
    questions = present_NK is not None and not config.objective.exclusive
    known_N = slice(None) if present_NK is None else labels.labelled()
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
    """What a method says of labelled patches of the validation split, as many as `sample` has, with their labels."""
    validation_N = split_indices(dataset, "validation")
    whole = read_labels(dataset, validation_N, config.rule, config.classes)
    labelled = np.flatnonzero(whole.labelled())
    chosen = labelled[evenly(len(labelled), _at_most(config))]
    labels, found, start = whole.of(chosen), [], 0
    for part_N, x_BCHW, said in answers(network, config, dataset, validation_N[chosen], device):
        part, start = slice(start, start + len(part_N)), start + len(part_N)
        with torch.inference_mode():
            scores_BKHW, border_BHW = method.scores(said.cams_BKHW, x_BCHW, said.valid_BHW), method.borders(said.cams_BKHW)
        # copies on the CPU, for gradients: what inference made has none
        scores_BKHW, border_BHW, valid_BHW = (each.to("cpu", copy=True) for each in (scores_BKHW, border_BHW, said.valid_BHW))
        image_BK, pixel_BHW = (None if each is None else torch.from_numpy(each[part]) for each in (labels.image_NK, labels.pixel_NHW))
        answered = Answers(scores_BKHW, border_BHW, Targets(valid_BHW, image_BK, pixel_BHW))
        found.append(answered if pixel_BHW is None else answered.of_labelled_pixels())
    return found


def _at_most(config: RunConfig) -> int:
    """How many patches the fit looks at."""
    return min(SAMPLE_PATCHES, max(1, SAMPLE_PIXELS // config.size_px**2))
