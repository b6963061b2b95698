"""What is said before training: how much there is to learn from, and what of it says nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import compress

import numpy as np
import xarray as xr

from cropcam.model.data.dataset import Patches
from cropcam.model.evaluation.notes import join_words
from cropcam.model.labels.weak_labels import WeakLabels
from cropcam.model.runs.config import RunConfig
from cropcam.model.training.label_accuracy import constant_accuracy
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.store.schema import SPLITS, StoreInfo

INFORMATIVE = (0.03, 0.97)  # a label whose base rate lies outside carries next to no information


def log_data_summary(
    dataset: xr.Dataset, train_split: Patches, validation: Patches, config: RunConfig, info: StoreInfo, log: Callable[[str], None]
) -> None:
    """Patches and labels of the splits, beside what a constant answer reaches; then what carries no information."""
    counts = np.bincount(dataset["split"].to_numpy(), minlength=len(SPLITS))
    log(
        f"{', '.join(f'{count} {name}' for name, count in zip(SPLITS, counts, strict=True))} patches; {_labels_line(train_split.labels)}; "
        f"the best constant answer agrees with {constant_accuracy(validation.labels):.4f} of the validation labels"
    )
    if config.labels.points:
        log(
            f"{config.labels.points}: {train_split.labels.n_unmatched:,} of its points lie outside the patches of the train split, "
            f"{validation.labels.n_unmatched:,} outside those of the validation split"
        )
    if config.labels.share_step or config.labels.share_noise:
        without = [len(each) - int(each.labels.labelled().sum()) for each in (train_split, validation)]
        log(
            f"{config.label_spec}: {without[0]:,} of {len(train_split):,} patches of the train split have no label, {without[1]:,} of "
            f"{len(validation):,} of the validation split, as nothing is left of their shares"
        )
    if config.labels.areas:
        log(
            f"{config.labels.areas}: {train_split.labels.n_unmatched:,} of {len(train_split):,} patches of the train split lie in no polygon, "
            f"{validation.labels.n_unmatched:,} of {len(validation):,} of the validation split: they have no label"
        )
    for line in uninformative_labels(train_split.labels, info.classes.names):
        log(f"warning: {line}")
    if config.labels.bag_size > config.data.batch_size:
        log(
            f"warning: batches of {config.data.batch_size} hold only parts of the groups of {config.labels.bag_size} patches, whose shares they are "
            f"not; --batch-size {config.labels.bag_size} helps"
        )
    if config.data.batch_size > len(train_split):
        log(f"warning: --batch-size {config.data.batch_size} is more than the {len(train_split)} training patches: one step per epoch")
    for band, std in zip(info.bands, info.statistics["std"], strict=True):
        if std == 0:
            log(f"warning: band {band} is constant over the training split: it carries no information")


def uninformative_labels(labels: WeakLabels, names: tuple[str, ...]) -> Iterator[str]:
    """What of the training labels is nearly always the same, or never there."""
    if labels.kind == "presence":
        assert labels.image_NK is not None
        for name, rate in zip(names, np.nanmean(labels.image_NK, axis=0), strict=True):
            if not INFORMATIVE[0] <= rate <= INFORMATIVE[1]:
                yield f"label {name} holds for {rate:.1%} of the training patches: it carries next to no information{_hint(rate)}"
        ubiquitous_K = labels.ubiquitous_classes()
        if ubiquitous_K is not None and ubiquitous_K.sum() > 1:
            yield f"next to no training patch lacks {join_words(list(compress(names, ubiquitous_K)))}: these labels tell nothing of which pixels are which of them"
        return
    share_K = labels.class_pixels()[: len(names)] if labels.image_NK is None else np.nanmean(labels.image_NK, axis=0)
    for name, share in zip(names, share_K / share_K.sum(), strict=True):
        if share > INFORMATIVE[1]:
            yield f"the training labels say {name} {share:.1%} of the time: there is next to nothing to tell apart"
        if share == 0:
            yield f"no training label names {name}: it cannot be learned"


def _labels_line(labels: WeakLabels) -> str:
    if labels.pixel_NHW is not None:
        return f"{int((labels.pixel_NHW != UNLABELLED).sum()):,} labelled pixels"
    assert labels.image_NK is not None
    known_N = labels.labelled()
    if labels.kind == "presence":
        return f"{np.nansum(labels.image_NK) / max(known_N.sum(), 1):.2f} of {labels.image_NK.shape[1]} labels per patch"
    groups = int(known_N.sum()) if labels.bag_N is None else len(np.unique(labels.bag_N[known_N]))
    return f"{labels.kind} of {groups:,} {'patches' if labels.bag_N is None else 'groups of patches'}"


def _hint(rate: float) -> str:
    return "; a larger --presence-min-share helps" if rate > INFORMATIVE[1] else ""
