"""The training and the validation split of a run: read, checked, and put together where the labels are few."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from cropcam.model.data.dataset import Patches, labels_of_splits, labels_without_image, read_split
from cropcam.model.labels.fields import forget_fields
from cropcam.model.labels.point_files import forget_points
from cropcam.model.labels.points import has_splits
from cropcam.model.labels.weak_labels import WeakLabels
from cropcam.model.networks import network_class
from cropcam.model.runs.config import RunConfig
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.store.patch_store import PatchStore

# A run has about so many steps at least: 16 epochs over the 1,969 training patches of the scene that the settings were chosen on have 992.
# With few patches these would be too many passes: 1,000 steps over the 125 patches of 16 polygons end at .586, 300 at .669, 150 at .680;
# over the 196 patches of larger ones 1,000 end at .698, 600 at .723, 300 at .688 (dakota-2015, right half, one seed).
MIN_STEPS, MOST_PASSES, FEWEST_STEPS = 1000, 80, 300
ADAPTED_STEPS = 150  # of a run that goes on from another one; 400 were no better (docs/transfer.md)
# Labels of a file in the validation split below which no epoch can be selected by them: they are trained on.
FEW_BAGS, FEW_LABELS = 4, 20
_NOTHING = "there is nothing to learn from; "


def read_splits(config: RunConfig, store: PatchStore, device: torch.device, log: Callable[[str], None]) -> tuple[Patches, Patches]:
    """The patches that are trained on and those that are validated on; warnings are logged.

    Patches without a label are left out, unless the run uses their images. Where a file of labels leaves the validation split almost
    none, the labels of both splits are trained on, and the validation is that of the same labels: the results are one object.

    Raises:
        ConfigError: a batch of one patch would be left, from which the network cannot learn.
        DataError: a split is empty or has no label, or the store is damaged.
    """
    spec, legend = config.label_spec, config.store.classes
    has_own = has_splits(spec, legend)
    splits = [split for split in ("train", "validation") if has_own or store.has_patches(split) or not spec.file]
    read = [labels_of_splits(store, [split], spec, legend) for split in splits]
    indices, labels = [index_N for index_N, _ in read], [own_labels for _, own_labels in read]
    few = FEW_LABELS if labels[0].bag_N is None else FEW_BAGS
    count = sum(each.count for each in labels[1:])
    if count < few and spec.file and labels[0].count + count:
        index_N, own_labels = labels_of_splits(store, splits, spec, legend)
        indices, labels = [index_N], [own_labels]
        what = "polygons" if labels[0].bag_N is not None else "labels"
        log(
            f"warning: {spec.file}: {count} of its {labels[0].count:,} {what} lie in the validation split, too few to select an epoch by: all "
            f"are trained on, and the validation below is that of the same {what}"
        )
    forget_fields()
    forget_points()
    names = ("train", "validation") if len(labels) > 1 else ("train or validation",)
    found = []
    for split, index_N, own in zip(names, indices, labels, strict=True):
        _check_labels(split, own, config)
        kept = np.arange(len(own)) if config.uses_unlabelled else np.flatnonzero(own.labelled())
        patches = read_split(store, index_N[kept], spec, legend, config.data.data_loading, device, labels=own.of(kept))
        if own.kind == "points":
            _check_image_at_points(store, split, patches, config, log)
        found.append(patches)
    return found[0], found[-1]


def passes(config: RunConfig, patches: int) -> int:
    """Passes over the training split in one epoch: those of the settings, else the number that comes nearest to the steps that it should have at least."""
    if config.optimizer.passes or config.is_fitted:
        return config.optimizer.passes or 1
    steps_of_pass = patches / config.data.batch_size
    few = max(FEWEST_STEPS, MOST_PASSES * steps_of_pass)
    steps = ADAPTED_STEPS if Path(config.network.init or " ").is_dir() else min(MIN_STEPS, few)
    return max(1, round(steps / config.optimizer.epochs / steps_of_pass))


def check_batches(config: RunConfig, patches: int) -> None:
    """Refuse a batch of one patch where the network cannot learn from it.

    Raises:
        ConfigError: names the batch size.
    """
    size, kind = config.data.batch_size, config.network.model
    if config.store.size_px < network_class(kind).lone_size_px and 1 in (size, patches * config.optimizer.passes % size):
        raise ConfigError(
            f"--batch-size {size} leaves a batch of one of {patches} training patches: {kind} cannot learn "
            f"from one patch of {config.store.size_px} px; take another size, or --model fcn"
        )


def _check_labels(split: str, labels: WeakLabels, config: RunConfig) -> None:
    options = config.labels
    if labels.labelled().any():
        return
    if options.file:
        what = f"none of its {labels.n_unmatched:,} points lies in a patch of the {split} split"
        what = f"none of its fields gives a label to a patch of the {split} split" if options.fields else what
        what = f"no patch of the {split} split has its centre in one of the polygons" if options.areas else what
        details = "".join(f"; {note}" for note in labels.notes)
        raise DataError(f"{options.file}: {what}{details}: {_NOTHING}'cropcam check' draws where the patches lie")
    step = options.share_step
    hint = f", or take a smaller share_step: shares up to {step / 2:g} round to 0" if step else ""
    raise DataError(f"no patch of the {split} split has a label: {_NOTHING}inspect the store with 'cropcam check'{hint}")


def _check_image_at_points(store: PatchStore, split: str, patches: Patches, config: RunConfig, log: Callable[[str], None]) -> None:
    points, blank = int(patches.labels.class_pixels().sum()), labels_without_image(store, patches, config.seasons)
    where = f"of the {points:,} labelled pixels of the {split} split lie where a band has no image data"
    if blank == points:
        raise DataError(f"{config.labels.file or config.store.path}: all {where}: {_NOTHING}inspect the store with 'cropcam check'")
    if blank:
        log(f"warning: {blank:,} {where}: no loss counts them")
