"""The log lines before training: how many patches and labels there are, and which of them carry no information."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import compress

import numpy as np

from cropcam.model.data.dataset import Patches
from cropcam.model.data.sampler import BAG_RUN
from cropcam.model.evaluation.notes import join_words
from cropcam.model.labels.weak_labels import WeakLabels
from cropcam.model.runs.config import RunConfig
from cropcam.model.training.label_accuracy import constant_accuracy
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.store.compatible import apart_in_the_year
from cropcam.pipeline.store.patch_store import PatchStore
from cropcam.pipeline.store.schema import SPLITS

INFORMATIVE = (0.03, 0.97)  # a presence label whose base rate lies outside carries almost no information


def log_data_summary(store: PatchStore, train_split: Patches, validation: Patches, config: RunConfig, log: Callable[[str], None]) -> None:
    """Log patches and labels of the splits and the accuracy of the best constant prediction; then warnings."""
    options, size = config.labels, len(train_split)
    counts = [int((store.split_N == number).sum()) for number in range(len(SPLITS))]
    steps = math.ceil(size * config.optimizer.passes / config.data.batch_size) * config.optimizer.epochs
    log(
        f"{', '.join(f'{count:,} {name}' for name, count in zip(SPLITS, counts, strict=True))} patches; {_labels_line(train_split.labels)}; "
        f"the best constant prediction agrees with {constant_accuracy(validation.labels, train_split.labels):.4f} of the validation labels"
    )
    if not config.is_fitted:
        each = f", {config.optimizer.passes} passes each" if config.optimizer.passes > 1 else ""
        log(f"{steps:,} steps in {config.optimizer.epochs} epochs over {size:,} patches{each}")
    parts = {"train": train_split, "validation": validation} if validation is not train_split else {"train and validation": train_split}
    for note in train_split.labels.notes:
        log(f"{options.file}: {note}")
    if options.points:
        log(
            f"{options.points}: "
            + ", ".join(f"{part.labels.n_unmatched:,} of its points lie outside the patches of {name}" for name, part in parts.items())
        )
    elif options.file or options.share_step or options.share_noise:
        sizes = {name: _patches_of(name, counts) for name in parts}
        without = (
            f"{sizes[name] - int(part.labels.labelled().sum()):,} of {sizes[name]:,} patches of {name}" for name, part in parts.items()
        )
        why = ", as all their shares are rounded to 0" if options.share_step else ""
        log(f"{options.file or config.label_spec}: no label in {', '.join(without)}{why}")
    (first, one), *others = store.parts.items()
    for name, part in others:
        if seasons := apart_in_the_year(one.info, part.info):
            log(f"warning: the images of {first} and {name} have no day of the year in common ({seasons}): crops look otherwise then")
    for line in uninformative_labels(train_split.labels, store.info.classes.names):
        log(f"warning: {line}")
    if options.bag_size > (most := min(BAG_RUN, config.data.batch_size)):
        log(f"warning: a step has {most} patches of a bag of {options.bag_size}, whose proportions differ from the bag's")
    if config.data.batch_size > size:
        log(f"warning: --batch-size {config.data.batch_size} is more than the {size} training patches: one step per epoch")
    for band, std in zip(store.bands, store.info.statistics["std"], strict=True):
        if std == 0:
            log(f"warning: band {band} is constant over the training split: it carries no information")


def _patches_of(splits: str, counts: list[int]) -> int:
    return sum(count for name, count in zip(SPLITS, counts, strict=True) if name in splits.split(" and "))


def uninformative_labels(labels: WeakLabels, names: tuple[str, ...]) -> Iterator[str]:
    """One line per class whose training labels are nearly constant or absent."""
    if labels.kind == "presence":
        assert labels.image_NK is not None
        for name, rate in zip(names, np.nanmean(labels.image_NK, axis=0), strict=True):
            if not INFORMATIVE[0] <= rate <= INFORMATIVE[1]:
                hint = "; a larger --presence-min-share helps" if rate > INFORMATIVE[1] else ""
                yield f"{name} is present in {rate:.1%} of the training patches: the label carries almost no information{hint}"
        ubiquitous_K = labels.ubiquitous_classes()
        if ubiquitous_K is not None and ubiquitous_K.sum() > 1:
            yield f"nearly every training patch has {join_words(list(compress(names, ubiquitous_K)))}: these labels do not locate them"
        return
    share_K = labels.class_pixels()[: len(names)] if labels.image_NK is None else np.nanmean(labels.image_NK, axis=0)
    for name, share in zip(names, share_K / share_K.sum(), strict=True):
        if share > INFORMATIVE[1]:
            yield f"the training labels are {name} for {share:.1%}: there is almost nothing to separate"
        if share == 0:
            yield f"no training label is {name}: it cannot be learned"


def _labels_line(labels: WeakLabels) -> str:
    if labels.pixel_NHW is not None:
        return f"{int((labels.pixel_NHW != UNLABELLED).sum()):,} labelled pixels"
    assert labels.image_NK is not None
    known_N = labels.labelled()
    if labels.kind == "presence":
        return f"{np.nansum(labels.image_NK) / max(known_N.sum(), 1):.2f} of {labels.image_NK.shape[1]} labels per patch"
    bags = int(known_N.sum()) if labels.bag_N is None else len(np.unique(labels.bag_N[known_N]))
    return f"{labels.kind} of {bags:,} {'patches' if labels.bag_N is None else 'bags of patches'}"
