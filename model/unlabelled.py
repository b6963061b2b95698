"""Patches without a label, whose images own labels are learned from beside the training split.

Their labels are never read. Axis suffixes: N patch, B batch, C band, H/W rows and columns, K class.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from model.checkpoint import RunConfig
from model.data import Patches, batches, read_patches
from model.labels import WeakLabels
from model.losses import Targets
from model.plan import plan_epoch, plan_passes
from model.ranks import Ranks
from model.scaling import Scaling
from model.selflabels import BEGIN
from pipeline.legend import UNLABELLED
from pipeline.store import SPLITS

SHARE = 0.5  # of a batch: so many come behind it
LABELLED = 500  # patches with a label; a hundred are too few to hold own labels of more ground in place (docs/decisions/0022)


@dataclass(frozen=True)
class Unlabelled:
    """The patches of the splits that a run may learn from without their labels.

    Attributes:
        patches: with labels that say nothing.
        config: of the run.
    """

    patches: Patches
    config: RunConfig

    @classmethod
    def of(cls, dataset: xr.Dataset, config: RunConfig, device: torch.device, validation: Patches) -> Unlabelled | None:
        """Those of a run; None where it has none. Images of validation that are in memory are not read again.

        Raises:
            DataError: the store's data are damaged or missing.
        """
        splits = config.unlabelled_splits
        index = np.flatnonzero(np.isin(dataset["split"].to_numpy(), [SPLITS.index(split) for split in splits]))
        if not len(index):
            return None
        labels = WeakLabels(config.labels, np.full((len(index), len(config.classes)), np.nan, np.float32))
        if splits == ("validation",) and validation.dn_NCHW is not None:
            return cls(replace(validation, labels=labels), config)
        return cls(read_patches(dataset, index, lambda: labels, f"{' or '.join(splits)} split", config.feed, device), config)

    def __str__(self) -> str:
        """One line: how many, and of which splits."""
        splits = " and ".join(self.config.unlabelled_splits)
        return (
            f"from {100 * BEGIN:g} % of the epochs on own labels learn from the images, not the labels, of {len(self.patches):,} patches of {splits} too "
            f"(--unlabelled {self.config.unlabelled}): figures of {splits} are of images the network has seen"
        )

    def behind(
        self, feed: Iterator[tuple[Tensor, Targets]], scaling: Scaling, ranks: Ranks, *, epoch: int, steps: int, start: int, size: int
    ) -> Iterator[tuple[Tensor, Targets]]:
        """The batches of an epoch with such patches behind the labelled ones, in an epoch each as often as any other or once more.

        Args:
            feed: the batches, from step `start` on.
            scaling: of the bands.
            ranks: this process among several.
            epoch: from 0.
            steps: of an epoch.
            start: steps that are passed over.
            size: labelled patches of a batch, of all processes together; behind a smaller last one come as many as behind the others.
        """
        pool, config, beside = self.patches, self.config, max(1, round(SHARE * size))
        passes = math.ceil(steps * beside / len(pool))
        plans = []
        for number in range(epoch * passes, (epoch + 1) * passes):
            order = pool.streamed.order(config.seed, number) if pool.streamed else None
            plans.append(plan_epoch(len(pool), config.seed, number, quarter_turns=config.quarter_turns, order=order))
        more = batches(pool, beside, scaling, plan_passes(plans, steps * beside), ranks=ranks, start=start)
        for (x_BCHW, targets), (more_BCHW, unlabelled) in zip(feed, more, strict=True):
            yield torch.cat([x_BCHW, more_BCHW]), extended(targets, unlabelled)


def settle_unlabelled(choice: str, labels: WeakLabels) -> str:
    """`choice`, or for auto validation where enough patches of the training split have a label, else none."""
    if choice != "auto":
        return choice
    return "validation" if labels.labelled().sum() >= LABELLED else "none"


def extended(targets: Targets, unlabelled: Targets) -> Targets:
    """The targets of a batch, those of patches without a label behind them."""
    assert targets.group_B is None  # the patches of a group have one label; these are in none
    count = len(unlabelled.valid_BHW)

    def padded(labels_B: Tensor | None, nothing: float) -> Tensor | None:
        return None if labels_B is None else torch.cat([labels_B, labels_B.new_full((count, *labels_B.shape[1:]), nothing)])

    return targets._replace(
        valid_BHW=torch.cat([targets.valid_BHW, unlabelled.valid_BHW]),
        image_BK=padded(targets.image_BK, torch.nan),
        pixel_BHW=padded(targets.pixel_BHW, UNLABELLED),
        whole=targets.whole and unlabelled.whole,
    )
