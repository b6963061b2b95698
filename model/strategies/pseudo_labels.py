"""Pseudo-labels: the classes that a teacher network predicts for every pixel, matched to the proportions that are known.

With proportions as labels, the teacher's probabilities are scaled until each patch, or bag, has its labelled proportions. With presence labels and known
class shares of the region they are scaled to both. No pixel truth is read.
Axis suffixes: B batch, K class, H/W rows and columns, G group.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cropcam.model.losses.objectives import ModelOutputs, Targets, bagged, mean_probability, share_of_label
from cropcam.model.networks.cam import argmax_classes
from cropcam.pipeline.legend import UNLABELLED

BEGIN = 0.3  # of the epochs: before, a network knows too little to teach itself
ROUNDS = 5  # of matching shares; more change next to no pixel
_LEAST = 1e-6


@dataclass(frozen=True)
class OwnLabels:
    """How a network labels the pixels of a batch.

    Attributes:
        kind: of weak label. Shares mend what the network says (`mended_labels`).
        min_share: what presence labels mean.
        rest_K: classes that score 0: they get the pixels that no other class claims.
        prior_K: the classes' shares of all pixels, with presence labels, which then mend it too (`frequent_labels`); None = unknown.
    """

    kind: str
    min_share: float = 0.0
    rest_K: Tensor | None = None
    prior_K: Tensor | None = None

    def loss(self, batch: ModelOutputs, said_BKHW: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
        """Mean cross entropy of a network's scores with the labels that its own answers give all pixels, and how many they are.

        Args:
            batch: what it says of a batch.
            said_BKHW: the scores the labels are taken from: of the mean of its weights.
            targets: what it is labelled with.
        """
        logits_BKHW = batch.logits_BKHW
        if self.rest_K is not None:
            logits_BKHW, said_BKHW = (each.masked_fill(self.rest_K[:, None, None], 0.0) for each in (logits_BKHW, said_BKHW))
        if self.kind == "shares":
            own_BHW = mended_labels(said_BKHW, targets)
        elif self.prior_K is not None:
            own_BHW = frequent_labels(said_BKHW, targets, self.prior_K, self.min_share)
        else:
            own_BHW = self_labels(said_BKHW, targets.valid_BHW)
        entropy_BHW = F.cross_entropy(logits_BKHW, own_BHW, ignore_index=UNLABELLED, reduction="none")  # as in `pixel_loss`
        pixels = (own_BHW != UNLABELLED).sum()
        return entropy_BHW.sum() / pixels.clamp(min=1), pixels


@torch.no_grad()
def self_labels(logits_BKHW: Tensor, valid_BHW: Tensor) -> Tensor:
    """The class of the largest score (B, H, W), int64, of each pixel; 255 without image data."""
    return argmax_classes(logits_BKHW).masked_fill(~valid_BHW, UNLABELLED)


@torch.no_grad()
def mended_labels(logits_BKHW: Tensor, targets: Targets) -> Tensor:
    """Class index (B, H, W), int64, of each pixel; 255 without image data or in a patch without a label.

    The softmax is averaged over 3 x 3 pixels; then each class is scaled, patch by patch or group by group, until the mean over the pixels
    is its labelled share; the argmax is the pseudo-label.

    Source: matching shares as in Liu et al. 2021, "Two-stage Training for Learning from Label Proportions", arXiv 2105.10635.

    Args:
        logits_BKHW: of mutually exclusive classes.
        targets: shares of the patches, or of the groups they belong to.
    """
    share_BK = targets.image_BK
    assert share_BK is not None
    known_BHW = targets.valid_BHW & ~share_BK.isnan().any(dim=1)[:, None, None]
    averaged_BKHW = _averaged(logits_BKHW, targets.valid_BHW)
    return self_labels(_matched(averaged_BKHW, targets.valid_BHW, lambda log_BK: _to_shares(log_BK, targets)), known_BHW)


@torch.no_grad()
def frequent_labels(logits_BKHW: Tensor, targets: Targets, prior_K: Tensor, min_share: float) -> Tensor:
    """Class index (B, H, W), int64, of each pixel; 255 without image data.

    As `mended_labels`, with two things to match: the batch as a whole has the known shares; then, patch by patch, an absent class has at
    most the share that its label is about, a present one at least that.

    Source: labels as frequent as is known, Berthelot et al. 2020, "ReMixMatch", arXiv 1911.09785, section 3.1.

    Args:
        logits_BKHW: of classes that exclude each other.
        targets: presence labels of the patches.
        prior_K: the classes' shares of all pixels.
        min_share: what "present" means; 0 counts as half a pixel of the patch.
    """
    assert targets.image_BK is not None
    label_BK, all_B = targets.image_BK, torch.zeros(len(logits_BKHW), dtype=torch.int64, device=logits_BKHW.device)
    region = targets._replace(image_BK=prior_K.expand_as(label_BK), bag_B=all_B)
    log_share = math.log(share_of_label(min_share, targets.valid_BHW))
    matched_BKHW = _matched(
        _averaged(logits_BKHW, targets.valid_BHW),
        targets.valid_BHW,
        lambda log_BK: _to_shares(log_BK, region),
        lambda log_BK: _to_presence(log_BK, label_BK, log_share),
    )
    return self_labels(matched_BKHW, targets.valid_BHW)


def _averaged(logits_BKHW: Tensor, valid_BHW: Tensor) -> Tensor:
    """Log of the softmax averaged over the valid pixels within 3 x 3 (B, K, H, W)."""
    valid_B1HW = valid_BHW[:, None].to(logits_BKHW.dtype)
    around_B1HW = F.avg_pool2d(valid_B1HW, 3, stride=1, padding=1).clamp(min=_LEAST)
    mean_BKHW = F.avg_pool2d(logits_BKHW.softmax(dim=1) * valid_B1HW, 3, stride=1, padding=1) / around_B1HW
    return mean_BKHW.clamp(min=_LEAST).log()


def _matched(log_BKHW: Tensor, valid_BHW: Tensor, *steps: Callable[[Tensor], Tensor]) -> Tensor:
    """Log probabilities (B, K, H, W), each patch and class raised or lowered until the steps ask for no more.

    Args:
        log_BKHW: of classes that exclude each other.
        valid_BHW: pixels with image data.
        steps: from log mean probabilities (B, K) to what is to be added to the class's scores; taken in turn.
    """
    for _ in range(ROUNDS):
        for step in steps:
            log_BKHW = log_BKHW + step(mean_probability(log_BKHW, valid_BHW))[:, :, None, None]
    return log_BKHW


def _to_shares(log_BK: Tensor, targets: Targets) -> Tensor:
    """What takes the mean probability of each patch, or group, to its labelled shares."""
    log_GK, share_GK, bag_B = bagged(log_BK, targets)
    return (share_GK.nan_to_num().clamp(min=_LEAST).log() - log_GK)[bag_B]


def _to_presence(log_BK: Tensor, label_BK: Tensor, log_share: float) -> Tensor:
    """What takes the mean probability of a class said to be present up to a share, of one said to be absent down to it."""
    wanted_BK = torch.where(label_BK > 0.5, log_BK.clamp(min=log_share), log_BK.clamp(max=log_share))
    return torch.where(label_BK.isnan(), 0.0, wanted_BK - log_BK)
